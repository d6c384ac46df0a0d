"""Which names in an import folder are photos to be, and which are temporary, junk or foreign."""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

PHOTO_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".mpo", ".png", ".tif", ".tiff", ".gif", ".webp"}
)

# Names under which other programs write a file before they rename it.
_TEMPORARY = (
    ".*",  # rsync .NAME.XXXXXX, .syncthing.*.tmp, .goutputstream-*, .nfs*, .fuse_hidden*, ._*
    "~syncthing~*",
    "~$*",
    "*~",
    "*.part",
    "*.partial",
    "*.filepart",
    "*.octransferid*",  # ownCloud, Nextcloud
    "*.~*",
    "*.crdownload",
    "*.tmp",
    "*.temp",
    "*_exiftool_tmp",
    "*.!sync",
    "*.lftp",
)

_SKIPPED_FOLDERS = (
    ".*",  # .stversions, .stfolder, .Trash-1000, .thumbnails
    "rpd-tmp-*",  # rapid-photo-downloader; its photos leave by rename
    "@eadir",  # Synology's thumbnails
    "lost+found",
    "__macosx",
    "~syncthing~*",
)


class Names:
    """Says by name alone whether a file is offered and a folder entered.

    Parameters
    ----------
    ignore : iterable of str
        Globs in addition to the built-in ones, matched against the name and against the path
        below the import folder, both for files and for folders.
    suffixes : iterable of str
        The photo formats, lower case with the dot.
    """

    def __init__(
        self, ignore: Iterable[str] = (), suffixes: Iterable[str] = PHOTO_SUFFIXES
    ) -> None:
        self._ignore = tuple(ignore)
        self._suffixes = frozenset(suffixes)

    def wants(self, relative: str) -> bool:
        """Return True if the file at ``relative`` below the import folder may be a photo."""
        *folders, name = relative.split("/")
        return (
            PurePosixPath(name).suffix.lower() in self._suffixes
            and not is_temporary(name)
            and not self._ignored(relative, name)
            and all(self.enters("/".join(folders[: depth + 1])) for depth in range(len(folders)))
        )

    def enters(self, relative: str) -> bool:
        """Return True if the folder at ``relative`` may hold photos (its parents not judged)."""
        name = relative.rpartition("/")[2]
        folded = name.lower()
        return not any(fnmatchcase(folded, glob) for glob in _SKIPPED_FOLDERS) and not (
            self._ignored(relative, name)
        )

    def _ignored(self, relative: str, name: str) -> bool:
        return any(fnmatchcase(name, glob) or fnmatchcase(relative, glob) for glob in self._ignore)


def is_temporary(name: str) -> bool:
    """Return True if programs use such a name for a file that they have not finished."""
    folded = name.lower()
    return any(fnmatchcase(folded, glob) for glob in _TEMPORARY)


def printable(path: object) -> str:
    """Return ``path`` on one line and harmless to a terminal: what does not print is escaped."""
    text = str(path).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii")
        for letter in text
    )
