import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotpixeld.config import Config, load_config, parse_config, state_folder
from hotpixeld.core.sensor import Sensor
from hotpixeld.errors import ConfigError

FOLDERS = "import: in\noutput: out\nstate: st\n"


def _load(text: str, folder: Path = Path("/f")) -> Config:
    return parse_config(text, folder)


def _problems(text: str, folder: Path = Path("/f")) -> list[str]:
    """Return each problem as ``LINE:COL: key: message``."""
    with pytest.raises(ConfigError) as caught:
        parse_config(text, folder, "x.yaml")
    assert caught.value.exit_code == 78
    return [line.removeprefix("x.yaml:") for line in str(caught.value).splitlines()]


def test_three_folders_are_a_whole_config() -> None:
    config = _load(FOLDERS)
    assert config.import_folders == (Path("/f/in"),)
    assert config.output == Path("/f/out")
    assert config.watch.settle_s == 2.0
    assert config.watch.rescan_s == 300.0
    assert config.copies.min_free_bytes == 500 * 1024**2
    assert config.limits.memory_bytes is None
    assert config.limits.max_pixels == 400_000_000
    assert config.report_path == Path("/f/st/report.html")


def test_values_have_their_types_and_units() -> None:
    config = _load(
        "version: 1\nimport: [in, /abs/x]\noutput: sub/../out\nstate: 'st'\n"
        "watch: {settle: 500ms, rescan: 1.5 h, ignore: ['*.bak', 'a/[!x]?']}\n"
        "detection: {min_photos: 3, false_alarms: 1e-3, skip_similar: false}\n"
        "copies: {min_free: 1GB, name: '{camera}/{stem}-{date}{ext}'}\nreport: false\n"
        "limits: {memory: 1GiB, pixels: 12.5M}\nlog: {format: journald}\n"
    )
    assert config.import_folders == (Path("/f/in"), Path("/abs/x"))
    assert config.output == Path("/f/out")
    assert (config.watch.settle_s, config.watch.rescan_s) == (0.5, 5400.0)
    assert config.watch.ignore == ("*.bak", "a/[!x]?")
    assert config.detection.false_alarms == 0.001
    assert config.copies.min_free_bytes == 10**9
    assert config.limits.memory_bytes == 1024**3
    assert config.limits.max_pixels == 12_500_000
    assert config.report_path is None


def test_a_section_whose_lines_are_commented_out_has_its_defaults() -> None:
    assert _load(FOLDERS + "watch:\n  # settle: 5s\nsensors:\n") == _load(FOLDERS)


