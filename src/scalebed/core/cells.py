"""Cells: what one is, where it lies, and how a study's grid expands to them."""

import itertools
import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from scalebed.core.errors import ScalebedError
from scalebed.core.quantities import amount_text

NAME = r"[a-z0-9][a-z0-9_]*"
ALL = "all"
"""Stands for all data sets together, where results are told by data set; also the name of the one
data set of a table that names none."""
"""Pattern of every name that becomes part of a path; no dot, slash or equals sign."""


class Cell(NamedTuple):
    """One model to train: the five coordinates that identify it, and nothing else."""

    dataset: str
    size: str
    ratio: float
    """M, whole for all that is trained here."""
    recipe: str
    seed: int

    @property
    def path(self) -> str:
        """Folder of the cell below ``results/cells``; the folders are Hive partitions."""
        return CELL.format(**self._asdict())


CELL = "/".join(f"{field}={{{field}}}" for field in Cell._fields)
"""Path pattern of a cell, the only place where it is written down."""


def results_of(folder: Path) -> Path | None:
    """Return the folder of results that a folder of a cell lies in; None if it is not that deep."""
    parents = folder.resolve().parents
    depth = len(Cell._fields)
    return parents[depth] if depth < len(parents) else None


def product(
    datasets: Sequence[str],
    sizes: Sequence[str],
    ratios: Sequence[int],
    recipes: Sequence[str],
    seeds: Sequence[int],
) -> list[Cell]:
    """Return the full product of coordinates, in the order given."""
    return [Cell(*point) for point in itertools.product(datasets, sizes, ratios, recipes, seeds)]


Selector = Mapping[str, Any]
"""Allowed values by coordinate in the plural (``datasets``, ``sizes``, …), and ranges of N, D and C
(``params``, ``tokens``, ``flops``) as pairs of ends, None for an open one; None allows all."""
Amounts = Callable[[Cell], Mapping[str, float | None]]
"""N, D and C of a cell by the key of their range."""

RANGES = {"params": "N", "tokens": "D", "flops": "C"}
"""Keys of a selector that are ranges, and the symbol of each."""


def matches(cell: Cell, selector: Selector, amounts: Amounts | None = None) -> bool:
    """Tell whether a cell has one of the allowed values at each coordinate, and lies in each range.

    Parameters
    ----------
    cell
        The cell to judge.
    selector
        What is allowed.
    amounts
        Needed where a selector has a range.
    """
    for field in Cell._fields:
        allowed = selector.get(f"{field}s")
        if allowed is not None and getattr(cell, field) not in allowed:
            return False
    for key in RANGES:
        ends = selector.get(key)
        if ends is not None and (amounts is None or not _inside(amounts(cell)[key], ends)):
            return False
    return True


def _inside(amount: float | None, ends: tuple[float | None, float | None]) -> bool:
    low, high = ends
    if amount is None:
        return False
    return (low is None or amount >= low) and (high is None or amount <= high)


def choose(
    cells: Collection[Cell], selector: Selector, where: str, amounts: Amounts | None = None
) -> list[Cell]:
    """Return the cells a selector matches, in order.

    Parameters
    ----------
    cells, selector, amounts
        See `matches`.
    where
        Where the selector stands, for messages.

    Raises
    ------
    ScalebedError
        If it matches no cell, or one of its values or ranges none beside its other keys; names
        the key, the value and what there is.
    """
    given = {key: value for key, value in selector.items() if value is not None}
    found = [cell for cell in cells if matches(cell, given, amounts)]
    for key, value in given.items():
        others = {name: other for name, other in given.items() if name != key}
        beside = [cell for cell in cells if matches(cell, others, amounts)]
        said = _unmatched(key, value, beside, amounts) if beside else None
        if said is not None:
            kept = " beside its other keys" if others else ""
            head = f"{where}: {key}" if found else f"{where} matches no cell of the grid: {key}"
            raise ScalebedError(f"{head} {said[0]} no cell{kept}; there is {said[1]}")
    if not found:
        raise ScalebedError(f"{where} matches no cell of the grid")
    return found


def _unmatched(
    key: str, value: Any, cells: Collection[Cell], amounts: Amounts | None
) -> tuple[str, str] | None:
    """Return which values of one key match none of some cells, and what there is; else None."""
    if key in RANGES:
        if amounts is None or any(_inside(amounts(cell)[key], value) for cell in cells):
            return None
        known = [x for cell in cells if (x := amounts(cell)[key]) is not None]
        shown = "{:.3g}".format if key == "flops" else amount_text
        span = f"{shown(min(known))} .. {shown(max(known))}" if known else "none"
        ends = ("null" if end is None else shown(end) for end in value)
        return f"[{', '.join(ends)}] matches", span
    there = {getattr(cell, key.removesuffix("s")) for cell in cells}
    missing = [repr(item) for item in value if item not in there]
    if not missing:
        return None
    verb = "matches" if len(missing) == 1 else "match"
    return f"{', '.join(missing)} {verb}", ", ".join(map(str, sorted(there, key=_by_number)))


def _by_number(name: object) -> tuple[float, str]:
    """Sort 20m before 124m, and 2 before 10."""
    text = str(name)
    number = re.match(r"(\d+)([kmbt]?)", text)
    if number is None:
        return math.inf, text
    return int(number[1]) * 1000.0 ** " kmbt".index(number[2] or " "), text


def expand(
    blocks: Iterable[Iterable[Cell]],
    add: Iterable[Cell],
    exclude: Iterable[Selector],
    amounts: Amounts | None = None,
) -> list[Cell]:
    """Return the cells of a grid, sorted, each once.

    Excluding comes before adding, so that a block can be thinned and single points put back.

    Raises
    ------
    ScalebedError
        If a cell is declared twice, an exclusion or a value in it matches nothing, or no cell is
        left.
    """
    cells: dict[Cell, None] = {}
    _collect(cells, itertools.chain.from_iterable(blocks), "grid")
    for index, selector in enumerate(exclude):
        for cell in choose(cells, selector, f"exclude[{index}]", amounts):
            del cells[cell]
    _collect(cells, add, "add")
    if not cells:
        raise ScalebedError("the grid is empty: grid and add declare no cell")
    return sorted(cells)


def _collect(cells: dict[Cell, None], new: Iterable[Cell], where: str) -> None:
    for cell in new:
        if cell in cells:
            raise ScalebedError(f"{where}: the cell {cell.path} is declared twice")
        cells[cell] = None
