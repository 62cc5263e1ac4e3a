"""Which split a document belongs to: a pure function of its id.

Neither the order of the documents nor their number matters, so a corpus that grows keeps every old
document where it was, and no training text can slide into the validation set.
"""

import hashlib
from collections.abc import Mapping

from scalebed.core.errors import ScalebedError

SPLITS = ("train", "val", "tasks")
# Percentages count in hundredths of a percent.
_RESOLUTION = 10_000


def document_hash(identifier: str) -> bytes:
    """Return the MD5 of a document id: the key documents are sorted (thereby shuffled) by."""
    return hashlib.md5(identifier.encode("utf-8"), usedforsecurity=False).digest()


def check_percentages(corpus: str, percentages: Mapping[str, float]) -> dict[str, float]:
    """Return the percentages of the splits in canonical order, without those of 0 %.

    Raises
    ------
    ScalebedError
        On an unknown split, a negative or non-numeric percentage, or a sum other than 100.
    """
    for name, percent in percentages.items():
        if name not in SPLITS:
            raise ScalebedError(
                f"corpus {corpus}: split {name!r} is unknown, expected {', '.join(SPLITS)}"
            )
        if isinstance(percent, bool) or not isinstance(percent, int | float) or percent < 0:
            raise ScalebedError(
                f"corpus {corpus}: split {name} is {percent!r}, expected a percentage >= 0"
            )
    total = sum(round(percent * 100) for percent in percentages.values())
    if total != _RESOLUTION:
        raise ScalebedError(f"corpus {corpus}: the splits sum to {total / 100:g} %, expected 100 %")
    return {name: percentages[name] for name in SPLITS if percentages.get(name, 0) > 0}


def split_of(key: bytes, percentages: Mapping[str, float]) -> str:
    """Return the split of the document with hash `key` (see `document_hash`).

    The low digits of the hash decide, the high ones give the order of the documents, so the two
    are independent.
    """
    position = int.from_bytes(key, "big") % _RESOLUTION
    edge = 0
    for name in SPLITS:
        edge += round(percentages.get(name, 0) * 100)
        if position < edge:
            return name
    raise ValueError(f"percentages sum to {edge / 100} %, not 100 %")
