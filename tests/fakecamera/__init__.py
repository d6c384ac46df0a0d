"""A camera that is not there: photos with exactly known defects, and the same photos without.

``FakeCamera(320, 240, seed=1, defects=[Defect(60, 80, "stuck", level=0.9)]).shoot(20)``
"""

from fakecamera.camera import FakeCamera, SceneKind, Shot
from fakecamera.defects import Defect, bad_column, group, scattered
from fakecamera.develop import Development
from fakecamera.photofile import from_jpeg, to_jpeg, with_date_stamp

__all__ = [
    "Defect",
    "Development",
    "FakeCamera",
    "SceneKind",
    "Shot",
    "bad_column",
    "from_jpeg",
    "group",
    "scattered",
    "to_jpeg",
    "with_date_stamp",
]
