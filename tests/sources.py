"""The sources as git has them in the working tree: no build, cache or environment among them."""

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]


def source_files() -> list[str]:
    """Return the names of all files that git tracks or would."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True)
    names = filter(None, os.fsdecode(done.stdout).split("\0"))
    return [name for name in names if (ROOT / name).exists()]


def copy_sources(target: Path) -> None:
    """Copy them into ``target``, with their modes."""
    for name in source_files():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target / name)
