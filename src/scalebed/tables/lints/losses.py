"""Checks of the losses: more tokens or more parameters should lower them."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Final, NamedTuple

import pandas as pd

from scalebed.tables.lints.base import (
    COORDINATES,
    NOTE,
    WARNING,
    Row,
    Tables,
    done_cells,
    finding,
    records,
)

# The coordinate that is varied, and the column it is ordered by.
_ORDER: Final = {"N": ("size", "params"), "M": ("ratio", "ratio")}


class Rise(NamedTuple):
    """Two neighbouring cells of which the larger one has the higher loss.

    Attributes
    ----------
    along
        ``"N"`` (M fixed) or ``"M"`` (N fixed).
    better, worse
        The cheaper cell with the lower loss and the dearer one with the higher.
    apart
        Whether their evaluation intervals are apart; None if there are none.
    """

    along: str
    better: Row
    worse: Row
    apart: bool | None


def rises(cells: pd.DataFrame, along: str) -> tuple[list[Rise], int]:
    """Return where the loss rises along N at fixed M, or along M at fixed N.

    Parameters
    ----------
    cells
        Finished cells with ``loss`` and its intervals (``loss_sequences_lower``, …).
    along
        ``"N"`` or ``"M"``.

    Returns
    -------
    (list of Rise, int)
        The rises, and how many pairs of neighbours were compared.
    """
    varied, order = _ORDER[along]
    keys = [name for name in COORDINATES if name != varied]
    found, compared = [], 0
    for _, group in cells.groupby(keys, sort=True):
        for before, after in pairwise(records(group.sort_values([order, "cell"]))):
            if after[order] > before[order]:
                compared += 1
                if after["loss"] >= before["loss"]:
                    found.append(Rise(along, before, after, _apart(before, after)))
    return found, compared


def loss_rises_with_tokens(tables: Tables, yardstick: str) -> Iterator[Row]:
    """Yield cells with a higher loss than the same size trained on fewer tokens."""
    return _findings(tables, yardstick, "loss_rises_with_tokens", "M", "size")


def loss_rises_with_params(tables: Tables, yardstick: str) -> Iterator[Row]:
    """Yield cells with a higher loss than a smaller model at the same token multiplier."""
    return _findings(tables, yardstick, "loss_rises_with_params", "N", "ratio")


def _findings(tables: Tables, yardstick: str, check: str, along: str, fixed: str) -> Iterator[Row]:
    losses = tables["losses"]
    losses = losses[losses["validation"] == yardstick].drop(columns="tokens", errors="ignore")
    for rise in rises(done_cells(tables).merge(losses, on="cell"), along)[0]:
        yield finding(
            check,
            NOTE if rise.apart is False else WARNING,
            rise.worse["cell"],
            f"{yardstick} of {rise.worse['cell']}",
            _message(rise, fixed),
        )


def _message(rise: Rise, fixed: str) -> str:
    intervals = {
        True: "the evaluation intervals do not overlap",
        False: "the evaluation intervals overlap",
        None: "no evaluation intervals are known",
    }
    before, after, order = rise.better, rise.worse, _ORDER[rise.along][1]
    return (
        f"At {fixed} {after[fixed]} of {after['dataset']}, the loss rises by "
        f"{after['loss'] - before['loss']:.4f} from {before['loss']:.4f} to {after['loss']:.4f} "
        f"as {rise.along} goes from {before[order]} to {after[order]}; {intervals[rise.apart]}."
    )


def _apart(before: Row, after: Row) -> bool | None:
    """Whether the 95 % intervals over sequences, or over tokens, are apart; None if unknown.

    Both models read the same text, so the difference is known better than the intervals say:
    intervals that overlap do not make a rise plausible as chance, ones that are apart rule it out.
    """
    for part in ("sequences", "tokens"):
        upper, lower = before.get(f"loss_{part}_upper"), after.get(f"loss_{part}_lower")
        if upper is not None and lower is not None and pd.notna(upper) and pd.notna(lower):
            return bool(lower > upper)
    return None
