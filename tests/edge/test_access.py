import errno
import sqlite3

import pytest

from hotpixeld.edge.access import denied, full


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS])
def test_under_systemd_the_command_that_opens_the_sandbox_is_named(number: int) -> None:
    error = OSError(number, "told so", "/home/al/a\nb")
    under_systemd = denied(error, {"INVOCATION_ID": "x"})
    assert under_systemd is not None
    assert under_systemd.startswith(r"/home/al/a\nb: told so.")
    assert "hotpixeld systemd-dropin" in under_systemd
    elsewhere = denied(error, {})
    assert elsewhere is not None
    assert "systemd" not in elsewhere


def test_a_state_of_somebody_else_names_its_user() -> None:
    told = denied(sqlite3.OperationalError("attempt to write a readonly database"), {})
    assert told is not None
    assert "sudo -u hotpixeld" in told


def test_other_errors_are_not_explained_away() -> None:
    assert denied(OSError(errno.ENOSPC, "No space left on device"), {}) is None
    assert denied(OSError("no number"), {}) is None
    assert denied(sqlite3.OperationalError("disk I/O error"), {}) is None


def test_a_full_disk_is_named_with_the_next_step() -> None:
    for error in (
        OSError(errno.ENOSPC, "No space left on device", "/var/lib/x"),
        sqlite3.OperationalError("database or disk is full"),
    ):
        told = full(error)
        assert told is not None
        assert "run it again" in told
    assert "/var/lib/x: No space left" in (
        full(OSError(errno.ENOSPC, "No space left", "/var/lib/x")) or ""
    )
    assert full(OSError(errno.EIO, "Input/output error")) is None
