from pathlib import Path

import pytest

from hotpixeld.config import find_config
from hotpixeld.errors import UsageError


def test_what_is_named_goes_before_the_environment_and_that_before_the_home(tmp_path: Path) -> None:
    usual = tmp_path / ".config/hotpixeld/hotpixeld.yaml"
    usual.parent.mkdir(parents=True)
    usual.write_text("")
    environ = {"HOME": str(tmp_path), "HOTPIXELD_CONFIG": "/env.yaml"}
    assert find_config(Path("x.yaml"), environ) == Path("x.yaml")
    assert find_config(None, environ) == Path("/env.yaml")
    assert find_config(None, {"HOME": str(tmp_path)}) == usual


def test_the_current_folder_is_never_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hotpixeld.yaml").write_text("")
    monkeypatch.chdir(tmp_path)
    if Path("/etc/hotpixeld/hotpixeld.yaml").exists():
        assert find_config(None, {}) == Path("/etc/hotpixeld/hotpixeld.yaml")
    else:
        with pytest.raises(UsageError, match="no config file"):
            find_config(None, {})
