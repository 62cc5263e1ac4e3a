"""What a plan warns of, and what it is refused for beside its budget."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scalebed.plan.plan import Row
    from scalebed.plan.trunks import Piece

FEW_STEPS = 100
"""A run with fewer steps than this is mostly warm-up and teaches a law little."""


def warnings(rows: Sequence[Row], pieces: Sequence[Piece]) -> list[str]:
    """Return a sentence for everything about the trained cells that deserves a second look."""
    found = []
    long = [row for row in rows if row.warmup_steps * 2 > row.steps]
    if long:
        found.append(
            f"warm-up takes more than half of the steps in {_some(long)}: "
            f"{long[0].warmup_steps} of {long[0].steps}"
        )
    few = [row for row in rows if row.steps < FEW_STEPS]
    if few:
        found.append(f"fewer than {FEW_STEPS} steps in {_some(few)}: {few[0].steps}")
    bad = [row for row in rows if row.state.name in ("diverged", "failed")]
    if bad:
        found.append(
            f"{bad[0].state.name} and not to be trained again as it is: {_some(bad)}; "
            "change its recipe or delete its metrics.json"
        )
    return found + _lost(rows, pieces) + _again(rows, pieces)


def _again(rows: Sequence[Row], pieces: Sequence[Piece]) -> list[str]:
    """Say which cells are evaluated again, because the state they left at is made or put back."""
    made = {piece.leg.path for piece in pieces if piece.to_train or piece.asked}
    again = [row for row in rows if row.state.name == "done" and row.trunk in made]
    if not again:
        return []
    return [
        f"{_some(again)} will be evaluated again, not trained: a state of its trunk, where it left "
        "or before, is gone and made again"
    ]


def _lost(rows: Sequence[Row], pieces: Sequence[Piece]) -> list[str]:
    """Say which cells will end as their trunk did."""
    ended = {
        piece.leg.path: piece for piece in pieces if piece.state.name in ("diverged", "failed")
    }
    lost = [row for row in rows if row.state.to_train and row.trunk in ended]
    if not lost:
        return []
    piece = ended[lost[0].trunk or ""]
    return [
        f"{_some(lost)} will end as its trunk did: {piece.leg.trunk.path} {piece.state.name} "
        f"before step {piece.leg.end}; change its recipe or delete the state.json"
    ]


def _some(rows: Sequence[Row]) -> str:
    more = f" and {len(rows) - 1} more" if len(rows) > 1 else ""
    return f"{rows[0].cell.path}{more}"


def refusals(rows: Sequence[Row], repeats: bool, missing: list[str]) -> list[str]:
    """Return why a study is not to be run.

    Parameters
    ----------
    rows
        All cells.
    repeats
        Whether data may be seen more than once.
    missing
        A sentence for each backend that is not installed.
    """
    return ([] if repeats else _repeats(rows)) + missing + _unfit(rows)


def _repeats(rows: Sequence[Row]) -> list[str]:
    over = [row for row in rows if row.epochs is not None and row.epochs > 1]
    if not over:
        return []
    worst = max(over, key=lambda row: row.epochs or 0)
    more = f" ({len(over) - 1} more cells do)" if len(over) > 1 else ""
    return [
        f"the cell {worst.cell.path} would repeat data: it trains on {worst.tokens:,} tokens and "
        f"{worst.cell.dataset} has {worst.available:,}{more}; take more text, or set "
        "allow_repeats: true"
    ]


def _unfit(rows: Sequence[Row]) -> list[str]:
    """Return a refusal for the first cell that fits no number of GPUs."""
    over = [row for row in rows if row.unfit]
    if not over:
        return []
    more = f" ({len(over) - 1} more cells do not fit)" if len(over) > 1 else ""
    return [f"{over[0].cell.path} does not fit: {over[0].unfit}{more}"]
