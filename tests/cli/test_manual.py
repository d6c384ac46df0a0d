"""Man pages and completions: what is committed is what the commands and the schema make."""

import shutil
import subprocess
from pathlib import Path

import pytest

from hotpixeld.cli.manual import made_files
from hotpixeld.cli.parser import build_parser
from hotpixeld.cli.tree import commands

ROOT = Path(__file__).parents[2]
MADE = made_files()
PAGES = ("docs/man/hotpixeld.1", "docs/man/hotpixeld.yaml.5")


def needs(program: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(
        shutil.which(program) is None, reason=f"NO {program.upper()}: its check does not run"
    )


def output(*command: str, text: str = "") -> str:
    done = subprocess.run(
        command, input=text, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout


@pytest.mark.parametrize("name", MADE)
def test_what_is_committed_is_what_is_made(name: str) -> None:
    assert (ROOT / name).read_text() == MADE[name], "run `make docs`"


def test_every_command_and_every_key_is_on_its_page() -> None:
    page = MADE["docs/man/hotpixeld.1"].replace("\\-", "-")
    for command in commands(build_parser()):
        assert command.inner or f".SS {command.name}" in page
        assert command.help
    keys = MADE["docs/man/hotpixeld.yaml.5"]
    for key in ("import", "watch.settle", "repair.when", "limits.pixels", "sensors[].pixels"):
        assert f".B {key}\n" in keys
    assert "Undefined" not in keys
    assert "Default: 2s." in keys


@needs("man")
@pytest.mark.parametrize("page", PAGES)
def test_man_has_nothing_to_say_against_a_page(page: str) -> None:
    assert "hotpixeld" in output("man", "--warnings", "-l", str(ROOT / page))


@needs("mandoc")
@pytest.mark.parametrize("page", PAGES)
def test_mandoc_has_nothing_to_say_against_a_page_but_its_date(page: str) -> None:
    done = subprocess.run(
        ["mandoc", "-T", "lint", "-W", "warning", str(ROOT / page)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert [line for line in done.stdout.splitlines() if "missing date" not in line] == []


def completed(line: str) -> set[str]:
    """Return what bash offers for a line that ends where the cursor is."""
    script = ROOT / "completions" / "hotpixeld.bash"
    words = line.split(" ")
    quoted = " ".join(f"'{word}'" for word in words)
    asked = (
        f"source {script}; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _hotpixeld; "
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    return set(output("bash", "--norc", "-c", asked).split())


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("hotpixeld sc", {"scan"}),
        ("hotpixeld pixels ", {"list", "confirm", "reject", "forget", "add", "export", "import"}),
        ("hotpixeld pixels export --format s", {"siril"}),
        ("hotpixeld status --j", {"--json"}),
        ("hotpixeld photos list --state ref", {"refused"}),
        ("hotpixeld run -c pyproj", {"pyproject.toml"}),
        ("hotpixeld find README.md --jobs ", set()),
    ],
)
def test_bash_completes(line: str, offered: set[str]) -> None:
    found = {word for word in completed(line) if not (line.endswith(" ") and word[0] == "-")}
    assert found == offered


@needs("fish")
def test_fish_completes() -> None:
    source = f"source {ROOT}/completions/hotpixeld.fish; "
    found = output("fish", "--no-config", "-c", f"{source}complete -C 'hotpixeld pixels ex'")
    assert found.split("\t")[0] == "export"
    states = output(
        "fish", "--no-config", "-c", f"{source}complete -C 'hotpixeld photos list --state ref'"
    )
    assert states.split("\t")[0] == "refused"


@needs("zsh")
def test_zsh_takes_its_completions() -> None:
    output("zsh", "-f", "-n", str(ROOT / "completions" / "_hotpixeld"))
    loaded = (
        f"fpath=({ROOT}/completions $fpath); autoload -Uz compinit; compinit -D -u; "
        "print $_comps[hotpixeld]"
    )
    assert output("zsh", "-f", "-c", loaded).strip() == "_hotpixeld"
