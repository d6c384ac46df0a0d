import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hotpixeld.edge.systemd_dropin import UNIT_CONFIG, UNIT_START, UNIT_STATE, drop_in

SYSTEMD = Path(__file__).parents[2] / "systemd"
UNIT = SYSTEMD / "hotpixeld.service"
MOST_EXPOSURE_TENTHS = 5

needs_systemd = pytest.mark.skipif(
    not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed"
)


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.startswith("#")]


def test_folders_outside_the_homes_are_opened_in_place() -> None:
    text = drop_in(
        imports=[Path("/srv/in"), Path("/media/card")], output=Path("/srv/out"), state=UNIT_STATE
    )
    assert _lines(text) == [
        "[Unit]",
        'RequiresMountsFor="/srv/out"',
        "",
        "[Service]",
        'ReadOnlyPaths="-/srv/in"',
        'ReadOnlyPaths="-/media/card"',
        'ReadWritePaths="-/srv/out"',
    ]


def test_of_a_home_only_the_named_folders_are_seen() -> None:
    text = drop_in(
        imports=[Path("/home/alice/Pictures")],
        output=Path("/home/alice/Repaired"),
        state=Path("/var/tmp/state"),  # noqa: S108  # only named
        report=Path("/srv/www/report.html"),
    )
    assert _lines(text)[5:] == [
        "[Service]",
        "ProtectHome=tmpfs",
        'BindReadOnlyPaths="-/home/alice/Pictures"',
        'BindPaths="-/home/alice/Repaired"',
        'BindPaths="-/var/tmp/state"',
        'ReadWritePaths="-/srv/www"',
    ]


def test_another_config_is_what_the_service_starts_with() -> None:
    text = drop_in(
        imports=[Path("/in")], output=Path("/out"), state=UNIT_STATE, config=Path("/root/$c%.yaml")
    )
    assert "ExecStart=\n" in text
    assert f'ExecStart={UNIT_START} "/root/$$c%%.yaml"\n' in text
    assert 'BindReadOnlyPaths="-/root/$c%%.yaml"\n' in text


def test_odd_names_are_escaped_and_impossible_ones_refused() -> None:
    text = drop_in(imports=[Path('/a b/"c":\\d%i')], output=Path("/o"), state=UNIT_STATE)
    assert 'ReadOnlyPaths="-/a b/\\"c\\":\\\\d%%i"' in text
    for name in ("/a\nUser=root", "/\udcff", "/\x7f"):
        with pytest.raises(ValueError, match="a unit file cannot name"):
            drop_in(imports=[Path(name)], output=Path("/o"), state=UNIT_STATE)


def test_the_unit_is_what_the_drop_in_thinks_it_is() -> None:
    unit = UNIT.read_text()
    assert f"ExecStart={UNIT_START} {UNIT_CONFIG}\n" in unit
    assert f"StateDirectory={UNIT_STATE.name}\n" in unit
    assert "RestartPreventExitStatus=2 65 78\n" in unit


def _with_drop_in(folder: Path, unit: Path, text: str = "") -> Path:
    """Copy ``unit`` with a program that exists, since verify looks for it, and a drop-in."""
    program = f"ExecStart={sys.executable} -m hotpixeld run -c"
    copy = folder / unit.name
    start = unit.read_text().replace(f"ExecStart={UNIT_START}", program)
    copy.write_text(start.replace("%h/.local/bin/hotpixeld", sys.executable))
    if text:
        (folder / f"{unit.name}.d").mkdir()
        (folder / f"{unit.name}.d/folders.conf").write_text(
            text.replace(f"ExecStart={UNIT_START}", program)
        )
    return copy


def _verify(*units: Path, user: bool = False) -> None:
    manager = ["--user"] if user else []
    runtime = str(units[0].parent)  # where a user's manager has its socket, if it runs
    done = subprocess.run(
        ["systemd-analyze", *manager, "verify", "--man=no", "--recursive-errors=no", *units],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"XDG_RUNTIME_DIR": runtime},
    )
    assert done.stderr == ""
    assert done.returncode == 0


HOME_FOLDERS = drop_in(
    imports=[Path("/home/al ice/Pi:c%tures")],
    output=Path('/home/al ice/"out"'),
    state=Path("/var/lib/elsewhere"),
    config=Path("/home/al ice/c.yaml"),
)


@needs_systemd
@pytest.mark.parametrize("text", ["", HOME_FOLDERS], ids=["plain", "with drop-in"])
def test_systemd_finds_nothing_wrong_with_the_unit_and_little_exposed(
    tmp_path: Path, text: str
) -> None:
    unit = _with_drop_in(tmp_path, UNIT, text)
    _verify(unit)
    done = subprocess.run(
        [
            *("systemd-analyze", "security", "--offline=true", "--no-pager"),
            *(f"--threshold={MOST_EXPOSURE_TENTHS}", unit),
        ],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout[-2000:]


@needs_systemd
@pytest.mark.parametrize("line", ["ProtectSystme=strict", "ReadWritePaths=relative"])
def test_a_mistake_in_a_drop_in_would_be_found(tmp_path: Path, line: str) -> None:
    unit = _with_drop_in(tmp_path, UNIT, f"[Service]\n{line}\n")
    with pytest.raises(AssertionError):
        _verify(unit)


@needs_systemd
def test_systemd_finds_nothing_wrong_with_the_user_unit_and_the_examples(tmp_path: Path) -> None:
    _verify(_with_drop_in(tmp_path, SYSTEMD / "user/hotpixeld.service"), user=True)
    _verify(*(SYSTEMD / "examples").glob("hotpixeld-notify.*"))
