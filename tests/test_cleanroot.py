"""What a newcomer meets on a clean Debian: no compiler, no browser, no systemd.

Run by `make soak`: it needs root, debootstrap and the package index.
"""

import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cleanroot import CleanRoot, why_not
from fakecamera import Defect, FakeCamera
from running import wait_for
from sources import ROOT, copy_sources

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(bool(why_not()), reason=f"NOT TESTED, no clean root: {why_not()}"),
    pytest.mark.skipif(not (ROOT / ".git").exists(), reason="NOT TESTED: not in git"),
    pytest.mark.timeout(7200),
]
IDENTITY = ("-c", "user.name=newcomer", "-c", "user.email=newcomer@localhost")


@pytest.fixture(scope="module")
def root() -> Iterator[CleanRoot]:
    with CleanRoot() as root:
        upstream = root.folder / "srv" / "hotpixeld"
        copy_sources(upstream)
        for command in (["init", "-q"], ["add", "-A"], [*IDENTITY, "commit", "-q", "-m", "all"]):
            subprocess.run(["git", *command], cwd=upstream, check=True)
        yield root


@pytest.fixture(scope="module")
def clone(root: CleanRoot) -> Path:
    """Return the newcomer's clone, seen from outside."""
    root.run("git clone -q /srv/hotpixeld")
    return root.folder / "root" / "hotpixeld"


def test_clone_make_run_and_photos_dropped_are_all_it_takes(root: CleanRoot, clone: Path) -> None:
    begun = time.monotonic()
    camera = FakeCamera(480, 320, seed=5, defects=[Defect(236, 411, level=0.95)])
    shots = [shot.jpeg for shot in camera.shoot(24)]
    log = root.work / "log"
    daemon = root.start("cd hotpixeld && make run", log)
    photos = clone / "photos"
    wait_for(
        lambda: (photos / "state" / "status.json").exists() or daemon.poll() is not None,
        "the daemon runs",
        timeout_s=600,
    )
    assert daemon.poll() is None, log.read_text()
    for number, shot in enumerate(shots):
        (photos / "import" / f"IMG_{number:04}.JPG").write_bytes(shot)
    wait_for(lambda: list((photos / "repaired").glob("*.JPG")), "a repaired copy", timeout_s=180)
    print(f"the first repaired copy after {time.monotonic() - begun:.0f} s")
    ask = "cd hotpixeld && .venv/bin/hotpixeld {} -c config.example.yaml"
    assert root.run(ask.format("status")).stdout.startswith("running since")
    assert re.search(
        r"^411,236\s+confirmed", root.run(ask.format("pixels list")).stdout, re.MULTILINE
    )
    assert "fine: the daemon runs" in root.run(ask.format("doctor")).stdout
    assert root.run("cd hotpixeld && git status --short").stdout == ""


def test_the_debian_package_installs_runs_and_goes_again(root: CleanRoot, clone: Path) -> None:
    root.run("cd hotpixeld && make deb", timeout_s=900)
    assert list((clone / "dist").glob("hotpixeld_*.deb"))
    root.run("dpkg -i hotpixeld/dist/hotpixeld_*.deb")
    assert root.run("cd / && hotpixeld --version").stdout.startswith("hotpixeld ")
    assert "good" in root.run("hotpixeld check-config /etc/hotpixeld/hotpixeld.yaml").stdout
    assert (root.folder / "lib/systemd/system/hotpixeld.service").is_file()
    assert not root.run("grep -rIl /root/hotpixeld /opt/hotpixeld", check=False).stdout
    root.run("dpkg -r hotpixeld")
    assert not (root.folder / "opt" / "hotpixeld").exists()
    assert (root.folder / "etc/hotpixeld/hotpixeld.yaml").is_file()


def test_make_test_skips_loudly_what_cannot_be_tested_and_fails_nothing(
    root: CleanRoot, clone: Path
) -> None:
    assert clone.is_dir()
    done = root.run("cd hotpixeld && make test", check=False, timeout_s=3600)
    assert done.returncode == 0, done.stdout[-20_000:]
    for missing in ("strace", "systemd-analyze", "chromium", "kernel"):
        assert re.search(rf"SKIPPED.*{missing}", done.stdout, re.IGNORECASE), done.stdout[-20_000:]
