"""Where states of trunks lie on disk, how much they take and which studies list them.

A study lists the states that its cells leave at in ``results/studies/<study>/trunks.json``, before
it trains: ``{"states": {<trunk>: [<step>, …]}}``. Links are never followed.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal

from scalebed.core.errors import ScalebedError
from scalebed.core.files import read_json, write_json
from scalebed.core.trunks import RECORD, Leg, Trunk

LIST = "trunks.json"
"""List of the states that a study leaves at, in the folder of the study."""

Kept = Literal["all", "last"]
"""Which states of a trunk stay when a study is done."""

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


def states_of(legs: Iterable[Leg], kept: Kept = "all") -> dict[str, list[int]]:
    """Return the steps at which states of each trunk are kept, by its path."""
    found: dict[str, list[int]] = {}
    for leg in legs:
        found.setdefault(leg.trunk.path, []).append(leg.end)
    return found if kept == "all" else {trunk: [max(steps)] for trunk, steps in found.items()}


def list_states(study: Path, states: Mapping[str, list[int]]) -> None:
    """Write which states a study needs, in its folder.

    Raises
    ------
    ScalebedError
        If the list cannot be written.
    """
    write_json(study / LIST, {"states": states})


def listed_states(studies: Path) -> set[str]:
    """Return the folders below ``results/trunks`` that some study lists.

    Raises
    ------
    ScalebedError
        If a list cannot be read.
    """
    found = set()
    for file in sorted(studies.glob(f"*/{LIST}")):
        try:
            states = read_json(file)["states"]
            found |= {f"{trunk}/step={step}" for trunk, steps in states.items() for step in steps}
        except (AttributeError, KeyError, TypeError) as error:
            raise ScalebedError(f"{file} is no list of states; run its study again") from error
    return found
