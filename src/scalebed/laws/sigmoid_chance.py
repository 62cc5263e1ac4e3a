"""Error as a sigmoid of the loss with its top at chance.

    Err(L) = bottom + (chance - bottom) / (1 + exp(-gamma (L - L_0)))

Source: Bhagia et al., arXiv 2412.04403, with the upper level held at the error of guessing.
"""

from __future__ import annotations

import numpy as np

from scalebed.laws.forms.base import Array, Inputs, Parameter
from scalebed.laws.forms.formula import Formula
from scalebed.laws.forms.jets import Jet, logistic
from scalebed.laws.forms.rates import middles, rates
from scalebed.laws.forms.starts import best, thinned
from scalebed.laws.sigmoid import turning_grid, turning_groups


class SigmoidChance(Formula):
    """Sigmoid up to chance; theta = (bottom, gamma, L_0), inputs (loss, chance)."""

    name: str = "sigmoid_chance"
    kind: str = "error"
    inputs: tuple[str, ...] = ("loss", "chance")
    formula: str = "Err = bottom + (chance - bottom) / (1 + exp(-gamma (L - L_0)))"
    source: str = "Bhagia et al. 2024, arXiv 2412.04403, top = error of guessing"
    parameters: tuple[Parameter, ...] = (
        Parameter("bottom", "error", 0.0, 1.0, "error of a model with no loss, at most chance"),
        Parameter("gamma", "1/nat", 0.0, np.inf, "steepness"),
        Parameter("L_0", "nats", -np.inf, np.inf, "loss at the turning point"),
    )

    def jet(self, theta: tuple[Jet, ...], x: Inputs) -> Jet:
        """Evaluate the formula in jets."""
        bottom, rate, middle = theta
        return bottom + (x[1] - bottom) * (rate * (x[0] - middle)).sigmoid()

    def bounds(self, x: Inputs) -> Array:
        """Bounds of the parameters, (2, p); of gamma and L_0, what these losses can show."""
        limits = super().bounds(x)
        limits[1, 0] = np.min(x[1])
        limits[:, 1], limits[:, 2] = rates(x[0]), middles(x[0])
        return limits

    def starts(self, x: Inputs, y: Array, weights: Array) -> Array:
        """Given gamma and L_0, the law is linear in bottom."""
        x, y, weights = thinned(x, y, weights)
        grid = turning_grid(x[0])
        share = logistic(grid[:, :1] * (x[0] - grid[:, 1:]))
        phi = 1 - share
        length = np.maximum((weights * phi**2).sum(1), 1e-300)
        bottom = (weights * phi * (y - x[1] * share)).sum(1) / length
        bottom = np.clip(bottom, 0.0, float(np.min(x[1])))
        candidates = np.column_stack([bottom, grid])
        return best(self.value, x, y, weights, candidates, turning_groups(grid))


LAW = SigmoidChance()
