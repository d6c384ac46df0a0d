"""The daemon from outside: a real process, real files, a camera with known defects."""

import io
import os
import pty
import signal
import struct
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fakecamera import Defect, FakeCamera, Shot
from hotpixeld.core.moments import Moments
from hotpixeld.edge.photo import read_photo
from running import RunningDaemon, environment, hotpixeld, running, wait_for

STUCK = Defect(60, 80, level=0.95)


@pytest.fixture(scope="module")
def shots() -> list[Shot]:
    return FakeCamera(320, 240, seed=5, defects=[STUCK]).shoot(30)


def frame_of(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


def excess(frame: np.ndarray, clean: np.ndarray) -> float:
    spot = np.s_[STUCK.row - 1 : STUCK.row + 2, STUCK.column - 1 : STUCK.column + 2]
    return float(np.abs(frame[spot].astype(float) - clean[spot]).mean())


def test_photos_dropped_in_come_out_repaired_and_the_originals_stay(
    tmp_path: Path, shots: list[Shot]
) -> None:
    with running(tmp_path) as daemon:
        originals = {shot.name: shot.jpeg for shot in shots[:20]}
        for name, data in originals.items():
            daemon.drop(name, data)
        daemon.wait_counted(20)
        wait_for(daemon.confirmed, "a defect is confirmed")
        assert daemon.confirmed() == {(STUCK.column, STUCK.row)}
        late = shots[25]
        daemon.drop("late.jpg", late.jpeg)
        wait_for((daemon.repaired / "late.jpg").exists, "the copy is there")
        copy = (daemon.repaired / "late.jpg").read_bytes()
        assert excess(frame_of(copy), late.clean_frame) < 0.4 * excess(late.frame, late.clean_frame)
        wait_for(
            lambda: (
                all(p.copy in ("written", "unaffected") for p in daemon.photos().values())
                and sum(p.copy == "written" for p in daemon.photos().values()) >= 15
            ),
            "the backlog is repaired",
        )
        for name, data in originals.items():
            assert (daemon.imports / name).read_bytes() == data
        assert daemon.stop() == 0
        counted = daemon.status()["photos"]
        daemon.start()
        time.sleep(3)
        after = daemon.status()["photos"]
        assert counted["pending"] + counted["folded"] == after["pending"] + after["folded"] == 21


def test_a_kill_in_the_middle_leaves_the_sums_of_exactly_the_folded_photos(
    tmp_path: Path, shots: list[Shot]
) -> None:
    with running(tmp_path) as daemon:
        for number, shot in enumerate(shots):
            daemon.drop(shot.name, shot.jpeg)
            if number in (4, 11, 17, 26):
                time.sleep(0.3 * (number % 4))
                daemon.kill()
                daemon.start()
        daemon.wait_counted(30)
        assert daemon.stop() == 0
        done = hotpixeld("scan", "-c", daemon.config)
        assert done.returncode == 0, done.stderr
        digests, sums = daemon.committed()
    photos = [read_photo(shot.jpeg, "x.jpg", max_pixels=10**8) for shot in shots]
    assert digests == sorted(photo.digest.hex() for photo in photos)
    reference = Moments.empty((240, 320, 3), 8)
    reference.fold([photo.frame for photo in photos])
    assert sums == {name: array.tobytes() for name, array in reference.arrays().items()}


def test_ten_kinds_of_broken_file_are_refused_with_a_reason_and_the_daemon_goes_on(
    tmp_path: Path, shots: list[Shot]
) -> None:
    good = shots[0].jpeg
    bomb = io.BytesIO()
    Image.new("L", (64, 64)).save(bomb, "PNG")
    huge = bytearray(bomb.getvalue())
    huge[16:24] = struct.pack(">II", 60_000, 60_000)
    deep = io.BytesIO()
    Image.fromarray(np.zeros((8, 8), np.uint16)).save(deep, "PNG")
    broken = {
        "empty.jpg": b"",
        "cut.jpg": good[: len(good) // 2],
        "two_bytes_short.jpg": good[:-2],
        "text.jpg": b"not a photo at all",
        "zero_tail.jpg": good[: len(good) // 2] + bytes(len(good) - len(good) // 2),
        "zero_hole.jpg": good[:4096] + bytes(4096) + good[8192:],
        "bomb.png": bytes(huge),
        "cut.png": deep.getvalue()[:40],
        "cut.tif": b"II*\x00\x08\x00\x00\x00",
        "only_header.gif": b"GIF89a",
    }
    with running(tmp_path) as daemon:
        for name, data in broken.items():
            daemon.drop(name, data)
        daemon.drop("good.jpg", shots[1].jpeg)
        wait_for(lambda: len(daemon.photos()) == 11, "all are in the ledger")
        photos = daemon.photos()
        refused = {name for name, row in photos.items() if row.statistics == "refused"}
        assert refused == set(broken)
        assert all(photos[name].reason for name in broken)
        assert photos["good.jpg"].statistics == "waiting"
        daemon.drop("cut.jpg", shots[2].jpeg)
        wait_for(lambda: daemon.photos()["cut.jpg"].statistics == "waiting", "the good one counts")
        assert daemon.stop() == 0


def test_a_photo_written_slowly_is_folded_once_after_it_is_whole(
    tmp_path: Path, shots: list[Shot]
) -> None:
    data = shots[3].jpeg
    with running(tmp_path) as daemon, (daemon.imports / "slow.jpg").open("wb") as file:
        for start in range(0, len(data), len(data) // 8 + 1):
            assert not daemon.photos()
            file.write(data[start : start + len(data) // 8 + 1])
            file.flush()
            time.sleep(0.4)
        file.close()
        wait_for(daemon.photos, "it is in the ledger")
        time.sleep(1)
        assert [row.statistics for row in daemon.photos().values()] == ["waiting"]


def test_a_second_daemon_on_the_same_state_ends_with_75_and_names_the_first(
    tmp_path: Path,
) -> None:
    with running(tmp_path) as daemon:
        second = hotpixeld("run", "-c", daemon.config)
        assert second.returncode == 75
        assert daemon.process is not None
        assert str(daemon.process.pid) in second.stderr
        daemon.kill()
        daemon.start()


def test_names_duplicates_and_own_copies_count_once(tmp_path: Path, shots: list[Shot]) -> None:
    with running(
        tmp_path, more="sensors: [{width: 320, height: 240, pixels: [[80, 60]]}]"
    ) as daemon:
        for number in range(10):
            daemon.drop(f"same{number}.jpg", shots[0].jpeg)
        for number in range(3):
            daemon.drop(f"{number}/name.jpg", shots[number + 1].jpeg)
        wait_for(lambda: len(daemon.photos()) >= 11, "all are in the ledger")
        daemon.wait_counted(4)
        states = [row.statistics for row in daemon.photos().values()]
        assert states.count("duplicate") == 9
        wait_for(lambda: len(list(daemon.repaired.rglob("*.jpg"))) == 4, "copies are there")
        for number, copy in enumerate(list(daemon.repaired.rglob("*.jpg"))):
            daemon.drop(f"back{number}.jpg", copy.read_bytes())
        wait_for(
            lambda: sum(row.statistics == "own-copy" for row in daemon.photos().values()) == 4,
            "own copies are known",
        )
        os.utime(daemon.imports / "same0.jpg")
        (daemon.imports / "0").rename(daemon.imports / "renamed")
        time.sleep(3)
        photos = daemon.status()["photos"]
        assert photos["pending"] + photos["folded"] + photos["waiting"] == 4


def test_a_saved_config_takes_effect_and_a_bad_one_does_not(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        text = daemon.config.read_text()
        daemon.config.write_text(text.replace("quality", "qualty") + "repair: {qualty: 3}\n")
        wait_for(
            lambda: any(p["code"] == "config-bad" for p in daemon.status()["problems"]),
            "the mistake is told",
        )
        daemon.config.write_text(text + "repair: {quality: 90}\n")
        daemon.signal(signal.SIGHUP)
        wait_for(lambda: not daemon.status()["problems"], "it is well again")
        assert f"config {daemon.config}, state {daemon.state}" in daemon.log.read_text()
        wait_for(lambda: "repair.quality" in daemon.log.read_text(), "the change is told")
        daemon.signal(signal.SIGHUP)
        wait_for(lambda: "nothing in it is new" in daemon.log.read_text(), "so is no change")
        assert daemon.status()["running"]
        assert daemon.stop() == 0


def test_a_hangup_ends_it_at_a_terminal_wherever_its_streams_go(tmp_path: Path) -> None:
    with RunningDaemon(tmp_path, start=False) as daemon:
        command = 'exec "$0" -m hotpixeld run -c "$1" </dev/null >/dev/null 2>&1'
        shell = ["sh", "-c", command, sys.executable, str(daemon.config)]
        child, terminal = pty.fork()
        if not child:  # pragma: no cover (another process)
            signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests may run under nohup
            os.execve("/bin/sh", shell, environment())  # noqa: S606 (a terminal comes by a fork)
        state = 0
        try:
            wait_for(lambda: daemon.status()["folders"], "the daemon watches")
            os.close(terminal)
            deadline_s = time.monotonic() + 10
            while not (ended := os.waitpid(child, os.WNOHANG))[0]:
                assert time.monotonic() < deadline_s, "it does not end"
                time.sleep(0.05)
            child, state = 0, ended[1]
        finally:
            if child:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
        assert state == 0


def test_stop_and_status(tmp_path: Path) -> None:
    with RunningDaemon(tmp_path) as daemon:
        assert daemon.stop() == 0
        assert hotpixeld("status", "-c", daemon.config).returncode == 3
