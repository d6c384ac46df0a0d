"""Which file system holds a folder, and whether the kernel tells of every change in it."""

import os
from dataclasses import dataclass
from pathlib import Path

# Changes made by other machines, or behind the mount, raise no event here.
_REMOTE = frozenset(
    {
        "nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "virtiofs", "afs", "ceph", "coda", "gfs2",
        "glusterfs", "lustre", "ncpfs", "ocfs2", "drvfs", "vboxsf", "prl_fs", "beegfs", "davfs",
        "fuse", "autofs",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Mount:
    """A line of ``/proc/self/mountinfo``: where, what kind, from what device or server."""

    point: str
    fstype: str
    source: str

    @property
    def tells_events(self) -> bool:
        """True if inotify sees every change: a local file system (``fuseblk`` is a local disk)."""
        return self.fstype not in _REMOTE and not self.fstype.startswith("fuse.")


def parse_mountinfo(text: str) -> tuple[Mount, ...]:
    """Return the mounts of a mountinfo text, in its order; lines that are not one are left out."""
    mounts = []
    for line in text.splitlines():
        head, dash, tail = line.partition(" - ")
        fields, kind = head.split(" "), tail.split(" ")
        if dash and len(fields) >= 5 and len(kind) >= 2:
            mounts.append(Mount(_unescaped(fields[4]), kind[0], _unescaped(kind[1])))
    return tuple(mounts)


def _unescaped(field: str) -> str:
    for code, letter in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        field = field.replace(code, letter)
    return field


def mount_of(path: Path, mountinfo: Path = Path("/proc/self/mountinfo")) -> Mount | None:
    """Return the mount that holds ``path``, symbolic links resolved; None where nothing tells."""
    try:
        text = mountinfo.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return None
    real = os.path.realpath(path)
    holding = [
        mount
        for mount in parse_mountinfo(text)
        if mount.point in {"/", real} or real.startswith(mount.point + "/")
    ]
    # of two mounts on one point the later covers the earlier
    return max(reversed(holding), key=lambda mount: len(mount.point), default=None)
