"""One pass over a folder tree: the truth that file events only hint at."""

import os
import stat
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path

from hotpixeld.edge.found import FoundFile, identity_of
from hotpixeld.edge.names import Names


class Scan:
    """An iterator over the photos below a folder; ends even where folders vanish meanwhile.

    Symbolic links below ``top`` are not followed (``top`` and ``root`` may be one). Nothing is
    opened but folders. It may be advanced in slices: between two it holds no descriptor.

    Parameters
    ----------
    root : str
        The import folder; paths are judged by their part below it.
    names : Names
        Which names are photos, and which folders are entered.
    top : str, optional
        A folder below ``root`` where the pass starts instead.

    Attributes
    ----------
    folders : dict of int to str
        The folders that were read, by inode number.
    unreadable : dict of str to str
        Folders and files that could not be looked at, with the system's reason.
    skipped : dict of str to int
        How many entries were neither file nor folder: ``"symlink"``, ``"special"``.
    files : int
        Photos found so far.
    """

    def __init__(self, root: str, names: Names, top: str | None = None) -> None:
        self.top = root if top is None else top
        self.folders: dict[int, str] = {}
        self.unreadable: dict[str, str] = {}
        self.skipped = {"symlink": 0, "special": 0}
        self.files = 0
        self._names = names
        self._prefix_length = len(root.rstrip("/")) + 1
        self._found = self._walk()

    def __iter__(self) -> Iterator[FoundFile]:
        return self

    def __next__(self) -> FoundFile:
        return next(self._found)

    def _walk(self) -> Iterator[FoundFile]:
        waiting = [self.top]
        while waiting:
            folder = waiting.pop()
            try:
                inode = Path(folder).stat(follow_symlinks=folder == self.top).st_ino
                with os.scandir(folder) as listing:
                    entries = sorted(listing, key=attrgetter("name"))
            except OSError as error:
                self._note(folder, error)
                continue
            self.folders[inode] = folder
            below: list[str] = []
            for entry in entries:
                found = self._judge(entry, below)
                if found is not None:
                    self.files += 1
                    yield found
            waiting.extend(reversed(below))

    def _judge(self, entry: os.DirEntry[str], below: list[str]) -> FoundFile | None:
        relative = entry.path[self._prefix_length :]
        try:
            if entry.is_dir(follow_symlinks=False):
                if self._names.enters(relative):
                    below.append(entry.path)
                return None
            if entry.is_symlink():
                self.skipped["symlink"] += 1
                return None
            if not self._names.wants_in_entered(relative):
                return None
            status = entry.stat(follow_symlinks=False)
        except OSError as error:
            self._note(entry.path, error)
            return None
        if not stat.S_ISREG(status.st_mode):
            self.skipped["special"] += 1
            return None
        return FoundFile(entry.path, identity_of(status))

    def _note(self, path: str, error: OSError) -> None:
        if not isinstance(error, FileNotFoundError | NotADirectoryError) or path == self.top:
            self.unreadable[path] = error.strerror or type(error).__name__
