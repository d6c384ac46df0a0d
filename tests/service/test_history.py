"""What is kept of each photo at a sensor's best sites."""

import struct
from pathlib import Path

import numpy as np

from fakecamera import Defect, FakeCamera
from hotpixeld.core.observe import surroundings
from hotpixeld.edge.ledger import Ledger
from hotpixeld.edge.rows import SensorRow
from hotpixeld.service.history import History, read_history
from hotpixeld.service.quiet import QuietWork
from service.test_accumulation import config_in, opened
from service.test_kinship import LOOSE, arrive, settle


def read(ledger: Ledger, sensor: SensorRow) -> History:
    history = read_history(ledger, sensor)
    assert history is not None
    return history


def test_the_light_at_the_sites_is_kept_and_observations_without_it_are_read(
    tmp_path: Path,
) -> None:
    shots = FakeCamera(160, 120, seed=8, defects=[Defect(40, 70, level=1.0)]).shoot(20)
    with opened(config_in(tmp_path, LOOSE)) as state:
        work = QuietWork(state, lambda: 0.0)
        for shot in shots:
            arrive(state, shot.name, shot.jpeg, work)
            settle(work)
        (sensor,) = state.ledger.sensors()
        history = read(state.ledger, sensor)
        sites = history.observations.sites
        last = surroundings(shots[-1].frame.astype(np.uint8), sites)
        assert np.array_equal(history.surroundings[-1], last)
        assert history.iso[-1] == shots[-1].iso
        found = history.of(40, 70)
        assert found is not None
        assert found[0].after is None

        count = len(sites)
        residuals = history.observations.values[-1].astype("<i2").tobytes()
        earlier_form = struct.pack("<IB", count, 3) + sites.astype("<i4").tobytes() + residuals
        newest = state.ledger.db.execute(
            "SELECT id FROM photos ORDER BY captured_at DESC LIMIT 1"
        ).fetchone()[0]
        state.ledger.update_photo(newest, observations=earlier_form)
        again = read(state.ledger, sensor)
        assert np.array_equal(again.observations.values, history.observations.values)
        assert not again.surroundings[-1].any()
        assert again.of(40, 70) is not None
