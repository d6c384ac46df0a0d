"""What a disk holds when the power fails: its writes, recorded from a run, and dropped again.

After the crash tests of SQLite (`test6.c`): what was written and not synced may be lost. The model
is that of POSIX, stricter than ext4: a file's contents last once the file is synced, its name
once its folder is. Limits: a sync is believed to reach the medium; what is written through a
memory map is not seen (SQLite's ``-shm``, which it makes anew); permissions, times and groups are
not followed; and only what one process at a time does is in order.
"""

import os
import random
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

CALLS = (
    "openat",
    "creat",
    "write",
    "pwrite64",
    "writev",
    "pwritev",
    "pwritev2",
    "lseek",
    "fsync",
    "fdatasync",
    "rename",
    "renameat",
    "renameat2",
    "link",
    "linkat",
    "unlink",
    "unlinkat",
    "rmdir",
    "mkdir",
    "mkdirat",
    "truncate",
    "ftruncate",
    "fallocate",
    "copy_file_range",
    "sendfile",
)
SECTOR_BYTES = 512
_CALL = re.compile(r"(\w+)\((.*)\) += (-?\d+).*")
_DESCRIPTOR = re.compile(r"(\w+)<((?:\\x[0-9a-f]{2})*)>(\(deleted\))?")


@dataclass(frozen=True)
class Call:
    """One system call that went well: its name, arguments (bytes where quoted) and value."""

    name: str
    arguments: tuple[Any, ...]
    value: int


@dataclass(frozen=True)
class Descriptor:
    """An argument that is an open file: its number and its present path, None once unlinked."""

    number: str
    path: Path | None


@dataclass
class File:
    """A file's contents now and as they were synced; between them writes and lengths."""

    data: bytearray = field(default_factory=bytearray)
    synced: bytes = b""
    pending: list[tuple[int, bytes] | int] = field(default_factory=list)

    def change(self, change: tuple[int, bytes] | int) -> None:
        _apply(self.data, change)
        self.pending.append(change)

    def sync(self) -> None:
        self.synced = bytes(self.data)
        self.pending.clear()

    def after_power_loss(self, kept: random.Random | None) -> bytes:
        data = bytearray(self.synced)
        for change in self.pending if kept else ():
            for part in _sectors(change):
                if kept.getrandbits(1):  # type: ignore[union-attr]
                    _apply(data, part)
        return bytes(data)


@dataclass
class Folder:
    """A folder's names now and as they were synced; a change gives names new meanings, or none."""

    names: dict[str, "File | Folder"] = field(default_factory=dict)
    synced: dict[str, "File | Folder"] = field(default_factory=dict)
    pending: list[dict[str, "File | Folder | None"]] = field(default_factory=list)

    def change(self, change: dict[str, "File | Folder | None"]) -> None:
        _rename(self.names, change)
        self.pending.append(change)

    def sync(self) -> None:
        self.synced = dict(self.names)
        self.pending.clear()

    def after_power_loss(self, kept: random.Random | None) -> dict[str, "File | Folder"]:
        names = dict(self.synced)
        for change in self.pending if kept else ():
            if kept.getrandbits(1):  # type: ignore[union-attr]
                _rename(names, change)
        return names


