"""The extrapolations of a tournament, derived from the grid of a study.

A split says for every data set which cells the laws are fitted to and which they predict. There
are four families: by N (sizes up to each size predict the larger ones), by C (thresholds at decades
of compute), by M (a narrow or the whole range of token multipliers), and the study's own design.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from scalebed.laws.forms.base import Array, Index, Mask
from scalebed.predict.independent import joined
from scalebed.predict.runs import Runs

FAMILIES = ("N", "C", "M", "design")
"""By size, by compute, by token multiplier, and the cells the study itself fits to."""

# Sizes and multipliers are rounded to whole layers and steps, so equal ones differ a little.
_SAME = 1.03
_MOST_CUTS = 6
# Fewer cells or sizes say nothing about which law extrapolates; neither does one predicted design,
# or one trunk.
_LEAST_CELLS, _LEAST_SIZES, _LEAST_DESIGNS = 6, 3, 2

Masks = tuple[Mask, ...]


@dataclass(frozen=True)
class Split:
    """One extrapolation.

    Attributes
    ----------
    name : str
        Short and unique in its study, such as ``N<=154M``.
    family : str
        One of `FAMILIES`.
    label : str
        What is fitted and what is predicted.
    train, test : tuple of bool array (n,)
        Cells of each data set that a loss law is fitted to and predicts.
    error_train : tuple of bool array (n,)
        Cells that an error law is fitted to.
    """

    name: str
    family: str
    label: str
    train: Masks
    test: Masks
    error_train: Masks

    @property
    def error_test(self) -> Masks:
        """Cells that neither stage was fitted to."""
        return tuple(test & ~train for test, train in zip(self.test, self.error_train, strict=True))


@dataclass(frozen=True)
class Grid:
    """What the splits of a study are made from; one array a data set.

    Attributes
    ----------
    runs : tuple of Runs
    ratios : tuple of array (n,)
        M = D / N.
    inside : tuple of bool array (n,)
        Cells of the fit's recipe within the range of M that the study fits, predicts or takes
        scatter from; outside, its author does not expect a law to hold.
    sizes : array
        Distinct N, ascending.
    big : float
        Least N above all cells that the study fits a loss law to (the largest N if there is none).
    """

    runs: tuple[Runs, ...]
    ratios: tuple[Array, ...]
    inside: Masks
    sizes: Array
    big: float


def grid_of(sets: Sequence[Runs]) -> Grid:
    """Derive the grid of a study from its runs."""
    ratios = tuple(runs.tokens / runs.params for runs in sets)
    named = [
        ratio[(runs.scattered | runs.fit_loss | runs.fit_error | runs.target) & runs.same_recipe]
        for runs, ratio in zip(sets, ratios, strict=True)
    ]
    every = np.concatenate(named) if named else np.empty(0)
    low, high = (float(every.min()), float(every.max())) if every.size else (0.0, math.inf)
    inside = tuple(
        runs.same_recipe & (ratio >= low / _SAME) & (ratio <= high * _SAME)
        for runs, ratio in zip(sets, ratios, strict=True)
    )
    sizes = _distinct(np.concatenate([r.params[m] for r, m in zip(sets, inside, strict=True)]))
    fitted = max((float(np.max(r.params[r.fit_loss], initial=0.0)) for r in sets), default=0.0)
    larger = sizes[sizes > fitted * _SAME] if fitted else sizes[-1:]
    big = float(larger[0]) if larger.size else float(sizes[-1])
    return Grid(tuple(sets), ratios, inside, sizes, big)


def make_splits(sets: Sequence[Runs]) -> tuple[Split, ...]:
    """Return the splits of a study, those that have something to fit and something to predict.

    Parameters
    ----------
    sets : sequence of Runs
        Finished cells of every data set.
    """
    if not any(runs.same_recipe.any() for runs in sets):
        return ()
    grid = grid_of(sets)
    numbers = cluster_numbers(sets)
    found = (*_by_size(grid), *_by_compute(grid), *_by_ratio(grid))
    kept = [split for split in found if _designs(numbers, split.test) >= _LEAST_DESIGNS]
    cut = [_some([split for split in kept if split.family == family]) for family in FAMILIES]
    design = [split for split in _by_design(grid) if _designs(numbers, split.test)]
    return (*cut[0], *cut[1], *cut[2], *design)


def short(value: float) -> str:
    """Return a count as people say it: 154M, 1.4B."""
    for limit, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= limit * 0.9995:
            scaled = value / limit
            return f"{scaled:.0f}{letter}" if scaled >= 10 else f"{scaled:.2g}{letter}"
    return f"{value:.3g}"


def cell_numbers(sets: Sequence[Runs]) -> tuple[Index, ...]:
    """Return a number for every (N, M), equal for cells that differ in data set or seed only."""
    columns = [(runs.params, runs.tokens / runs.params) for runs in sets]
    sizes, ratios = (_distinct(np.concatenate(column)) for column in zip(*columns, strict=True))
    return tuple(
        np.searchsorted(sizes, params) * ratios.size + np.searchsorted(ratios, ratio)
        for params, ratio in columns
    )


def cluster_numbers(sets: Sequence[Runs]) -> tuple[Index, ...]:
    """Return a number for every cell, equal for those that deviate from a law alike.

    These are cells of one (N, M), and branches of one trunk, joined transitively: in a study of one
    trunk a size all cells of that size.
    """
    numbers = cell_numbers(sets)
    if all(runs.trunk is None for runs in sets):
        return numbers
    trunks, start = [], 0
    for runs in sets:
        own = np.arange(len(runs.cells)) if runs.trunk is None else runs.trunk
        trunks.append(start + own)
        start += int(own.max(initial=-1)) + 1
    ends = np.cumsum([number.size for number in numbers])
    found = joined((np.concatenate(numbers), np.concatenate(trunks)), int(ends[-1]))
    return tuple(np.split(found, ends[:-1]))


def _distinct(values: Array) -> Array:
    """Ascending values that differ by more than rounding; of close ones the largest."""
    kept: list[float] = []
    first = 0.0
    for value in np.unique(values).tolist():
        if kept and value <= first * _SAME:
            kept[-1] = value
        else:
            first = value
            kept.append(value)
    return np.array(kept)


def _some(found: list[Split]) -> list[Split]:
    """At most `_MOST_CUTS` of the splits, evenly spread and with the last."""
    if len(found) <= _MOST_CUTS:
        return found
    picked = np.linspace(len(found) - 1, 0, _MOST_CUTS).round().astype(int)
    return [found[i] for i in sorted(set(picked.tolist()))]


def _enough(grid: Grid, masks: Masks) -> bool:
    """Whether some data set has the cells and sizes that a comparison of laws needs."""
    # A study of three sizes has no larger one to predict from three, so two must do there.
    least = min(_LEAST_SIZES, max(grid.sizes.size - 1, 2))
    return any(
        mask.sum() >= _LEAST_CELLS and _distinct(runs.params[mask]).size >= least
        for runs, mask in zip(grid.runs, masks, strict=True)
    )


def _designs(numbers: tuple[Index, ...], masks: Masks) -> int:
    """Count the distinct (N, M) of some cells."""
    return len({int(i) for at, mask in zip(numbers, masks, strict=True) for i in at[mask]})


def _size_names(grid: Grid) -> dict[float, str]:
    """Sizes by the names that the paths of the cells give them, else by their counts."""
    found = {size: short(size) for size in grid.sizes.tolist()}
    for runs in grid.runs:
        for path, params in zip(runs.cells, runs.params.tolist(), strict=True):
            named = re.search(r"(?:^|/)size=([0-9.]+[kmbt])(?:/|$)", path)
            at = int(np.searchsorted(grid.sizes, params))
            if named and at < grid.sizes.size:
                found[float(grid.sizes[at])] = named[1].upper()
    return found


def _cut(grid: Grid, column: str, limit: float) -> tuple[Masks, Masks]:
    """Cells up to a limit of N or C, and those above."""
    low = [getattr(runs, column) <= limit for runs in grid.runs]
    pairs = list(zip(grid.inside, low, strict=True))
    return tuple(cells & few for cells, few in pairs), tuple(cells & ~few for cells, few in pairs)


def _by_size(grid: Grid) -> list[Split]:
    found = []
    called = _size_names(grid)
    for cut, following in pairwise(grid.sizes.tolist()):
        train, test = _cut(grid, "params", cut * _SAME)
        label = f"N up to {called[cut]} predict {called[following]} and more"
        if _enough(grid, train):
            found.append(Split(f"N<={called[cut]}", "N", label, train, test, train))
    return found


def _by_compute(grid: Grid) -> list[Split]:
    flops = np.concatenate([r.flops[m] for r, m in zip(grid.runs, grid.inside, strict=True)])
    found = []
    for k in range(math.ceil(math.log10(flops.min())), math.ceil(math.log10(flops.max()))):
        train, test = _cut(grid, "flops", 10.0**k)
        if _enough(grid, train):
            label = f"C up to 1e{k} FLOPs predict more"
            found.append(Split(f"C<=1e{k}", "C", label, train, test, train))
    return found


def _by_ratio(grid: Grid) -> list[Split]:
    """All M and a narrow range of M predict the large sizes; small M predict large M."""
    parts = list(zip(grid.runs, grid.ratios, grid.inside, strict=True))
    small = [runs.params < grid.big / _SAME for runs in grid.runs]
    large = tuple(inside & ~low for (_, _, inside), low in zip(parts, small, strict=True))
    large_name = _size_names(grid)[grid.big]
    where = f"predict {large_name} and more"
    found = []
    whole = tuple(runs.same_recipe & low for (runs, _, _), low in zip(parts, small, strict=True))
    if any((mask & ~inside).any() for mask, inside in zip(whole, grid.inside, strict=True)):
        label = f"all M below {large_name} {where}"
        found.append(Split("M all", "M", label, whole, large, whole))
    every = _distinct(np.concatenate([ratio[inside] for _, ratio, inside in parts]))
    if every.size < _LEAST_DESIGNS:
        return found
    cut = float(every[every <= math.sqrt(every[0] * every[-1])][-1])
    limit = cut * _SAME
    low = tuple(
        inside & below & (ratio <= limit)
        for (_, ratio, inside), below in zip(parts, small, strict=True)
    )
    if not _enough(grid, low):
        return found
    span = f"M {every[0]:.3g} to {cut:.3g}" if every[0] < cut else f"M {cut:.3g}"
    label = f"{span} below {large_name} {where}"
    found.append(Split(f"M<={cut:.3g}", "M", label, low, large, low))
    high = tuple(
        inside & below & (ratio > limit)
        for (_, ratio, inside), below in zip(parts, small, strict=True)
    )
    label = f"{span} predict larger M at the same sizes"
    return [*found, Split(f"M<={cut:.3g}, sizes kept", "M", label, low, high, low)]


def _by_design(grid: Grid) -> list[Split]:
    """Let the study's own fit cells predict all others, and its targets alone."""
    train = tuple(runs.fit_loss & runs.same_recipe for runs in grid.runs)
    error = tuple(runs.fit_error & runs.same_recipe for runs in grid.runs)
    if not any(mask.any() for mask in train):
        return []
    rest = tuple(inside & ~mask for inside, mask in zip(grid.inside, train, strict=True))
    target = tuple(
        mask & runs.target & ~used for runs, mask, used in zip(grid.runs, rest, error, strict=True)
    )
    head = "the study's fit cells predict"
    return [
        Split("design", "design", f"{head} all others", train, rest, error),
        Split("design, targets", "design", f"{head} its targets", train, target, error),
    ]
