"""Where the grid of a posterior lies, and how it closes in on where the mass is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scalebed.laws.forms.base import Array

EXPONENTS = (0.02, 1.2)
_SCATTERS = (np.log(1e-6), np.log(0.5))
"""Of the part of the scatter that is a row's own: many rows tell it well, whatever they share."""
NODES, LEVELS = 40, 33
"""Of each exponent, and of the scatter."""
LEVELS_RESOLVED = 3.0
RESOLVED, _KEPT = 8.0, 30
"""Nodes from which on their mass says where to look; as long as it does not, the best are kept."""
_TAIL = 1e-5
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Box:
    """Where the grid lies: limits of alpha, beta and the log of the scatter of a row alone."""

    alpha: tuple[float, float] = EXPONENTS
    beta: tuple[float, float] = EXPONENTS
    scatter: tuple[float, float] = _SCATTERS

    def is_near(self, other: Box) -> bool:
        """Tell whether another box is the same but for rounding."""
        own, others = (np.array([box.alpha, box.beta, box.scatter]) for box in (self, other))
        return bool(np.abs(own - others).max() < _ROUNDING)


def closer(mass: Array, alpha: Array, beta: Array, box: Box) -> Box:
    """Limits of the next grid.

    On a grid too coarse for the mass its best node is the nearest to a ridge, not to the top, and
    the scatter at the top is smaller than anywhere on it: so the best nodes are all kept.

    Parameters
    ----------
    mass : array (nodes, levels)
    alpha, beta : array (nodes,)
    box : Box
        Limits of the grid that `mass` lies on.
    """
    by_node = mass.sum(1)
    if effective(by_node) < RESOLVED:
        best = np.argsort(by_node)[-_KEPT:]
        return Box(_around(alpha[best], box.alpha), _around(beta[best], box.beta), box.scatter)
    by_node, by_level = by_node.reshape(NODES, NODES), mass.sum(0)
    return Box(
        _within(by_node.sum(1), box.alpha, EXPONENTS),
        _within(by_node.sum(0), box.beta, EXPONENTS),
        _within(by_level, box.scatter, _SCATTERS),
    )


def effective(mass: Array) -> float:
    """Count what carries the mass: 1 / sum of squares."""
    return float(np.sum(mass) ** 2 / np.sum(mass**2))


def _around(kept: Array, limits: tuple[float, float]) -> tuple[float, float]:
    """Two steps beyond the nodes that are kept."""
    step = 2 * (limits[1] - limits[0]) / (NODES - 1)
    low, high = float(kept.min()) - step, float(kept.max()) + step
    return max(low, EXPONENTS[0]), min(high, EXPONENTS[1])


def _within(
    mass: Array, limits: tuple[float, float], most: tuple[float, float]
) -> tuple[float, float]:
    """Limits that leave out the tails, a step beyond them."""
    at = np.linspace(*limits, mass.size)
    step = at[1] - at[0]
    below = np.cumsum(mass) / mass.sum()
    low = at[int(np.searchsorted(below, _TAIL))] - step
    high = at[min(int(np.searchsorted(below, 1 - _TAIL)), mass.size - 1)] + step
    return max(float(low), most[0]), min(float(high), most[1])


def edge(mass: Array, box: Box) -> float:
    """Share of the mass at the limits of the exponents; `mass` by node."""
    by_node = mass.reshape(NODES, NODES)
    sides = [
        (by_node[0].sum(), box.alpha[0] == EXPONENTS[0]),
        (by_node[-1].sum(), box.alpha[1] == EXPONENTS[1]),
        (by_node[:, 0].sum(), box.beta[0] == EXPONENTS[0]),
        (by_node[:, -1].sum(), box.beta[1] == EXPONENTS[1]),
    ]
    return float(sum(share for share, at_limit in sides if at_limit))