class Disk:
    """Some folders directly below ``root``, of which none is there at first."""

    def __init__(self, root: Path, names: Collection[str]) -> None:
        self.root = root
        self.names = names
        self.top = Folder()
        self._offsets: dict[str, int] = {}

    def do(self, call: Call) -> None:
        """Follow one call; of what is not in our folders nothing is remembered."""
        first, *others = call.arguments
        match call.name:
            case "openat":
                self._open(call)
            case "mkdir" | "mkdirat":
                self._name(_path(call.arguments[:-1]), Folder())
            case "unlink":
                self._name(_path([first]), None)
            case "unlinkat":
                self._name(_path([first, others[0]]), None)
            case "rename":
                self._move(_path([first]), _path(others))
            case "renameat" | "renameat2":
                self._move(_path([first, others[0]]), _path(others[1:3]))
            case _:
                opened = [a for a in call.arguments if isinstance(a, Descriptor)]
                nodes = [self._node(descriptor.path) for descriptor in opened]
                if nodes and nodes[0] is not None:
                    self._do_within(call, nodes[0])
                assert not any(nodes[1:]), f"the model does not follow {call}"

    def _do_within(self, call: Call, node: "File | Folder") -> None:
        first = call.arguments[0]
        match call.name:
            case "fsync" | "fdatasync":
                node.sync()
            case "lseek":
                self._offsets[first.number] = call.value
            case _:
                assert isinstance(node, File), f"the model does not follow {call}"
                self._do_to_file(call, node)

    def _do_to_file(self, call: Call, node: File) -> None:
        first, *others = call.arguments
        match call.name:
            case "ftruncate":
                node.change(int(others[0]))
            case "fallocate":
                assert others[0] == "0", call
                node.change(max(len(node.data), int(others[1]) + int(others[2])))
            case "pwrite64":
                node.change((int(others[2]), others[0][: call.value]))
            case "write":
                node.change((self._offsets[first.number], others[0][: call.value]))
                self._offsets[first.number] += call.value
            case _:
                raise AssertionError(f"the model does not follow {call}")

    def survives(
        self, kept: random.Random | None = None
    ) -> Sequence[tuple[Path, "File | Folder", bytes | None]]:
        """Return path, node and contents (None: a folder) of what is there after a power loss.

        Parameters
        ----------
        kept
            Draws what is kept of what was not synced, by sectors and names; None: nothing is.
        """
        return list(self._walk(self.root, self.top, kept))

    def _walk(
        self, path: Path, folder: Folder, kept: random.Random | None
    ) -> Iterator[tuple[Path, "File | Folder", bytes | None]]:
        for name, node in folder.after_power_loss(kept).items():
            if isinstance(node, File):
                yield path / name, node, node.after_power_loss(kept)
            else:
                yield path / name, node, None
                yield from self._walk(path / name, node, kept)

    def _open(self, call: Call) -> None:
        path = _path(call.arguments[:2])
        flags = str(call.arguments[2]).split("|")
        if not self._is_here(path):
            return
        if self._node(path) is None and "O_CREAT" in flags:
            self._name(path, File())
        node = self._node(path)
        assert "O_APPEND" not in flags
        if isinstance(node, File) and "O_TRUNC" in flags:
            node.change(0)
        self._offsets[str(call.value)] = 0

    def _move(self, old: Path, new: Path) -> None:
        if not (self._is_here(old) or self._is_here(new)):
            return
        assert old.parent == new.parent, (old, new)
        folder, node = self._node(old.parent), self._node(old)
        assert isinstance(folder, Folder)
        folder.change({old.name: None, new.name: node})

    def _name(self, path: Path, node: File | Folder | None) -> None:
        if self._is_here(path):
            folder = self._node(path.parent)
            assert isinstance(folder, Folder), path
            folder.change({path.name: node})

    def _file(self, descriptor: Descriptor) -> File | None:
        node = self._node(descriptor.path)
        return node if isinstance(node, File) else None

    def _node(self, path: Path | None) -> File | Folder | None:
        if path is None or not path.is_relative_to(self.root):
            return None
        node: File | Folder | None = self.top
        for name in path.relative_to(self.root).parts:
            node = node.names.get(name) if isinstance(node, Folder) else None
        return node

    def _is_here(self, path: Path | None) -> bool:
        if path is None or path == self.root or not path.is_relative_to(self.root):
            return False
        return path.relative_to(self.root).parts[0] in self.names


def read_calls(log: Path) -> Iterator[Call]:
    """Yield what went well from what ``strace -f -y -xx -o`` wrote."""
    unfinished: dict[str, str] = {}
    with log.open() as lines:
        for line in lines:
            process, _, said = line.rstrip("\n").partition(" ")
            said = said.strip()
            if said.endswith("<unfinished ...>"):
                unfinished[process] = said.removesuffix("<unfinished ...>")
                continue
            if said.startswith("<..."):
                said = unfinished.pop(process) + said.partition("resumed>")[2]
            found = _CALL.fullmatch(said)
            if found and int(found[3]) >= 0:
                yield Call(found[1], tuple(_arguments(found[2])), int(found[3]))


def _arguments(text: str) -> Iterator[Any]:
    for part in text.split(", "):  # all that is quoted is in hexadecimal, without commas
        if part.startswith('"'):
            yield _unescaped(part.strip('"'))
        elif found := _DESCRIPTOR.fullmatch(part):
            yield Descriptor(
                found[1], None if found[3] else Path(os.fsdecode(_unescaped(found[2])))
            )
        else:
            yield part


def _unescaped(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


def _path(arguments: Sequence[Any]) -> Path:
    *folder, name = arguments
    base = (
        folder[0].path
        if folder and isinstance(folder[0], Descriptor) and folder[0].path
        else Path("/")
    )
    return Path(base, os.fsdecode(name))


def _apply(data: bytearray, change: tuple[int, bytes] | int) -> None:
    if isinstance(change, int):
        data.extend(bytes(max(0, change - len(data))))
        del data[change:]
    else:
        at, new = change
        data.extend(bytes(max(0, at - len(data))))
        data[at : at + len(new)] = new


def _sectors(change: tuple[int, bytes] | int) -> Iterator[tuple[int, bytes] | int]:
    if isinstance(change, int):
        yield change
        return
    at, new = change
    inner = range((at // SECTOR_BYTES + 1) * SECTOR_BYTES, at + len(new), SECTOR_BYTES)
    for start, end in pairwise([at, *inner, at + len(new)]):
        yield start, new[start - at : end - at]


def _rename(names: dict[str, File | Folder], change: dict[str, File | Folder | None]) -> None:
    for name, node in change.items():
        if node is None:
            names.pop(name, None)
        else:
            names[name] = node
