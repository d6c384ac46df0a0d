"""Every command that the documents show is run, in a folder such as they speak of."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fakecamera import Defect, FakeCamera
from running import environment, hotpixeld

ROOT = Path(__file__).parents[1]
PAGES = [page for page in (ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))) if page.exists()]
CONFIG = """\
version: 1
import: ./photos/import
output: ./photos/repaired
state: ./photos/state
copies: {min_free: 0B}
detection: {skip_similar: false}
"""
# These need a machine of their own: the tests of the clean root and of systemd run them.
ELSEWHERE = {"sudo", "systemctl", "journalctl", "git", "make", "pipx", "pip", "apt-get"}
CLUSTER = "tcp://scheduler"  # test_backfill.py runs it on a cluster of its own
CONSOLE = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
SHELL = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)


def shown(page: Path) -> list[str]:
    """Return the commands of a page in their order."""
    text = page.read_text()
    told = [line for block in CONSOLE.findall(text) for line in block.splitlines()]
    plain = [line for block in SHELL.findall(text) for line in block.splitlines()]
    return [line[2:] for line in told if line.startswith("$ ")] + list(filter(None, plain))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a config, photos, and what `scan` found in them."""
    folder = tmp_path_factory.mktemp("docs")
    (folder / "hotpixeld.yaml").write_text(CONFIG)
    imports = folder / "photos" / "import"
    imports.mkdir(parents=True)
    camera = FakeCamera(480, 320, seed=5, defects=[Defect(236, 411, level=0.95)])
    for number, shot in enumerate(camera.shoot(16), start=1):
        (imports / f"IMG_{number:04}.JPG").write_bytes(shot.jpeg)
    done = hotpixeld("scan", "-c", folder / "hotpixeld.yaml")
    assert done.returncode == 0, done.stderr
    programs = folder / "bin"
    programs.mkdir()
    (programs / "hotpixeld").write_text(f'#!/bin/sh\nexec {sys.executable} -m hotpixeld "$@"\n')
    (programs / "hotpixeld").chmod(0o755)
    # What README.md speaks of: a clone after `make run`, and a person's own photos.
    (folder / ".venv").mkdir()
    (folder / ".venv" / "bin").symlink_to(programs)
    shutil.copyfile(folder / "hotpixeld.yaml", folder / "config.example.yaml")
    shutil.copy(imports / "IMG_0001.JPG", folder)
    shutil.copytree(imports, folder / "Pictures" / "holiday")
    return folder


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_shown_runs(page: Path, prepared: Path) -> None:
    settings = environment() | {
        "PATH": f"{prepared / 'bin'}:{os.environ['PATH']}",
        "HOME": str(prepared),
        "HOTPIXELD_CONFIG": str(prepared / "hotpixeld.yaml"),
    }
    for command in shown(page):
        program = command.split()[0]
        if program in ELSEWHERE or CLUSTER in command:
            continue
        expected = re.search(r"# exits (\d+)", command)
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=prepared,
            env=settings,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        stopped = 3 if "hotpixeld status -c" in command else 0  # README.md's daemon runs, not ours
        wanted = int(expected.group(1)) if expected else stopped
        assert done.returncode == wanted, f"{command}: {done.stdout}{done.stderr}"


def test_commands_are_found_at_all() -> None:
    assert len(shown(ROOT / "docs" / "operation.md")) > 20
    assert "hotpixeld find" in " ".join(shown(ROOT / "README.md"))
    assert "make run" in " ".join(shown(ROOT / "README.md"))
