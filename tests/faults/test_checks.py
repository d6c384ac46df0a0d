"""Checks of watch folders that need a machine of another kind: clocks, limits, mounts, cameras."""

import ctypes
import os
import shutil
import subprocess
import sys
import textwrap
import zlib
from pathlib import Path

import pytest
from rig import Rig, needs, photos

from fakecamera import FakeCamera
from hotpixeld.service.state import open_state
from running import RunningDaemon, environment, hotpixeld, wait_for

KNOWN = "repair: {when: always}\nsensors: [{width: 64, height: 48, pixels: [[20, 10]]}]"


def check_served(daemon: RunningDaemon) -> None:
    """Check that all photos were folded, and repaired where the known pixel shows."""
    rows = daemon.photos().values()
    assert {row.statistics for row in rows} == {"folded"}
    assert {"written"} <= {row.copy for row in rows} <= {"written", "unaffected"}
    assert len(list(daemon.repaired.rglob("*.JPG"))) == sum(row.copy == "written" for row in rows)


def scan_after(preparation: str, config: Path) -> subprocess.CompletedProcess[str]:
    """Run `hotpixeld scan` in a process that prepares itself; the peak of its memory is printed."""
    program = f"""
        import resource, sys
        from hotpixeld.cli import main
        {preparation}
        code = main(["scan", "-c", {str(config)!r}])
        # not ru_maxrss: that counts what the process that started this one had in memory
        print("peak", open("/proc/self/status").read().split("VmHWM:")[1].split()[0])
        sys.exit(code)
    """
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=environment(),
    )


@pytest.mark.parametrize("times_s", [1, 2_000_000_000])
def test_a_stepped_clock_and_new_file_times_count_nothing_twice(
    memory_folder: Path, times_s: int
) -> None:
    rig = Rig(memory_folder)
    rig.photos = photos(7)
    rig.run()
    for path in rig.imports.iterdir():
        os.utime(path, (times_s, times_s))
    (rig.imports / "photo006.png").write_bytes(rig.photos["photo006.png"])
    for now in ("1970-01-01T00:00:01Z", "2999-01-01T00:00:00Z", "1999-01-01T00:00:00Z"):
        with open_state(rig.config, now=lambda now=now: now) as state:  # type: ignore[misc]
            rig.serve(state)
        rig.check()
        rig.check_complete()


