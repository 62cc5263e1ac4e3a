"""How much a prediction owes to the luck of the design: fits to random subsets of the cells."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from scalebed.fit.refit import one_exponent, refit
from scalebed.laws.forms.base import Array, Index, Inputs, Law


class Subsets(NamedTuple):
    """Fits to random designs, one row a design that could be fitted.

    Attributes
    ----------
    points
        Cells of the design.
    flops
        Compute of the design.
    predicted
        Value of the law at the target.
    design
        Number of the design in the list that was given.
    refused
        Designs drawn whose fit was refused, which are not among the rows.
    """

    points: Array
    flops: Array
    predicted: Array
    design: Index
    refused: int


def windows(count: int, smallest: int, each: int, rng: np.random.Generator) -> list[Index]:
    """Designs of n cells drawn from the cheapest n' cells, for every n <= n' <= `count`.

    Parameters
    ----------
    count : int
        Cells in the pool, which is sorted by compute.
    smallest : int
        Least number of cells of a design.
    each : int
        Designs for every window 1 .. n'.
    rng : Generator
    """
    designs = []
    for window in range(smallest, count + 1):
        for _ in range(each):
            size = int(rng.integers(smallest, window + 1))
            designs.append(np.sort(rng.choice(window, size, replace=False)))
    return designs


def draws(count: int, size: int, number: int, rng: np.random.Generator) -> list[Index]:
    """Return `number` designs of `size` cells out of `count`."""
    return [np.sort(rng.choice(count, size, replace=False)) for _ in range(number)]


def fit_designs(
    law: Law,
    x: Inputs,
    y: Array,
    flops: Array,
    designs: list[Index],
    target: tuple[float | Array, ...],
) -> Subsets:
    """Fit a law to every design and predict one target.

    Parameters
    ----------
    law : Law
    x, y : inputs and response of the pool
    flops : array (n,)
    designs : list of index arrays
    target : tuple of float or array (designs,)
        Inputs of the law at the target; arrays where every design has its own.

    Notes
    -----
    A design that the law refuses is counted. Designs of one size are fitted together.
    """
    kept = [
        number
        for number, design in enumerate(designs)
        if law.refusal(tuple(column[design] for column in x), y[design]) is None
    ]
    at = [np.broadcast_to(np.asarray(value, float), len(designs)) for value in target]
    # The exponent is searched where the whole pool says, the same for all designs.
    last = law.bounds(x)[:, -1]
    domain = (float(last[0]), float(last[1])) if one_exponent(law) else None
    parts = [Subsets(np.empty(0), np.empty(0), np.empty(0), np.empty(0, dtype=np.intp), 0)]
    for size in sorted({designs[number].size for number in kept}):
        numbers = np.array([number for number in kept if designs[number].size == size])
        index = np.stack([designs[number] for number in numbers])
        best = refit(law, tuple(column[index] for column in x), y[index], domain=domain)
        predicted = law.predict(best.theta, tuple(value[numbers, None] for value in at))[:, 0]
        points = np.full(numbers.size, float(size))
        parts.append(Subsets(points, flops[index].sum(1), predicted, numbers, 0))
    return Subsets(
        np.concatenate([part.points for part in parts]),
        np.concatenate([part.flops for part in parts]),
        np.concatenate([part.predicted for part in parts]),
        np.concatenate([part.design for part in parts]),
        len(designs) - len(kept),
    )


def beaten(error: float, errors: Array) -> float:
    """Return the share of designs with a smaller error than `error`."""
    return float(np.mean(errors < error)) if errors.size else float("nan")
