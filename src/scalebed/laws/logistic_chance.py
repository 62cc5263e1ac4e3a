"""Error as a sigmoid of log compute that starts at chance.

    Err(C) = bottom + (chance - bottom) / (1 + exp(k (log C - log C_0)))

Source: the sigmoid of Ruan et al., arXiv 2405.10938, with its upper level at the error of guessing.
"""

from __future__ import annotations

import numpy as np

from scalebed.laws.forms.base import Array, Inputs, Parameter
from scalebed.laws.forms.formula import Formula
from scalebed.laws.forms.jets import Jet, logistic
from scalebed.laws.forms.rates import middles, rates
from scalebed.laws.forms.starts import best, thinned
from scalebed.laws.sigmoid import turning_grid, turning_groups


class LogisticChance(Formula):
    """Sigmoid down from chance; theta = (bottom, k, log_C_0), inputs (flops, chance)."""

    name: str = "logistic_chance"
    kind: str = "direct"
    inputs: tuple[str, ...] = ("flops", "chance")
    formula: str = "Err = bottom + (chance - bottom) / (1 + exp(k (log C - log C_0)))"
    source: str = "form of Ruan et al. 2024, arXiv 2405.10938, top = error of guessing"
    parameters: tuple[Parameter, ...] = (
        Parameter("bottom", "error", 0.0, 1.0, "error at unbounded compute, at most chance"),
        Parameter("k", "1", 0.0, np.inf, "steepness in log C"),
        Parameter("log_C_0", "log FLOPs", -np.inf, np.inf, "log C at the turning point"),
    )

    def jet(self, theta: tuple[Jet, ...], x: Inputs) -> Jet:
        """Evaluate the formula in jets."""
        bottom, rate, middle = theta
        return x[1] - (x[1] - bottom) * (rate * (np.log(x[0]) - middle)).sigmoid()

    def bounds(self, x: Inputs) -> Array:
        """Bounds of the parameters, (2, p); of k and log C_0, what these runs can show."""
        limits = super().bounds(x)
        limits[1, 0] = np.min(x[1])
        u = np.log(x[0])
        limits[:, 1], limits[:, 2] = rates(u), middles(u)
        return limits

    def starts(self, x: Inputs, y: Array, weights: Array) -> Array:
        """Given k and C_0, the law is linear in bottom."""
        x, y, weights = thinned(x, y, weights)
        u = np.log(x[0])
        grid = turning_grid(u)
        phi = logistic(grid[:, :1] * (u - grid[:, 1:]))
        length = np.maximum((weights * phi**2).sum(1), 1e-300)
        bottom = (weights * phi * (y - x[1] * (1 - phi))).sum(1) / length
        candidates = np.column_stack([np.clip(bottom, 0.0, float(np.min(x[1]))), grid])
        return best(self.value, x, y, weights, candidates, turning_groups(grid))


LAW = LogisticChance()
