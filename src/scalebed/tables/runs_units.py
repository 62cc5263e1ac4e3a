"""Whether the numbers of a table of runs are in the units they are read in.

N counts parameters, D tokens, losses are nats per token. What cannot be that is refused; what is
only unlikely is said. Nothing is converted.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from scalebed.core.errors import ScalebedError
from scalebed.core.quantities import PARAMS, TOKENS, Amount, amount_text
from scalebed.laws.forms.base import Array
from scalebed.tables.runs_file import read_runs
from scalebed.tables.runs_table import RunTable

_NONE: Final[Mapping[str, Any]] = MappingProxyType({})
_COUNTS: Final = {"params": PARAMS, "tokens": TOKENS, "unique_tokens": TOKENS}
_UNIT: Final = re.compile(
    r"[\s_(\[/-](m|b|k|t|mn|bn|thousands?|millions?|billions?|trillions?)[)\]]?$", re.I
)
_SCALED_BELOW: Final = 1e6
"""Below this a column whose name has a unit holds multiples of the unit."""
_BITS: Final = re.compile(r"(?<![a-z])(bits?|bp[bct])(?![a-z])", re.I)
_PERPLEXITY: Final = re.compile(r"(?<![a-z])(ppl|perplexity)(?![a-z])", re.I)
_LARGEST_VOCABULARY: Final = 256_000
_RATIOS: Final = (1e-2, 1e6)
"""D/N of all runs outside of this is most likely a unit: no language model is known there."""


def read_counted(
    path: str | Path,
    columns: Mapping[str, str] = _NONE,
    form: str | None = None,
    options: Mapping[str, Any] = _NONE,
) -> RunTable:
    """Read a table of runs, see `read_runs`, and refuse what does not count parameters and tokens.

    Raises
    ------
    ScalebedError
        If it cannot be read, or N or D of runs that count are in another unit; names the column,
        its values and what was expected.
    """
    table = read_runs(path, columns, form, options)
    for key, values in _counted(table):
        _refuse(table, key, values[table.finished])
    return table


def _counted(table: RunTable) -> Iterator[tuple[str, Array]]:
    yield "params", table.params
    yield "tokens", table.tokens
    if table.unique_tokens is not None:
        yield "unique_tokens", table.unique_tokens


def _refuse(table: RunTable, key: str, values: Array) -> None:
    """Raise ScalebedError if the numbers of one column are in another unit."""
    if not values.size:
        return
    amount, column = _COUNTS[key], table.naming.columns.get(key, key)
    unit = _UNIT.search(column)
    small = values < amount.least
    if unit is not None and values.max() < _SCALED_BELOW:
        raise ScalebedError(_all(table, key, values, f"and its name says {unit[1]}"))
    if small.all():
        why = f"fewer than {amount.least:,.0f} {amount.what}"
        raise ScalebedError(_all(table, key, values, why))
    if small.any():
        value = f"{values[small][0]:.6g}"
        raise ScalebedError(
            f"{table.path} row {table.rows[table.finished][small][0]}: {column} is {value}, which "
            f"is {value} {amount.what}, while others are up to "
            f"{amount_text(float(values.max()))}: is a unit missing? {_expected(amount)}"
        )


def _all(table: RunTable, key: str, values: Array, why: str) -> str:
    low, high = float(values.min()), float(values.max())
    span = f"{low:.6g}" if low == high else f"{low:.6g} .. {high:.6g}"
    other = f" (--column {key}=NAME reads another column)" if key in table.naming.guessed else ""
    return (
        f"{table.path}: {table.naming.columns.get(key, key)} is {span} in all {values.size} runs "
        f"that count, {why}: is it in thousands, millions or billions? "
        f"{_expected(_COUNTS[key])}{other}"
    )


def _expected(amount: Amount) -> str:
    example = "70000000 for 70M" if amount is PARAMS else "1400000000 for 1.4B"
    return f"expected the number of {amount.what}, {example}"


def unit_notes(table: RunTable) -> Iterator[str]:
    """Sentences on what is unlikely in the units it is read in."""
    yield from _ratio_notes(table)
    for name, values in table.losses.items():
        column = table.naming.columns.get(name, name)
        known = values[table.finished & np.isfinite(values)]
        if _BITS.search(column):
            yield (
                f"column `{column}` is fitted as it is, though its name says bits: its predictions "
                "are in its unit, and comparisons with losses in nats per token are off"
            )
        elif _PERPLEXITY.search(column):
            yield _perplexity(f"column `{column}` is fitted as it is", "its name says perplexity")
        elif known.size and known.min() > math.log(_LARGEST_VOCABULARY):
            yield _perplexity(
                f"{column} is {known.min():.3g} .. {known.max():.3g} in all runs",
                f"guessing among {_LARGEST_VOCABULARY:,} tokens has "
                f"{math.log(_LARGEST_VOCABULARY):.1f} nats",
            )


def _perplexity(what: str, why: str) -> str:
    return (
        f"{what} and read as nats per token, but {why}: if these are perplexities, the loss is "
        "their logarithm"
    )


def _ratio_notes(table: RunTable) -> Iterator[str]:
    """Say that D/N of all runs is one of no language model."""
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = (table.tokens / table.params)[table.finished]
    if not ratio.size:
        return
    low, high = float(ratio.min()), float(ratio.max())
    if high < _RATIOS[0] or low > _RATIOS[1]:
        small, large = ("tokens", "params") if high < _RATIOS[0] else ("params", "tokens")
        yield (
            f"tokens / params is {low:.2g} .. {high:.2g} in all runs, as of no language model: "
            f"{small} or {large} may be in another unit; they are read as numbers of parameters "
            "and of tokens"
        )
