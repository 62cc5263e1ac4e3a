"""Where states of trunks lie on disk, and how much they take; links are never followed."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from scalebed.core.trunks import Trunk

RECORD = "state.json"
"""Record of a state, in the folder of the state."""

_LEVELS = (*(rf"{field}=[^/=]+" for field in Trunk._fields), r"step=\d+")
_CHECKPOINT = re.compile(r"step-\d+\.(safetensors|sharded)")


def state_folders(trunks: Path) -> Iterator[Path]:
    """Yield the folders below ``results/trunks`` that hold a state, in the order of their paths.

    A folder counts if it is called ``step=<n>``, below folders named as those of a trunk are, and
    has a record or a checkpoint in it.
    """
    folders = [trunks]
    for level in _LEVELS:
        folders = [below for folder in folders for below in _below(folder, level)]
    for folder in folders:
        names = {path.name for path in folder.iterdir()}
        if RECORD in names or any(_CHECKPOINT.fullmatch(name) for name in names):
            yield folder


def _below(folder: Path, pattern: str) -> list[Path]:
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        found = [
            Path(entry.path)
            for entry in entries
            if re.fullmatch(pattern, entry.name) and entry.is_dir(follow_symlinks=False)
        ]
    return sorted(found)


def size_of(folder: Path) -> int:
    """Return the bytes of all files in a folder."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())
