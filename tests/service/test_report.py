"""The report of a real import folder, read as text and in a real browser."""

import os
import re
import time
from html.parser import HTMLParser
from pathlib import Path

import pytest

from browser import chromium, open_page
from fakecamera import Defect, FakeCamera, Shot
from running import RunningDaemon, hotpixeld, running, wait_for

STUCK = Defect(60, 80, level=0.95)
HOSTILE = (
    '"><img src=x onerror=alert(1)>.jpg',
    "<script>alert(2)<\u2028script>.jpg",
    "'onmouseover=alert(3) x='.jpg",
    "{{ 7*7 }}{% raw %}.jpg",
    "line\nbreak and \u202egpj.exe.jpg",
)
MODEL = "<script>alert(4)</script> & 'Camera'"

needs_chromium = pytest.mark.skipif(
    chromium() is None, reason="NO BROWSER: apt-get install chromium; the report is not rendered"
)


@pytest.fixture(scope="module")
def shots() -> list[Shot]:
    return FakeCamera(320, 240, seed=5, defects=[STUCK], model=MODEL).shoot(22)


@pytest.fixture(scope="module")
def scanned(tmp_path_factory: pytest.TempPathFactory, shots: list[Shot]) -> RunningDaemon:
    """Return a folder in which `scan` has seen 20 photos, some of them with hostile names."""
    daemon = RunningDaemon(tmp_path_factory.mktemp("scanned"), start=False)
    for number, shot in enumerate(shots[:20]):
        name = HOSTILE[number // 4] if number % 4 == 0 else shot.name
        daemon.drop(name, shot.jpeg)
    for name in HOSTILE:
        daemon.drop(f"refused {name}", b"no photo")
    (daemon.imports / os.fsdecode(b"not utf-8 \xff.jpg")).write_bytes(b"no photo either")
    text = daemon.config.read_text().replace("report: false", "report: auto")
    daemon.config.write_text(text)
    done = hotpixeld("scan", "-c", daemon.config)
    assert done.returncode == 0, done.stderr
    assert "report.html" in done.stdout
    return daemon


@pytest.fixture(scope="module")
def page(scanned: RunningDaemon) -> Path:
    return scanned.state / "report.html"


class Outline(HTMLParser):
    """The tags of a page, with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_it_says_what_was_found_why_and_how_to_say_otherwise(
    page: Path, scanned: RunningDaemon
) -> None:
    text = page.read_text()
    assert f"{STUCK.column},{STUCK.row} · stuck" in text
    assert "practically certain" in text
    assert "Surer than asked" in text
    command = f"hotpixeld pixels reject -c {scanned.config} --sensor "
    assert command in text.replace("&#39;", "'")
    assert "truncated" in text or "not-a-photo" in text
    assert "not utf-8 \\xff.jpg" in text


def test_nothing_in_it_loads_anything_or_runs(page: Path) -> None:
    outline = Outline(page.read_text())
    tags = {tag for tag, _ in outline.tags}
    assert not tags & {"script", "iframe", "object", "embed", "form", "base"}
    for tag, attributes in outline.tags:
        assert not [name for name in attributes if name.startswith("on")], (tag, attributes)
        for name in ("src", "href"):
            address = attributes.get(name)
            assert address is None or address.startswith(("data:image/png", "#")), address


def test_every_picture_has_its_words_and_every_table_its_headings(page: Path) -> None:
    tags = Outline(page.read_text()).tags
    assert all(attributes.get("alt") for tag, attributes in tags if tag == "img")
    assert all(attributes.get("scope") for tag, attributes in tags if tag == "th")
    assert all(attributes.get("aria-label") for tag, attributes in tags if tag == "svg")
    names = [tag for tag, _ in tags]
    assert names.count("caption") == names.count("table") > 0
    assert names.count("h1") == 1
    assert {"main", "nav", "header", "footer"} <= set(names)
    ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = {a["href"] for t, a in tags if t == "a" and (a.get("href") or "").startswith("#")}
    assert {str(link)[1:] for link in links} <= {str(name) for name in ids}


@needs_chromium
@pytest.mark.parametrize(
    ("width_px", "dark"), [(390, True), (900, False), (1440, True)], ids=["phone", "pad", "desk"]
)
def test_a_browser_shows_it_whole_and_asks_for_nothing(
    page: Path, width_px: int, *, dark: bool
) -> None:
    with open_page(page, width_px=width_px, dark=dark) as tab:
        pictures = tab.value("[...document.images].map(i => i.complete && i.naturalWidth)")
        assert len(pictures) >= 6
        assert all(width > 0 for width in pictures)
        assert tab.value("document.querySelectorAll('svg.plot circle').length") >= 12
        too_wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert tab.value(too_wide) == 0
        back = tab.value("getComputedStyle(document.body).backgroundColor")
        channels = [int(part) for part in re.findall(r"\d+", back)[:3]]
        assert (sum(channels) < 200) == dark
        assert tab.requested() == [page.as_uri()]
        assert tab.complaints() == []


@needs_chromium
def test_hostile_names_are_text_and_nothing_else(page: Path) -> None:
    with open_page(page) as tab:
        shown = tab.value("document.body.textContent")
        for name in HOSTILE[:1] + HOSTILE[3:4]:
            assert f"refused {name}" in shown
        assert MODEL in shown
        assert "\\u202e" in shown
        assert tab.value("document.scripts.length") == 0
        assert tab.value("document.querySelectorAll('[onerror],[onmouseover]').length") == 0
        tab.value("new Promise(done => setTimeout(done, 300))")
        assert tab.complaints() == []


def test_the_command_writes_it_where_asked_and_says_where(
    scanned: RunningDaemon, tmp_path: Path
) -> None:
    target = tmp_path / "there.html"
    done = hotpixeld("report", "-c", scanned.config, "-o", target)
    assert (done.returncode, done.stdout) == (0, f"{target}\n"), done.stderr
    assert "</html>" in target.read_text()
    missing = hotpixeld("report", "-c", scanned.config, "-o", tmp_path / "no" / "there.html")
    assert missing.returncode == 1
    assert "no/there.html: No such file" in missing.stderr


def test_the_daemon_writes_it_and_again_when_it_has_ranked_or_heard_a_word(
    tmp_path: Path, shots: list[Shot]
) -> None:
    def told(text: str) -> bool:
        return report.exists() and text in report.read_text()

    with running(tmp_path, start=False) as daemon:
        daemon.config.write_text(daemon.config.read_text().replace("report: false", ""))
        report = daemon.state / "report.html"
        daemon.start()
        wait_for(lambda: told("No photo has come yet"), "there is one from the start")
        for shot in shots[:20]:
            daemon.drop(shot.name, shot.jpeg)
        wait_for(lambda: told(f"{STUCK.column},{STUCK.row} · stuck"), "the defect is told")
        assert "Running mean around" in report.read_text()
        before = report.stat().st_mtime_ns
        beside = hotpixeld("report", "-c", daemon.config, "-o", tmp_path / "beside.html")
        assert beside.returncode == 0, beside.stderr
        assert "running, process" in (tmp_path / "beside.html").read_text()
        done = hotpixeld("pixels", "reject", "-c", daemon.config, f"{STUCK.column},{STUCK.row}")
        assert done.returncode == 0
        wait_for(lambda: told("you rejected it"), "the word is told")
        assert report.stat().st_mtime_ns > before
        daemon.config.write_text("version: 1\nimprt: x\n" + daemon.config.read_text())
        wait_for(lambda: told("config-bad"), "the mistake in the config is told")
        assert daemon.stop() == 0


def test_a_report_that_cannot_be_written_is_a_problem_and_stops_nothing(
    tmp_path: Path, shots: list[Shot]
) -> None:
    with running(tmp_path, start=False) as daemon:
        (tmp_path / "gone").mkdir()
        text = daemon.config.read_text().replace("report: false", "report: ./gone/report.html")
        daemon.config.write_text(text)
        (tmp_path / "gone").rmdir()
        daemon.start()
        wait_for(
            lambda: "report-failing" in {p["code"] for p in daemon.status()["problems"]},
            "the problem is told",
        )
        daemon.drop(shots[0].name, shots[0].jpeg)
        daemon.wait_counted(1)
        (tmp_path / "gone").mkdir()
        deadline = time.monotonic() + 60
        while not (tmp_path / "gone" / "report.html").exists():
            assert time.monotonic() < deadline
            time.sleep(0.2)
        wait_for(lambda: not daemon.status()["problems"], "it is well again")
        assert daemon.stop() == 0
