"""What cells cost where some are branches of one trunk: its steps count once.

A branch is recorded with all of its steps, as the law sees it. Of a trunk the longest part that any
of the cells takes over was trained once; what the others take over of it was trained for nobody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from scalebed.core.errors import ScalebedError
from scalebed.core.files import read_json
from scalebed.tables.arrow import is_finite_number

TRUNKS: Final = "trunks"
"""Folder of the trunks, beside that of the cells."""

Row = Mapping[str, Any]


class TrunkTime(NamedTuple):
    """Time of a trunk from its first step on, all attempts, in s."""

    device_seconds: float
    wall_seconds: float


def trunk_ends(rows: Sequence[Row]) -> dict[str, int]:
    """Return the last step that any of the cells takes over from its trunk, by trunk.

    Parameters
    ----------
    rows
        Of table ``cells``.
    """
    ends: dict[str, int] = {}
    for row in rows:
        if row.get("trunk") and row["trunk_steps"]:
            ends[row["trunk"]] = max(ends.get(row["trunk"], 0), row["trunk_steps"])
    return ends


def saved_steps(rows: Sequence[Row]) -> list[int]:
    """Return the steps of every cell that were trained for another of the cells already."""
    ends, saved = trunk_ends(rows), []
    for row in rows:
        steps = (row.get("trunk") and row["trunk_steps"]) or 0
        # The first of the longest branches counts its trunk.
        longest = steps and ends.get(row["trunk"]) == steps
        if longest:
            del ends[row["trunk"]]
        saved.append(0 if longest else steps)
    return saved


def spent(rows: Sequence[Row], name: str = "flops") -> float:
    """Return the training compute of cells, every step of a trunk once, in FLOPs.

    Parameters
    ----------
    rows
        Of table ``cells``.
    name
        Column of the compute: that of a step is the same for all steps of a cell.
    """
    return sum(
        row[name] * (1 - steps / row["steps"]) if steps else row[name]
        for row, steps in zip(rows, saved_steps(rows), strict=True)
    )


def read_trunk(root: Path, trunk: str, step: int) -> TrunkTime | None:
    """Return the time of a trunk up to a step; None where there is no such record any more.

    Raises
    ------
    ScalebedError
        If the record is garbled; names the file and the key.
    """
    path = root / trunk / f"step={step}" / "state.json"
    if not path.is_file():
        return None
    record = read_json(path)
    for key in ("seconds", "wall_seconds"):
        if not is_finite_number(record.get(key)):
            raise ScalebedError(
                f"{path}: key {key!r} is {record.get(key)!r}, expected a finite number"
            )
    ranks = record.get("ranks") or 1
    return TrunkTime(float(record["seconds"]) * ranks, float(record["wall_seconds"]))