def test_every_problem_is_told_at_once_with_its_place() -> None:
    assert _problems(
        "version: 2\n"
        "import: ./a\n"
        "output: ./a/../a/b\n"
        "stat: s\n"
        "watch:\n"
        "  mode: atuo\n"
        "  settel: 2s\n"
        "  rescan: 5\n"
        "  rescan: 6s\n"
        "detection:\n"
        "  min_photos: true\n"
        "  window: 0644\n"
        "  skip_similar: yes\n"
        "settle: 2s\n"
        "copies: {name: '{nmae}', min_free: 5M}\n"
        "limits: {memory: 1MiB, pixels: 0}\n"
        "log: text\n"
        "repair: {quality: 101}\n"
    ) == [
        "1:1: state: is missing",
        "1:10: version: must be 1",
        "3:9: output: is inside the import folder /f/a",
        '4:1: stat: unknown key, did you mean "state"?',
        "6:9: watch.mode: must be auto, inotify or poll; did you mean auto?",
        '7:3: watch.settel: unknown key, did you mean "settle"?',
        (
            "8:11: watch.rescan: must be a duration with its unit: ms, s, min, h or d, "
            "as in 2s or 5min"
        ),
        "9:3: watch.rescan: is given twice, first in line 8",
        "11:15: detection.min_photos: must be a whole number",
        "12:11: detection.window: must be a whole number",
        "13:17: detection.skip_similar: must be true or false",
        '14:1: settle: unknown key here, did you mean "watch.settle"?',
        (
            "15:16: copies.name: has a field that is not known: {nmae}; "
            "there are {name}, {stem}, {ext}, {date}, {camera}"
        ),
        (
            "15:36: copies.min_free: must be a size with its unit: B, KiB, MiB, GiB, TiB "
            "(or kB, MB, GB, TB), as in 500MiB"
        ),
        "16:18: limits.memory: must be at least 64MiB, or auto",
        "16:32: limits.pixels: must be at least 1",
        "17:6: log: must hold keys and values",
        "18:19: repair.quality: must be at most 100",
    ]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("watch: {settle: 0s}", "4:17: watch.settle: must be 50ms to 1h"),
        ("watch: {settle: 2m}", "4:17: watch.settle: must be a duration with its unit"),
        ("watch: {settle: '2s\n'}", "4:17: watch.settle: must be a duration with its unit"),
        ("watch: {ignore: ['a[b']}", "4:18: watch.ignore[0]: has a [ without its ]"),
        ("watch: {ignore: [/a]}", "4:18: watch.ignore[0]: must be relative"),
        ("watch: {ignore: ['']}", "4:18: watch.ignore[0]: must be a glob"),
        ("watch: {ignore: '*.x'}", "4:17: watch.ignore: must be a list"),
        ("watch: {mode: }", "4:14: watch.mode: has no value: it must be auto, inotify or poll"),
        ("detection: {window: 10}", "4:21: detection.window: must be at least min_photos (15)"),
        ("detection: {false_alarms: 0}", "4:27: detection.false_alarms: must be more than 0"),
        ("detection: {every: 1.5}", "4:20: detection.every: must be a whole number"),
        ("copies: {name: '{name'}", "4:16: copies.name: is not a template"),
        ("copies: {name: '{name!r}'}", "4:16: copies.name: has a field that is not known"),
        ("copies: {name: '{stem:>9}'}", "4:16: copies.name: has a field that is not known"),
        ("copies: {name: '{name.x}'}", "4:16: copies.name: has a field that is not known"),
        ("copies: {name: fixed.jpg}", "4:16: copies.name: must hold at least one of"),
        ("copies: {name: '../{name}'}", "4:16: copies.name: must stay below the output folder"),
        ("copies: {name: '/{name}'}", "4:16: copies.name: must stay below the output folder"),
        ("report: true", "4:9: report: must be a path"),
        ("report: in/r.html", "4:9: report: is inside the import folder /f/in"),
        ("sensors: [{key: k}]", "4:11: sensors[0].pixels: is missing"),
        ("sensors: [{pixels: []}]", "4:11: sensors[0]: must name its sensor: by key, or by"),
        ("sensors: [{key: k, pixels: [[1]]}]", "4:29: sensors[0].pixels[0][1]: is missing"),
        ("sensors: [{key: k, pixels: [[1, 2, 3]]}]", "4:29: sensors[0].pixels[0]: has too many"),
        ("sensors: [{key: k, pixels: [[1, -2]]}]", "4:33: sensors[0].pixels[0][1]: must be at l"),
        ("sensors: [{key: k, pixels: [[1, true]]}]", "4:33: sensors[0].pixels[0][1]: must be a w"),
        (
            "sensors: [{width: 5, height: 5, pixels: [[5, 0]]}]",
            "4:11: sensors[0]: pixel [5, 0] is outside 5x5",
        ),
        ("sensors: [{key: k, model: m, pixels: []}]", "4:11: sensors[0]: must name its sensor by"),
    ],
)
def test_a_bad_value_is_told_at_its_place(line: str, problem: str) -> None:
    (found,) = _problems(FOLDERS + line)
    assert found.startswith(problem)


