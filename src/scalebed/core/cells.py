"""Cells: what one is, where it lies, and how a study's grid expands to them."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from scalebed.core.errors import ScalebedError

NAME = r"[a-z0-9][a-z0-9_]*"
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


def product(
    datasets: Sequence[str],
    sizes: Sequence[str],
    ratios: Sequence[int],
    recipes: Sequence[str],
    seeds: Sequence[int],
) -> list[Cell]:
    """Return the full product of coordinates, in the order given."""
    return [Cell(*point) for point in itertools.product(datasets, sizes, ratios, recipes, seeds)]


def matches(cell: Cell, selector: Mapping[str, Sequence[object] | None]) -> bool:
    """Tell whether a cell has one of the allowed values at each coordinate.

    Parameters
    ----------
    cell
        The cell to judge.
    selector
        Allowed values by coordinate name in the plural (``datasets``, ``sizes``, …);
        None or a missing name allows all.
    """
    for field in Cell._fields:
        allowed = selector.get(f"{field}s")
        if allowed is not None and getattr(cell, field) not in allowed:
            return False
    return True


def expand(
    blocks: Iterable[Iterable[Cell]],
    add: Iterable[Cell],
    exclude: Iterable[Mapping[str, Sequence[object] | None]],
) -> list[Cell]:
    """Return the cells of a grid, sorted, each once.

    Excluding comes before adding, so that a block can be thinned and single points put back.

    Raises
    ------
    ScalebedError
        If a cell is declared twice, an exclusion matches nothing, or no cell is left.
    """
    cells: dict[Cell, None] = {}
    _collect(cells, itertools.chain.from_iterable(blocks), "grid")
    for index, selector in enumerate(exclude):
        gone = [cell for cell in cells if matches(cell, selector)]
        if not gone:
            raise ScalebedError(f"exclude[{index}] matches no cell of the grid")
        for cell in gone:
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
