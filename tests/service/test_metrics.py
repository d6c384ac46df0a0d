"""The metrics file says what `status` says, in a syntax that Prometheus' own parser takes."""

import os
import sys
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from fakecamera import FakeCamera
from running import RunningDaemon, wait_for


def figures(file: Path) -> dict[tuple[str, ...], float]:
    """Return the samples by name and labels."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(file.read_text())
        for sample in family.samples
    }


@pytest.fixture
def daemon(tmp_path: Path) -> RunningDaemon:
    return RunningDaemon(tmp_path, start=False, more="metrics: ./figures.prom")


def test_the_figures_are_those_of_the_status_and_the_end_is_told(daemon: RunningDaemon) -> None:
    for shot in FakeCamera(160, 120, seed=3).shoot(4):
        daemon.drop(shot.name, shot.jpeg)
    file = daemon.folder / "figures.prom"
    with daemon:
        daemon.start()
        daemon.wait_counted(4)
        wait_for(file.exists, "the figures are there")
        assert figures(file)["hotpixeld_up",] == 1
        assert daemon.stop() == 0
        told, status = figures(file), daemon.status()
        assert told["hotpixeld_up",] == 0
        assert told["hotpixeld_problems",] == len(status["problems"]) == 0
        for name, count in status["photos"].items():
            assert told["hotpixeld_photos", name] == count
        key = status["sensors"][0]["sensor"]["key"]
        assert told["hotpixeld_sensor_photos", key] == 4
        assert told["hotpixeld_last_photo_timestamp_seconds",] > 1.7e9


def test_without_the_extra_a_problem_says_so_and_nothing_stops(
    daemon: RunningDaemon, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hiding = tmp_path / "hiding" / "prometheus_client"
    hiding.mkdir(parents=True)
    (hiding / "__init__.py").write_text("raise ImportError\n")
    monkeypatch.setattr("running.environment", lambda: _with_path(hiding.parent))
    with daemon:
        daemon.start()
        wait_for(
            lambda: [p["code"] for p in daemon.status()["problems"]] == ["metrics-extra"],
            "the missing package is told",
        )
        assert daemon.stop() == 0
    assert not (daemon.folder / "figures.prom").exists()


def _with_path(folder: Path) -> dict[str, str]:
    package = Path(sys.modules["hotpixeld"].__file__ or "").parent.parent
    return {**os.environ, "PYTHONPATH": f"{folder}:{package}"}
