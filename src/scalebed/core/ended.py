"""How cells ended that did not finish, in words: failed or diverged, and why."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from scalebed.core.errors import ScalebedError
from scalebed.core.files import read_json
from scalebed.core.shown import in_line

ENDED = ("failed", "diverged")
"""Statuses of cells that ended without a model."""


def ended_words(status: str, reason: str | None) -> str:
    """Return how a cell stands that was not measured."""
    if status == "done":
        return "not measured"
    return f"{status}: {reason or 'no reason recorded'}" if status in ENDED else status


def ended_lines(rows: Iterable[Mapping[str, Any]], total: int, trained: bool = True) -> list[str]:
    """Return a line for every cell that ended without a model, below one that counts them.

    Parameters
    ----------
    rows
        ``cell``, ``status`` and ``reason`` of each.
    total
        Number of cells of the study.
    trained
        Whether they were trained here, so that they can be again.
    """
    named = [
        in_line(f"  {row['cell']}: {ended_words(row['status'], row['reason'])}") for row in rows
    ]
    if not named:
        return []
    are = "is" if len(named) == 1 else "are"
    again = "; a changed recipe, or deleting metrics.json, trains anew" if trained else ""
    return [f"{len(named)} of {total} cells {are} without a model and enter no fit{again}:", *named]


def recorded_ends(cells: Iterable[str], folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the cells whose records say that they ended without a model.

    Parameters
    ----------
    cells
        Paths below `folder`.
    folder
        Where records of cells are.
    """
    for cell in sorted(cells):
        try:
            record = read_json(folder / cell / "metrics.json")
        except ScalebedError:
            continue  # not trained, or broken, which the next run says
        if isinstance(record, Mapping) and record.get("status") in ENDED:
            yield {"cell": cell, "status": record["status"], "reason": record.get("reason")}
