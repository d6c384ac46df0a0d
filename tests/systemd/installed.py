"""The service as `make install` puts it there, without a network: what it needs is copied."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

from sources import ROOT, build, copy_sources

SYSTEM_PYTHON = Path("/usr/bin/python3")


def why_not() -> str:
    """Say why it cannot be installed for this machine's own Python; empty: it can."""
    if not (ROOT / ".git").exists():
        return "not in git"
    if not shutil.which("make"):
        return "make is not installed"
    if not SYSTEM_PYTHON.exists():
        return f"there is no {SYSTEM_PYTHON}"
    asked = "import sys, ensurepip; print(sys.version_info[:2])"
    told = subprocess.run(
        [SYSTEM_PYTHON, "-c", asked], capture_output=True, text=True, check=False
    ).stdout.strip()
    here = str(sys.version_info[:2])
    if told != here:
        return f"{SYSTEM_PYTHON} is {told or 'without venv'}, the tests run with {here}"
    return ""


def install(root: Path, work: Path) -> None:
    """Install a wheel of these sources below ``root``, and the packages that it requires."""
    copy_sources(work / "source")
    wheel = build(work / "source", "wheel", work / "wheel")
    subprocess.run(
        ["make", "install", f"DESTDIR={root}", f"PACKAGE={wheel}"],
        cwd=work / "source",
        env={**os.environ, "PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1"},
        check=True,
        stdout=subprocess.DEVNULL,
        timeout=240,
    )
    (packages,) = (root / "opt/hotpixeld/venv/lib").glob("python3.*/site-packages")
    for name in sorted(_required()):
        for file in metadata.files(name) or []:
            source = Path(str(file.locate()))
            if ".." not in file.parts and source.is_file():  # its commands are not needed
                target = packages / file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)


def has_kernel(root: Path) -> bool:
    """Tell whether a compiler was there to make the compiled kernel."""
    return any((root / "opt/hotpixeld/venv/lib").glob("*/site-packages/hotpixeld/core/_kernel*.so"))


def _required() -> set[str]:
    """Return the distributions that the package requires, and what those require in turn."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found: set[str] = set()
    waiting: list[str] = project["dependencies"]
    while waiting:
        requirement = waiting.pop()
        name = re.match(r"[A-Za-z0-9._-]+", requirement)
        assert name is not None
        # Of an extra, or by its marker not for this Python and system: not installed.
        if "extra ==" in requirement or name[0] in found or not _is_there(name[0]):
            continue
        found.add(name[0])
        waiting += metadata.requires(name[0]) or []
    return found


def _is_there(name: str) -> bool:
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True