@pytest.mark.parametrize("text", ["", "# nothing\n", "[]", "just text", "5"])
def test_what_is_no_mapping_is_told(text: str) -> None:
    assert _problems(text)[0].startswith("1:1: ")


@pytest.mark.parametrize("value", ["", "''", "5", "true", "[]", "[[x]]", "{a: b}"])
def test_an_import_folder_must_be_a_path(value: str) -> None:
    (found,) = _problems(f"import: {value}\noutput: out\nstate: st\n")
    assert found.startswith("1:")
    assert "import" in found


def test_after_a_syntax_error_what_was_not_read_is_not_called_missing() -> None:
    first, second = _problems('import: in\nwatch: {mod: auto}\nlog: "unclosed\n')
    assert first == '2:9: watch.mod: unknown key, did you mean "mode"?'
    assert second.startswith("4:1: not YAML")


@given(
    st.recursive(
        st.sampled_from(["auto", "2s", "x", "", "{name}", "..", "\0", "\ud800"])
        | st.integers(-2, 70000)
        | st.booleans()
        | st.none()
        | st.floats(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["import", "output", "state", "watch", "mode", "pixels", "sensors"]
                ),
                inner,
            )
        ),
        max_leaves=12,
    )
)
def test_whatever_the_file_says_it_loads_or_lists_its_problems(value: object) -> None:
    try:
        _load(json.dumps(value))
    except ConfigError as error:
        problems = error.problems
    else:
        return
    assert problems
    assert all(p.message and p.line >= 1 and p.column >= 1 for p in problems)


def test_a_file_that_cannot_be_read_is_a_config_error(tmp_path: Path) -> None:
    missing, folder = tmp_path / "none.yaml", tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "latin.yaml").write_bytes(b"import: in\noutput: \xe9\n")
    (tmp_path / "large.yaml").write_bytes(b"#" * (4 * 1024**2 + 1))
    for path, message in [
        (missing, "1:1: cannot be read: No such file or directory"),
        (folder, "1:1: cannot be read: Is a directory"),
        (tmp_path / "latin.yaml", "2:9: is not UTF-8 text"),
        (tmp_path / "large.yaml", "1:1: is larger than 4 MiB"),
    ]:
        with pytest.raises(ConfigError) as caught:
            load_config(path)
        assert str(caught.value) == f"{path}:{message}"


def test_paths_are_relative_to_where_the_config_is_named(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "named").mkdir()
    (tmp_path / "real/c.yaml").write_text("\ufeff" + FOLDERS)
    (tmp_path / "named/c.yaml").symlink_to("../real/c.yaml")
    assert load_config(tmp_path / "named/c.yaml").state == tmp_path / "named/st"


def test_a_tilde_is_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/alice")
    config = _load("import: ~/Pictures\noutput: '~/out'\nstate: x~\n")
    assert config.import_folders == (Path("/home/alice/Pictures"),)
    assert config.output == Path("/home/alice/out")
    assert config.state == Path("/f/x~")


def test_the_state_folder_is_found_even_in_a_bad_config(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("state: ./s\nwatch: {mode: nonsense}\noutput: [")
    assert state_folder(path) == tmp_path / "s"
    path.write_text("output: x\n")
    with pytest.raises(ConfigError, match="state: must be a path"):
        state_folder(path)


def test_known_pixels_match_their_sensor_by_what_is_given() -> None:
    sensor = Sensor("NIKON", "COOLPIX L6", "", 2816, 2112, 3, 8, "jpeg")
    config = _load(
        FOLDERS + "sensors:\n"
        f"- {{key: {sensor.key}, pixels: [[411, 236]]}}\n"
        "- {model: COOLPIX L6, width: 2816, height: 2112, pixels: []}\n"
        "- {model: COOLPIX L7, width: 2816, height: 2112, pixels: []}\n"
        "- {key: other, pixels: []}\n"
    )
    assert [known.matches(sensor) for known in config.sensors] == [True, True, False, False]
    assert config.sensors[0].pixels == ((411, 236),)
