"""The sdist has everything, and the wheel that is built from it alone has what is used."""

import tarfile
import zipfile
from pathlib import Path, PurePosixPath

import pytest

from sources import ROOT, build, copy_sources, source_files

pytestmark = pytest.mark.skipif(not (ROOT / ".git").exists(), reason="NOT TESTED: not in git")


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sdist")
    copy_sources(folder / "source")
    archive = build(folder / "source", "sdist", folder / "dist")
    with tarfile.open(archive) as tar:
        if hasattr(tarfile, "data_filter"):  # Debian 12's Python has none
            tar.extractall(folder, filter="data")
        else:
            tar.extractall(folder)  # noqa: S202 (our own archive)
    return folder / archive.name.removesuffix(".tar.gz")


@pytest.fixture(scope="module")
def wheel(sdist: Path) -> set[str]:
    with zipfile.ZipFile(build(sdist, "wheel", sdist.parent / "wheel")) as archive:
        return set(archive.namelist())


def test_the_sdist_has_every_source_but_git_s_own_and_ci_s(sdist: Path) -> None:
    wanted = {name for name in source_files() if not name.startswith((".git", ".ci/"))}
    assert {name for name in wanted if not (sdist / name).is_file()} == set()


def test_the_wheel_has_the_whole_package_and_no_source_of_the_kernel(wheel: set[str]) -> None:
    wanted = {
        str(PurePosixPath(name).relative_to("daemon"))
        for name in source_files()
        if name.startswith("daemon/")
    }
    assert {"hotpixeld/py.typed", "hotpixeld/templates/report.html"} <= wanted
    assert wanted <= wheel
    assert not [name for name in wheel if name.endswith(".c")]


def test_the_wheel_brings_manuals_completions_units_and_the_example(wheel: set[str]) -> None:
    shared = {name.partition(".data/data/share/")[2] for name in wheel} - {""}
    files = [name for name in source_files() if name.startswith(("docs/man/", "completions/"))]
    files += [name for name in source_files() if name.startswith("systemd/")]
    files += ["config.example.yaml", "config.schema.json"]
    assert {PurePosixPath(name).name for name in shared} == {PurePosixPath(n).name for n in files}
    assert {"man/man1/hotpixeld.1", "bash-completion/completions/hotpixeld.bash"} <= shared
