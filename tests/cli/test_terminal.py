"""How results look on a terminal."""

import sys

import pytest

from hotpixeld.cli.terminal import heading, print_table


@pytest.mark.parametrize("no_color", ["", "1"])
def test_no_color_takes_every_escape_away(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], no_color: str
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", no_color)
    heading("it runs", "bold green")
    print_table(("camera",), [("one",)])
    out = capsys.readouterr().out
    assert ("\x1b" in out) is not bool(no_color)
    assert "it runs" in out
    assert "one" in out
