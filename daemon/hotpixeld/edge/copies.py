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
    """

    data: bytes
    extension: str
    method: Method
    note: str = ""
