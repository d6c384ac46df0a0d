"""What systemd is told: ready, alive, reloading, stopping (sd_notify(3), no library needed).

Without systemd every call does nothing.
"""

import contextlib
import os
import socket
import time

ALIVE_EVERY_S = 1.0
_last_alive_s = -ALIVE_EVERY_S


def ready() -> None:
    """Say that start-up, or a reload, is over."""
    _tell("READY=1")


def status(text: str) -> None:
    """Say in one line what the daemon does, for ``systemctl status``."""
    _tell(f"STATUS={' '.join(text.split())}")


def alive() -> None:
    """Pet the watchdog; call it wherever work has moved on, and nowhere else.

    A daemon that hangs must fall silent, so no timer and no thread may call it. It may be called
    as often as one likes: one message a second is sent.
    """
    global _last_alive_s  # noqa: PLW0603  # one process has one watchdog
    now_s = time.monotonic()
    if now_s - _last_alive_s >= ALIVE_EVERY_S:
        _last_alive_s = now_s
        _tell("WATCHDOG=1")


def reloading() -> None:
    """Say that the config is being read anew; `ready` ends it."""
    now_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    _tell(f"RELOADING=1\nMONOTONIC_USEC={now_us}")


def stopping() -> None:
    """Say that the daemon is about to end."""
    _tell("STOPPING=1")


def extend_timeout(seconds: float) -> None:
    """Ask for that much more time from now on, to start, to stop or for the watchdog."""
    _tell(f"EXTEND_TIMEOUT_USEC={round(seconds * 1_000_000)}")


def _tell(message: str) -> None:
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    if address.startswith("@"):  # an abstract socket, which has no file
        address = "\0" + address[1:]
    # A manager that does not listen is no reason to stop or to wait.
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.settimeout(1.0)
        sender.sendto(message.encode(errors="replace"), address)