def bomb(side: int) -> bytes:
    """Return a PNG file of a grey picture whose pixels are all there, and all black."""
    header = side.to_bytes(4) * 2 + bytes([1, 0, 0, 0, 0])
    lines = zlib.compress(bytes((side // 8 + 1) * side), 1)
    chunks = ((b"IHDR", header), (b"IDAT", lines), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        len(data).to_bytes(4) + name + data + zlib.crc32(name + data).to_bytes(4)
        for name, data in chunks
    )


def test_a_bomb_is_refused_before_decoding_in_little_memory(tmp_path: Path) -> None:
    daemon = RunningDaemon(tmp_path, start=False)
    shots = FakeCamera(64, 48, seed=8).shoot(3)
    daemon.drop("bomb.png", bomb(30_000))
    for shot in shots:
        daemon.drop(shot.name, shot.jpeg)
    bound = "resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))"
    done = scan_after(bound, daemon.config)
    assert done.returncode == 0, done.stderr
    rows = daemon.photos()
    assert rows["bomb.png"].reason.startswith("too-large")
    assert {row.statistics for name, row in rows.items() if name != "bomb.png"} == {"folded"}
    assert int(done.stdout.split("peak ")[1]) << 10 < 300 << 20


def denies_writable_code() -> bool:
    """Tell whether the kernel knows PR_SET_MDWE, by asking whether it is set."""
    return int(ctypes.CDLL(None).prctl(66, 0, 0, 0, 0)) >= 0


@pytest.mark.skipif(not denies_writable_code(), reason="NOT TESTED: no PR_SET_MDWE in this kernel")
def test_all_works_where_no_memory_may_be_made_code(tmp_path: Path) -> None:
    daemon = RunningDaemon(tmp_path, start=False, more=KNOWN)
    for shot in FakeCamera(64, 48, seed=8).shoot(5):
        daemon.drop(shot.name, shot.jpeg)
    deny = "import ctypes; assert ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) == 0"
    done = scan_after(deny, daemon.config)
    assert done.returncode == 0, done.stderr
    check_served(daemon)


def test_a_thousand_unreadable_photos_are_counted_and_hardly_logged(tmp_path: Path) -> None:
    with RunningDaemon(tmp_path, start=False) as daemon:
        daemon.config.write_text(daemon.config.read_text().replace("level: debug", "level: info"))
        for number in range(1000):
            (daemon.imports / f"{number}.jpg").write_bytes(b"no photo %d" % number)
        daemon.start()
        wait_for(lambda: daemon.status()["photos"].get("refused") == 1000, "all are refused")
        told = [line for line in daemon.log.read_text().splitlines() if "refused" in line]
        assert 1 <= len(told) <= 4
        assert daemon.stop() == 0


@needs("unshare")
def test_an_import_folder_that_nobody_may_write_to_is_served_and_stays_as_it_is(
    tmp_path: Path,
) -> None:
    if subprocess.run(["unshare", "-Urm", "true"], check=False).returncode:
        pytest.skip("NOT TESTED: user namespaces are not permitted here")
    daemon = RunningDaemon(tmp_path, start=False, more=KNOWN)
    for shot in FakeCamera(64, 48, seed=8).shoot(5):
        daemon.drop(f"sub/{shot.name}", shot.jpeg)
    before = {p: (p.stat().st_mtime_ns, p.stat().st_mode) for p in daemon.imports.rglob("*")}
    mount = 'mount --bind import import && mount -o remount,bind,ro import && exec "$@"'
    command = (sys.executable, "-m", "hotpixeld", "scan", "-c", str(daemon.config))
    fenced = ["unshare", "-Urm", "sh", "-c", mount, "sh"]
    assert subprocess.run([*fenced, "touch", "import/x"], cwd=tmp_path, check=False).returncode
    done = subprocess.run(
        [*fenced, *command], cwd=tmp_path, env=environment(), check=False, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    check_served(daemon)
    assert before == {
        p: (p.stat().st_mtime_ns, p.stat().st_mode) for p in daemon.imports.rglob("*")
    }


def test_of_two_cameras_one_goes_on_while_the_others_sums_are_damaged(tmp_path: Path) -> None:
    cameras = {
        "a": FakeCamera(64, 48, seed=8, model="A").shoot(10),
        "b": FakeCamera(80, 60, seed=9, model="B").shoot(10),
    }
    with RunningDaemon(tmp_path, start=False) as daemon:
        for first in (0, 4):  # two generations each
            for name, shots in cameras.items():
                for shot in shots[first : first + 4]:
                    daemon.drop(f"{name}/{name}{shot.name}", shot.jpeg)
            assert hotpixeld("scan", "-c", daemon.config).returncode == 0
        damaged = list((daemon.state / "moments").glob("a-*"))
        assert len(damaged) == 2
        for file in damaged:
            data = bytearray(file.read_bytes())
            data[len(data) // 2] ^= 1
            file.write_bytes(data)
        kept = {file: file.read_bytes() for file in damaged}
        shutil.rmtree(daemon.state / "spool")
        daemon.start()
        for name, shots in cameras.items():
            for shot in shots[8:]:
                daemon.drop(f"{name}/{name}{shot.name}", shot.jpeg)
        wait_for(lambda: len(daemon.photos()) == 20, "all are in the ledger")
        wait_for(lambda: daemon.status()["problems"], "it is told")
        (problem,) = daemon.status()["problems"]
        assert problem["code"] == "moments-damaged"
        assert damaged[0].name.rsplit("-", 2)[0] in str(problem)
        assert daemon.stop() == 0
        assert hotpixeld("scan", "-c", daemon.config).returncode == 0
        states = {name: row.statistics for name, row in daemon.photos().items()}
        assert {state for name, state in states.items() if name.startswith("b")} == {"folded"}
        assert sorted(state for name, state in states.items() if name.startswith("a")) == (
            ["folded"] * 8 + ["pending"] * 2
        )
        assert kept == {file: file.read_bytes() for file in damaged}
