"""One body at two geometries, and two bodies that claim to be one."""

from pathlib import Path

import numpy as np

from fakecamera import Defect, FakeCamera, from_jpeg, to_jpeg
from hotpixeld.core import reasons
from hotpixeld.service.quiet import QuietWork
from hotpixeld.service.state import State
from service.test_accumulation import config_in, opened

BODY = [Defect(40, 70, level=1.0), Defect(120, 33, level=0.95), Defect(90, 150, level=1.0)]
LOOSE = "detection: {skip_similar: false, min_photos: 15, every: 15}\ncopies: {min_free: 0B}\n"


def arrive(state: State, name: str, data: bytes, work: QuietWork) -> None:
    path = state.config.import_folders[0] / name
    path.write_bytes(data)
    state.handling.handle(path, data, name)
    work.after_photo()


def settle(work: QuietWork) -> None:
    while work.step():
        pass


def test_portraits_that_were_really_rotated_are_linked_to_the_landscapes(tmp_path: Path) -> None:
    camera = FakeCamera(240, 180, seed=8, defects=BODY)
    with opened(config_in(tmp_path, LOOSE)) as state:
        work = QuietWork(state, lambda: 0.0)
        for number, shot in enumerate(camera.shoot(36)):
            data = shot.jpeg
            if number % 2:
                turned = np.ascontiguousarray(np.rot90(from_jpeg(data), -1))
                data = to_jpeg(turned, shot.exposure)
            arrive(state, shot.name, data, work)
        settle(work)
        landscape, portrait = state.ledger.sensors()
        assert state.ledger.linked_keys(landscape.id) == [portrait.key]
        assert state.ledger.linked_keys(portrait.id) == [landscape.key]
        assert (portrait.sensor.width, portrait.sensor.height) == (180, 240)


def test_two_bodies_under_one_name_are_told(tmp_path: Path) -> None:
    one = FakeCamera(240, 180, seed=8, defects=BODY)
    other = FakeCamera(
        240, 180, seed=9, defects=[Defect(d.row + 20, d.column - 19, level=1.0) for d in BODY]
    )
    with opened(config_in(tmp_path, LOOSE)) as state:
        work = QuietWork(state, lambda: 0.0)
        for number, (mine, theirs) in enumerate(zip(one.shoot(30), other.shoot(30), strict=True)):
            arrive(state, f"a{number}.jpg", mine.jpeg, work)
            arrive(state, f"b{number}.jpg", theirs.jpeg, work)
            settle(work)
        (sensor,) = state.ledger.sensors()
        assert sensor.remark == reasons.TWO_CAMERAS
