import os
from pathlib import Path

import pytest

from hotpixeld.edge.filesystem import Mount, mount_of, parse_mountinfo

MOUNTINFO = (
    "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
    "30 22 0:30 / /mnt/my\\040photos rw - nfs4 nas:/photos rw\n"
    "31 22 0:31 / /mnt/disk rw - vfat /dev/sdb1 rw\n"
    "32 31 0:32 / /mnt/disk rw - tmpfs none rw\n"
    "not a mount\n"
)


def test_the_innermost_and_latest_mount_holds_a_path(tmp_path: Path) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(MOUNTINFO)
    found = mount_of(Path("/mnt/my photos/2024"), table)
    assert found == Mount("/mnt/my photos", "nfs4", "nas:/photos")
    covering = mount_of(Path("/mnt/disk"), table)
    assert covering is not None
    assert covering.fstype == "tmpfs"
    root = mount_of(Path("/mnt/diskette"), table)
    assert root is not None
    assert root.fstype == "ext4"


@pytest.mark.parametrize(
    ("fstype", "tells"),
    [
        ("ext4", True),
        ("btrfs", True),
        ("overlay", True),
        ("fuseblk", True),
        ("nfs4", False),
        ("cifs", False),
        ("9p", False),
        ("fuse.sshfs", False),
    ],
)
def test_network_and_fuse_file_systems_do_not_tell_events(fstype: str, tells: bool) -> None:  # noqa: FBT001 (a table's column)
    assert Mount("/x", fstype, "y").tells_events is tells


def test_no_table_means_nothing_is_known(tmp_path: Path) -> None:
    assert mount_of(tmp_path, tmp_path / "absent") is None


def test_the_machine_s_own_table_can_be_read(tmp_path: Path) -> None:
    table = Path("/proc/self/mountinfo")
    if not table.exists():
        pytest.skip("no /proc")
    mounts = parse_mountinfo(table.read_text(errors="surrogateescape"))
    if not any(mount.point == "/" for mount in mounts):
        pytest.skip("NOT TESTED: in a chroot the table does not tell what / is")
    assert mount_of(tmp_path) is not None
    assert os.path.ismount(mount_of(tmp_path).point)  # type: ignore[union-attr]  # asserted above
