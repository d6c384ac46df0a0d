"""The refusal of block-wise repair."""

from hotpixeld.errors import PhotoError


class JpegUnsupported(PhotoError):  # noqa: N818  a refusal, not a fault
    """The file cannot be repaired block by block; nothing was changed.

    Attributes
    ----------
    reason : str
        Fixed and short: ``progressive``, ``several-scans``, ``scan-damaged``, ...
    detail : str
        What exactly was found, for people.
    """
