import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hotpixeld.edge import notify


@pytest.fixture(params=["file", "abstract"])
def manager(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[socket.socket]:
    """A datagram socket as systemd's, under NOTIFY_SOCKET."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.settimeout(5.0)
        if request.param == "file":
            address = str(tmp_path / "notify")
            receiver.bind(address)
        else:
            address = f"@hotpixeld-test-{os.getpid()}"
            receiver.bind("\0" + address[1:])
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        monkeypatch.setattr(notify, "_last_alive_s", -1.0)
        yield receiver


def test_systemd_is_told_in_its_own_words(manager: socket.socket) -> None:
    before_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    notify.status("3 photos\nwait")
    notify.ready()
    notify.reloading()
    notify.extend_timeout(2.5)
    notify.stopping()
    told = [manager.recv(4096).decode() for _ in range(5)]
    assert told[:2] == ["STATUS=3 photos wait", "READY=1"]
    reloading, moment = told[2].split("\n")
    assert reloading == "RELOADING=1"
    assert before_us <= int(moment.removeprefix("MONOTONIC_USEC=")) < before_us + 60_000_000
    assert told[3:] == ["EXTEND_TIMEOUT_USEC=2500000", "STOPPING=1"]


def test_the_watchdog_is_petted_at_most_once_a_second(
    manager: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now_s)
    for _ in range(1000):
        notify.alive()
        now_s += 0.01
    notify.ready()
    told = [manager.recv(4096).decode() for _ in range(11)]
    assert told == ["WATCHDOG=1"] * 10 + ["READY=1"]


@pytest.mark.parametrize("address", [None, "", "relative", "/nowhere/at/all", "@nobody-listens"])
def test_without_a_manager_nothing_happens(
    monkeypatch: pytest.MonkeyPatch, address: str | None
) -> None:
    if address is None:
        monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    else:
        monkeypatch.setenv("NOTIFY_SOCKET", address)
    notify.ready()
    notify.stopping()
