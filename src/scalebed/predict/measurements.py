"""What was measured of cells, from the rows of a study to arrays."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from scalebed.laws.forms.base import Array, Index

# Full width of a 95 % interval of a normal, in standard deviations.
_WIDTH_95 = 2 * 1.959963984540054

Row = dict[str, Any]


def errors(
    cells: list[str],
    tasks: dict[tuple[str, ...], Row],
    names: list[str],
    averaged: dict[str, list[str]],
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Error and sampling error by task and for the average, which needs all of its tasks."""
    rates: dict[str, Array] = {}
    sampling: dict[str, Array] = {}
    for name in names:
        rows = [tasks.get((cell, name), {}) for cell in cells]
        rates[name] = floats(row.get("error") for row in rows)
        given = floats(row.get("error_stderr") for row in rows)
        items = floats(row.get("items") for row in rows)
        # Laplace's rule keeps the sampling error above zero where all or no items are wrong.
        rate = (rates[name] * items + 1) / (items + 2)
        derived = np.sqrt(rate * (1 - rate) / items)
        # Nothing is known of the sampling of an imported error that comes without items.
        derived = np.where(np.isfinite(items), derived, 0.0)
        sampling[name] = np.where(given > 0, given, derived)
    for average, members in averaged.items():
        if names and members:
            stack = np.stack([rates[name] for name in members])
            rates[average] = stack.mean(0)
            squares = np.stack([sampling[name] ** 2 for name in members])
            sampling[average] = np.sqrt(squares.sum(0)) / len(members)
    return rates, sampling


def chance(
    cells: list[str],
    tasks: dict[tuple[str, ...], Row],
    names: list[str],
    averaged: dict[str, list[str]],
) -> dict[str, Array]:
    """Error of guessing by response: the same for all cells, measured or not."""
    known: dict[str, float] = {}
    for row in tasks.values():
        if row.get("chance_error") is not None:
            known[row["task"]] = row["chance_error"]
    found = {name: known.get(name, np.nan) for name in names}
    for average, members in averaged.items():
        if names and members:
            found[average] = float(np.mean([found[name] for name in members]))
    return {name: np.full(len(cells), value) for name, value in found.items()}


def standard_error(rows: Iterable[Row]) -> Array:
    """Return the standard error from the 95 % interval over sequences."""
    widths = [(row.get("loss_sequences_upper"), row.get("loss_sequences_lower")) for row in rows]
    return floats(
        None if upper is None or lower is None else (upper - lower) / _WIDTH_95
        for upper, lower in widths
    )


def unique_tokens(rows: list[Row]) -> Array:
    """Tokens of the training set of every cell: D over its epochs, at least one."""
    epochs = floats(row.get("epochs") for row in rows)
    tokens = floats(row["tokens"] for row in rows)
    unique: Array = tokens / np.where(epochs > 1, epochs, 1.0)
    return unique


def trunks(rows: list[Row]) -> Index | None:
    """Codes of the trunks that cells branch off; those without have their own. None if all lack."""
    names = [row.get("trunk") or "" for row in rows]
    if not any(names):
        return None
    known = {name: code for code, name in enumerate(sorted({*names} - {""}))}
    codes = [known.get(name, len(known) + i) for i, name in enumerate(names)]
    return np.array(codes, dtype=np.int64)


def taken(rows: list[Row]) -> Array:
    """Compute that cells took over from their trunks."""
    known = [(row["flops"], row.get("trunk_steps") or 0, row.get("steps") or 1) for row in rows]
    return np.array([flops * taken / steps for flops, taken, steps in known])


def floats(values: Iterable[float | None]) -> Array:
    """Array with NaN for what is missing or not finite: neither is a measurement."""
    result = np.array([np.nan if value is None else value for value in values], dtype=float)
    return np.where(np.isfinite(result), result, np.nan)
