"""Farseer: a data exponent, a data weight and a floor that all change with the model size.

    L(N, D) = exp(a3 N^gamma + b3) + exp(a2 N^beta + b2) D^(-exp(a1 N^alpha + b1))

Source: Li et al., "Predictable Scale Part II: Farseer", arXiv 2506.10972.

The nine published numbers hang together: a N^q + b is a straight line in log N as q goes to 0,
with a and b without limit. Here each of the three is given by its value and slope in log N at
N_0 = 1e8 parameters and by its exponent q, which is the same function:

    a N^q + b = value + slope ((N / N_0)^q - 1) / q,   a = slope / (q N_0^q),  b = value - slope / q

The published numbers are the derived ones. All exponents at 0 give power laws.
"""

from __future__ import annotations

import numpy as np

from scalebed.laws.forms.base import Array, Index, Inputs, Parameter
from scalebed.laws.forms.designs import levels
from scalebed.laws.forms.formula import Formula
from scalebed.laws.forms.jets import Jet, box_cox
from scalebed.laws.forms.starts import axes, best, slopes, thinned

_REFERENCE = 1e8
_POWERS = (-1.0, 1.0)
_LEVELS = 3
_BENDS = np.linspace(-0.8, 0.8, 161)
_LITTLE = np.array([-0.3, 0.0, 0.3])


class Farseer(Formula):
    """Farseer; theta = (E_0, E_1, gamma, B_0, B_1, beta, S_0, S_1, alpha)."""

    name: str = "farseer"
    inputs: tuple[str, ...] = ("params", "tokens")
    formula: str = (
        "L = exp(a3 N^gamma + b3) + exp(a2 N^beta + b2) D^(-exp(a1 N^alpha + b1)), "
        "a = slope / (q N_0^q), b = value - slope / q, N_0 = 1e8"
    )
    source: str = "Li et al. 2025, arXiv 2506.10972"
    parameters: tuple[Parameter, ...] = (
        Parameter("E_0", "log nats", -60.0, 60.0, "log of the floor at N_0"),
        Parameter("E_1", "1", -3.0, 0.0, "its slope in log N at N_0"),
        Parameter("gamma", "1", *_POWERS, "its exponent of N"),
        Parameter("B_0", "log nats", -60.0, 200.0, "log of the weight of the data term at N_0"),
        Parameter("B_1", "1", -20.0, 20.0, "its slope in log N at N_0"),
        Parameter("beta", "1", *_POWERS, "its exponent of N"),
        Parameter("S_0", "1", -5.0, 1.1, "log of the data exponent at N_0"),
        Parameter("S_1", "1", -3.0, 3.0, "its slope in log N at N_0"),
        Parameter("alpha", "1", *_POWERS, "its exponent of N"),
    )
    derived: tuple[Parameter, ...] = tuple(
        Parameter(f"{letter}{i}", "1", -np.inf, np.inf, f"published {letter} of the {part}")
        for i, part in ((1, "data exponent"), (2, "data weight"), (3, "floor"))
        for letter in "ab"
    )

    def jet(self, theta: tuple[Jet, ...], x: Inputs) -> Jet:
        """Evaluate the formula in jets."""
        u = np.log(x[0] / _REFERENCE)
        floor, weight, exponent = (
            theta[i] + theta[i + 1] * box_cox(u, theta[i + 2]) for i in (0, 3, 6)
        )
        return floor.exp() + (weight - exponent.exp() * np.log(x[1])).exp()

    def value(self, theta: Array, x: Inputs) -> Array:
        """Evaluate the formula; theta (..., p), inputs (n,) or (..., n), result (..., n)."""
        with np.errstate(over="ignore"):
            return super().value(theta, x)

    def derive(self, theta: Array) -> Array:
        """(a1, b1, a2, b2, a3, b3), shape (..., 6); infinite where an exponent is 0."""
        columns = []
        with np.errstate(divide="ignore", invalid="ignore"):
            for i in (6, 3, 0):
                value, slope, power = (theta[..., i + j] for j in range(3))
                columns += [slope / (power * _REFERENCE**power), value - slope / power]
        return np.stack(columns, axis=-1)

    def refusal(self, x: Inputs, y: Array) -> str | None:
        """Why these points cannot identify the law, or None."""
        reason = super().refusal(x, y)
        if reason is not None:
            return reason
        for name, column in (("N", x[0]), ("D", x[1])):
            found = levels(column).max() + 1
            if found < _LEVELS:
                return (
                    f"{found} distinct {name}, at least {_LEVELS} needed: a value, a slope and a "
                    "curvature of each of three functions"
                )
        return None

    def starts(self, x: Inputs, y: Array, weights: Array) -> Array:
        """Power laws over a grid, and a fit of each model size on its own where that is possible.

        The second is the paper's way: floor, weight and exponent size by size, then each as a
        function of N.
        """
        x, y, weights = thinned(x, y, weights)
        candidates = np.concatenate([_power_laws(x, y, weights), _staged(x, y, weights)])
        candidates = np.clip(candidates, *self.bounds(x))
        # Starts that differ in how the data exponent changes, and how all three bend.
        keys = np.round(candidates[:, [2, 5, 7, 8]] * [3, 3, 20, 3])
        groups: Index = np.unique(keys, axis=0, return_inverse=True)[1].ravel()
        return best(self.value, x, y, weights, candidates, groups)


