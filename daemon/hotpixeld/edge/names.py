"""Which names in an import folder are photos to be, and which are temporary, junk or foreign."""

import re
from collections.abc import Iterable
from fnmatch import translate

RAW_SUFFIXES = frozenset(
    {
        ".3fr",
        ".arw",
        ".cr2",
        ".cr3",
        ".crw",
        ".dcr",
        ".dng",
        ".erf",
        ".fff",
        ".iiq",
        ".k25",
        ".kdc",
        ".mef",
        ".mos",
        ".mrw",
        ".nef",
        ".nrw",
        ".orf",
        ".pef",
        ".raf",
        ".raw",
        ".rw2",
        ".rwl",
        ".sr2",
        ".srf",
        ".srw",
        ".x3f",
    }
)
# HEIC and RAW are photos also where the extras that read them are missing: the ledger says so.
PHOTO_SUFFIXES = RAW_SUFFIXES | frozenset(
    {
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".mpo",
        ".png",
        ".tif",
        ".tiff",
        ".gif",
        ".webp",
        ".heic",
        ".heif",
        ".hif",
    }
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


def _any_of(globs: Iterable[str]) -> re.Pattern[str]:
    """Return one pattern for all globs: a scan asks it for every name."""
    return re.compile("|".join(translate(glob) for glob in globs) or "(?!)")


_TEMPORARY_NAME = _any_of(_TEMPORARY)
_SKIPPED_FOLDER = _any_of(_SKIPPED_FOLDERS)


def is_photo_name(name: str) -> bool:
    """Tell photos from other files (videos, sidecars), which are passed over in silence."""
    return _suffix(name) in PHOTO_SUFFIXES


def is_raw_name(name: str) -> bool:
    """Tell RAW photos by their names: most of them are TIFF inside."""
    return _suffix(name) in RAW_SUFFIXES


def _suffix(name: str) -> str:
    stem, dot, ending = name.rpartition(".")
    return (dot + ending).lower() if stem else ""


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
        self._ignore = _any_of(ignore)
        self._suffixes = tuple(suffixes)

    def wants(self, relative: str) -> bool:
        """Return True if the file at ``relative`` below the import folder may be a photo."""
        folders = relative.split("/")[:-1]
        return self.wants_in_entered(relative) and all(
            self.enters("/".join(folders[: depth + 1])) for depth in range(len(folders))
        )

    def wants_in_entered(self, relative: str) -> bool:
        """Return the same, where the folders above are known to be entered."""
        name = relative.rpartition("/")[2]
        return (
            name.lower().endswith(self._suffixes)
            and not is_temporary(name)
            and not self._ignored(relative, name)
        )

    def enters(self, relative: str) -> bool:
        """Return True if the folder at ``relative`` may hold photos (its parents not judged)."""
        name = relative.rpartition("/")[2]
        return not _SKIPPED_FOLDER.match(name.lower()) and not self._ignored(relative, name)

    def _ignored(self, relative: str, name: str) -> bool:
        return bool(self._ignore.match(name) or self._ignore.match(relative))


def is_temporary(name: str) -> bool:
    """Return True if programs use such a name for a file that they have not finished."""
    return bool(_TEMPORARY_NAME.match(name.lower()))
