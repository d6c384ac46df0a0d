"""The sources as git has them in the working tree, without build or cache, and what they make."""

import os
import shutil
import subprocess
import sys
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


def build(folder: Path, kind: str, into: Path) -> Path:
    """Build the "sdist" or "wheel" as pip and `build` do, with the setuptools that is installed."""
    into.mkdir()
    call = f"from setuptools import build_meta; build_meta.build_{kind}({str(into)!r})"
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:setuptools", "-c", call],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    (built,) = into.iterdir()
    return built
