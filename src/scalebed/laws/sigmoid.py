"""Error as a sigmoid of the loss, between two levels.

    Err(L) = bottom + (1 - bottom) height / (1 + exp(-gamma (L - L_0)))

Source: Bhagia et al., arXiv 2412.04403, there for the accuracy and with levels a and b. The
upper level, bottom + (1 - bottom) height, is within 0 .. 1 for every bottom and height in 0 .. 1.
"""

from __future__ import annotations

import numpy as np

from scalebed.laws.forms.base import Array, Index, Inputs, Parameter
from scalebed.laws.forms.formula import Formula
from scalebed.laws.forms.jets import Jet, logistic
from scalebed.laws.forms.rates import middles, rates
from scalebed.laws.forms.starts import axes, best, slopes, thinned


class Sigmoid(Formula):
    """Four-parameter sigmoid; theta = (bottom, height, gamma, L_0), input (loss,)."""

    name: str = "sigmoid"
    kind: str = "error"
    inputs: tuple[str, ...] = ("loss",)
    formula: str = "Err = bottom + (1 - bottom) height / (1 + exp(-gamma (L - L_0)))"
    source: str = "Bhagia et al. 2024, arXiv 2412.04403"
    parameters: tuple[Parameter, ...] = (
        Parameter("bottom", "error", 0.0, 1.0, "error of a model with no loss"),
        Parameter("height", "1", 0.0, 1.0, "rise, as a share of 1 - bottom"),
        Parameter("gamma", "1/nat", 0.0, np.inf, "steepness"),
        Parameter("L_0", "nats", -np.inf, np.inf, "loss at the turning point"),
    )
    derived: tuple[Parameter, ...] = (
        Parameter("top", "error", 0.0, 1.0, "error of a model with unbounded loss"),
    )

    def jet(self, theta: tuple[Jet, ...], x: Inputs) -> Jet:
        """Evaluate the formula in jets."""
        bottom, height, rate, middle = theta
        return bottom + (1.0 - bottom) * height * (rate * (x[0] - middle)).sigmoid()

    def derive(self, theta: Array) -> Array:
        """Compute the upper level, shape (..., 1)."""
        return (theta[..., 0] + (1 - theta[..., 0]) * theta[..., 1])[..., None]

    def bounds(self, x: Inputs) -> Array:
        """Bounds of the parameters, (2, p); of gamma and L_0, what these losses can show."""
        limits = super().bounds(x)
        limits[:, 2], limits[:, 3] = rates(x[0]), middles(x[0])
        return limits

    def starts(self, x: Inputs, y: Array, weights: Array) -> Array:
        """Given gamma and L_0, the law is linear in bottom and rise."""
        x, y, weights = thinned(x, y, weights)
        grid = turning_grid(x[0])
        phi = logistic(grid[:, :1] * (x[0] - grid[:, 1:]))
        bottom, rise = slopes(phi[..., None], y, weights, (0.0, 1.0)).T
        bottom = np.clip(bottom, 0.0, 1 - 1e-9)
        height = np.clip(rise / (1 - bottom), 0.0, 1.0)
        candidates = np.column_stack([bottom, height, grid])
        return best(self.value, x, y, weights, candidates, turning_groups(grid))


def turning_grid(u: Array) -> Array:
    """Rates and turning points, (nodes, 2): dense over the points, thin beyond them."""
    low, high = rates(u)
    spread = float(np.ptp(u))
    inside = np.linspace(np.min(u), np.max(u), 9)
    beyond = spread * np.array([0.15, 0.4, 1.0, 2.5])
    middle = np.concatenate([np.min(u) - beyond[::-1], inside, np.max(u) + beyond])
    return axes(np.geomspace(25 * low, high, 18), middle)


def turning_groups(grid: Array) -> Index:
    """Group of every node: its rate, so that starts differ in it."""
    groups: Index = np.unique(grid[:, 0], return_inverse=True)[1]
    return groups


LAW = Sigmoid()