def _power_laws(x: Inputs, y: Array, weights: Array) -> Array:
    """Laws whose floor and weight are powers of N, with one data exponent."""
    grid = axes(
        np.array([0.0, 0.03, 0.08, 0.15, 0.3, 0.6]),
        np.array([-0.2, 0.0, 0.15, 0.3, 0.6]),
        np.geomspace(0.04, 1.5, 12),
    )
    u, v = np.log(x[0] / _REFERENCE), np.log(x[1])
    # About the middle of log D the columns are of order one.
    middle = float(np.mean(v))
    phi = np.stack(
        [
            np.exp(-grid[:, :1] * u),
            np.exp(-grid[:, 1:2] * u - grid[:, 2:] * (v - middle)),
        ],
        axis=-1,
    )
    found = slopes(phi, y, weights)[:, 1:]
    fine = (found > 0).all(1)
    floor, weight = np.log(found[fine]).T
    grid, zero = grid[fine], np.zeros(int(fine.sum()))
    weight = weight + grid[:, 2] * middle
    columns = [floor, -grid[:, 0], zero, weight, -grid[:, 1], zero, np.log(grid[:, 2]), zero, zero]
    laws = np.stack(columns, axis=-1)
    # The best of them, bent either way.
    bent = best(Farseer().value, x, y, weights, laws, count=4)
    powers = axes(*[np.array([-0.3, 0.3])] * 3)
    more = np.repeat(bent, len(powers), 0)
    more[:, 2::3] = np.tile(powers, (len(bent), 1))
    return np.concatenate([laws, more])


def _staged(x: Inputs, y: Array, weights: Array) -> Array:
    """Fits size by size, then each of the three functions of N through what they gave.

    Once with a data exponent of its own for every size, and once for every line of log exponents
    over log N of a grid, which noise disturbs less.
    """
    level = levels(x[0])
    runs = [np.flatnonzero(level == k) for k in range(int(level.max()) + 1)]
    runs = [at for at in runs if np.unique(x[1][at]).size >= _LEVELS]
    if len(runs) < _LEVELS:
        return np.empty((0, 9))
    u = np.array([float(np.mean(np.log(x[0][at] / _REFERENCE))) for at in runs])
    lines = axes(np.log(np.geomspace(0.05, 1.5, 20)), np.linspace(-0.3, 0.3, 7))
    shared = lines[:, :1] + lines[:, 1:] * (u - np.mean(u))
    own = np.array([_exponent(np.log(x[1][at]), y[at], weights[at]) for at in runs])
    exponents = np.concatenate([own[None], np.clip(shared, np.log(0.01), np.log(3.0))])
    found = [
        _terms(np.log(x[1][at]), y[at], weights[at], np.exp(column))
        for at, column in zip(runs, exponents.T, strict=True)
    ]
    table = np.stack([*np.stack(found, axis=1).T, exponents.T]).transpose(2, 0, 1)
    table = table[np.isfinite(table).all((1, 2))]
    # Noise drives the exponents to the ends of their range: once with little bend allowed.
    return np.concatenate(
        [
            np.concatenate([_curve(u, table[:, k], powers) for k in range(3)], axis=1)
            for powers in (_BENDS, _LITTLE)
        ]
    )


def _exponent(v: Array, y: Array, weights: Array) -> float:
    """Log of the data exponent of one size, by zooming in on the best node of a grid."""
    low, high = np.log(0.01), np.log(3.0)
    for _ in range(4):
        grid = np.linspace(low, high, 60)
        phi = np.exp(-np.exp(grid[:, None]) * (v - np.mean(v)))
        found = slopes(phi[..., None], y, weights, (0.0, np.inf))
        rest = found[:, :1] + found[:, 1:] * phi - y
        k = int(np.argmin((weights * rest**2).sum(1)))
        low, high = grid[max(k - 1, 0)], grid[min(k + 1, 59)]
    return float(grid[k])


def _terms(v: Array, y: Array, weights: Array, exponents: Array) -> Array:
    """Fit floor and data weight of one size at each exponent; their logs, (exponents, 2)."""
    middle = float(np.mean(v))
    phi = np.exp(-exponents[:, None] * (v - middle))
    found = slopes(phi[..., None], y, weights, (0.0, np.inf))
    with np.errstate(divide="ignore"):
        logs = np.log(found)
    logs[:, 1] += exponents * middle
    return logs


def _curve(u: Array, rows: Array, powers: Array) -> Array:
    """Value, slope and exponent, one of `powers`, of the best curve through each row."""
    best_cost, result = np.full(len(rows), np.inf), np.zeros((len(rows), 3))
    for power in powers:
        bent = box_cox(u, Jet(np.array(power), order=0)).value
        design = np.stack([np.ones_like(u), bent], axis=-1)
        line = np.linalg.lstsq(design, rows.T, rcond=None)[0]
        cost = np.sum((design @ line - rows.T) ** 2, axis=0)
        better = cost < best_cost
        best_cost[better] = cost[better]
        result[better] = np.stack([*line, np.full(len(rows), power)], axis=-1)[better]
    return result


LAW = Farseer()
