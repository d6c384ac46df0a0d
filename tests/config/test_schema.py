"""The example, the defaults, the schema and the code say the same."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from hotpixeld.config import Config, json_schema, load_config, parse_config
from hotpixeld.config.units import pixel_count, seconds, size_bytes
from hotpixeld.errors import ConfigError

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "config.example.yaml"
LEAST = "import: ./photos/import\noutput: ./photos/repaired\nstate: ./photos/state\n"


def _section_keys(schema: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    keys: dict[str, Any] = {}
    for key, value in part["properties"].items():
        name = value.get("$ref", "").removeprefix("#/$defs/")
        keys[key] = _section_keys(schema, schema["$defs"][name]) if name else value
    return keys


def test_the_example_holds_every_key_with_its_default_and_the_schema_says_the_same() -> None:
    example = yaml.safe_load(EXAMPLE.read_text())
    schema = json_schema()
    keys = _section_keys(schema, schema)
    assert list(example) == list(keys)
    for key, value in example.items():
        if isinstance(value, dict):
            assert list(value) == list(keys[key])
            assert value == {inner: told["default"] for inner, told in keys[key].items()}
        elif "default" in keys[key]:
            assert value == keys[key]["default"]
    assert load_config(EXAMPLE) == parse_config(LEAST, ROOT)


def test_every_key_is_described_in_the_schema() -> None:
    schema = json_schema()
    for key, value in _section_keys(schema, schema).items():
        for inner, told in value.items() if "type" not in value and "anyOf" not in value else ():
            assert told["description"], f"{key}.{inner}"


def test_the_schema_is_a_schema_and_the_example_fits_it() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())
    jsonschema.validate(yaml.safe_load(EXAMPLE.read_text()), json_schema())


def test_editors_find_the_schema_offline() -> None:
    first_line = EXAMPLE.read_text().splitlines()[0]
    match = re.fullmatch(r"# yaml-language-server: \$schema=\./(\S+)", first_line)
    assert match
    written = (ROOT / match[1]).read_text()
    assert json.loads(written) == json_schema(), (
        "write it anew: hotpixeld config-schema > config.schema.json"
    )


@pytest.mark.parametrize(
    "line",
    [
        "watch: {mode: atuo}",
        "watch: {settle: 2}",
        "watch: {settel: 2s}",
        "detection: {min_photos: x}",
        "detection: {false_alarms: 0}",
        "repair: {quality: 0}",
        "copies: {min_free: 5M}",
        "limits: {pixels: x}",
        "sensors: [{key: k, pixels: [[1]]}]",
        "version: 2",
        "report: 5",
    ],
)
def test_what_the_schema_refuses_the_loader_refuses(line: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(LEAST + line), json_schema())
    with pytest.raises(ConfigError):
        parse_config(LEAST + line, ROOT)


def test_a_config_cannot_be_changed() -> None:
    config = parse_config(LEAST, ROOT)
    with pytest.raises(ValueError, match="frozen"):
        config.watch.mode = "poll"
    assert isinstance(config, Config)
    assert config.watch.mode == "auto"


def test_units_are_what_they_say() -> None:
    assert seconds("1.5 h", least="0s", most="1d") == 5400
    assert seconds("20ms", least="0s", most="1d") == 0.02
    assert size_bytes("1.5KiB") == 1536
    assert size_bytes("0B") == 0
    assert pixel_count("2 k") == 2000
    assert pixel_count(7) == 7
    for wrong in ("", "5", "5 s s", "-5s", "٣s", "5S", None, 5, True, "1e3s", "inf s"):
        with pytest.raises(ValueError, match="must be"):
            seconds(wrong, least="0s", most="1d")
        with pytest.raises(ValueError, match="must be"):
            size_bytes(wrong)
    for no_count in (object(), None, "5 px", 1.5, False):
        with pytest.raises(ValueError, match="must be"):
            pixel_count(no_count)


def test_the_state_folder_is_known_without_importing_the_validator() -> None:
    code = (
        "import sys, pathlib, hotpixeld.config as c; c.state_folder(pathlib.Path(sys.argv[1]));"
        "sys.exit('pydantic' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, EXAMPLE], check=True, env=_environ())


def _environ() -> dict[str, str]:
    return {"PYTHONPATH": str(ROOT / "daemon")}
