"""What a repaired copy is made of before it becomes a file."""

from dataclasses import dataclass
from typing import Literal

Method = Literal["blocks", "reencoded", "lossless", "developed", "unchanged"]


@dataclass(frozen=True)
class EncodedCopy:
    """The bytes of a repaired copy.

    Attributes
    ----------
    data : bytes
        The whole file.
    extension : str
        ``.tif`` for a copy in another format than its photo; empty where the name's own stands.
    method : str
        ``blocks``: only the touched JPEG blocks differ; ``lossless``: only the touched pixels
        differ after decoding; ``reencoded``: all was coded again; ``developed``: from RAW;
        ``unchanged``: nothing had to be repaired.
    note : str
        For the ledger: why it was made so, and what is not as in the original; often empty.
    image_digest : bytes or None
        What `read_photo` would give as the copy's ``digest``, where its encoder knows it and has
        proved that the copy decodes; None where it must be read to know.
    """

    data: bytes
    extension: str
    method: Method
    note: str = ""
    image_digest: bytes | None = None
