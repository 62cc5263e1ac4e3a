"""Checks of the losses: more tokens or more parameters should lower them."""

from collections.abc import Iterator
from itertools import pairwise

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


def loss_rises_with_tokens(tables: Tables, yardstick: str) -> Iterator[Row]:
    """Yield cells with a higher loss than the same size trained on fewer tokens."""
    return _rises(tables, yardstick, "loss_rises_with_tokens", "ratio", "ratio", "M", "size")


def loss_rises_with_params(tables: Tables, yardstick: str) -> Iterator[Row]:
    """Yield cells with a higher loss than a smaller model at the same token multiplier."""
    return _rises(tables, yardstick, "loss_rises_with_params", "size", "params", "N", "ratio")


def _rises(
    tables: Tables, yardstick: str, check: str, varied: str, order: str, symbol: str, fixed: str
) -> Iterator[Row]:
    losses = tables["losses"]
    losses = losses[losses["validation"] == yardstick].drop(columns="tokens", errors="ignore")
    rows = done_cells(tables).merge(losses, on="cell")
    keys = [name for name in COORDINATES if name != varied]
    for _, group in rows.groupby(keys, sort=True):
        ordered = records(group.sort_values([order, "cell"]))
        for before, after in pairwise(ordered):
            if after[order] > before[order] and after["loss"] >= before["loss"]:
                apart = _apart(before, after)
                yield finding(
                    check,
                    NOTE if apart is False else WARNING,
                    after["cell"],
                    f"{yardstick} of {after['cell']}",
                    _message(before, after, order, symbol, fixed, apart),
                )


def _message(
    before: Row,
    after: Row,
    order: str,
    symbol: str,
    fixed: str,
    apart: bool | None,
) -> str:
    intervals = {
        True: "the evaluation intervals do not overlap",
        False: "the evaluation intervals overlap",
        None: "no evaluation intervals are known",
    }
    return (
        f"At {fixed} {after[fixed]} of {after['dataset']}, the loss rises by "
        f"{after['loss'] - before['loss']:.4f} from {before['loss']:.4f} to {after['loss']:.4f} "
        f"as {symbol} goes from {before[order]} to {after[order]}; {intervals[apart]}."
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
