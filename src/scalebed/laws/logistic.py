"""Error as a sigmoid of log compute, starting at 1.

    Err(C) = 1 - height / (1 + exp(-k (log C - log C_0)))

Source: Ruan et al., arXiv 2405.10938, who fit a sigmoid of this form to accuracies, with a height
below 1 where a task saturates.
"""

from __future__ import annotations

import numpy as np

from scalebed.laws.forms.base import Array, Inputs, Parameter
from scalebed.laws.forms.formula import Formula
from scalebed.laws.forms.jets import Jet, logistic
from scalebed.laws.forms.rates import middles, rates
from scalebed.laws.forms.starts import best, slopes, thinned
from scalebed.laws.sigmoid import turning_grid, turning_groups


class Logistic(Formula):
    """Sigmoid of log C; theta = (height, k, log_C_0), input (flops,)."""

    name: str = "logistic"
    kind: str = "direct"
    inputs: tuple[str, ...] = ("flops",)
    formula: str = "Err = 1 - height / (1 + exp(-k (log C - log C_0)))"
    source: str = "form of Ruan et al. 2024, arXiv 2405.10938"
    parameters: tuple[Parameter, ...] = (
        Parameter("height", "1", 0.0, 1.0, "accuracy at unbounded compute"),
        Parameter("k", "1", 0.0, np.inf, "steepness in log C"),
        Parameter("log_C_0", "log FLOPs", -np.inf, np.inf, "log C at the turning point"),
    )

    def jet(self, theta: tuple[Jet, ...], x: Inputs) -> Jet:
        """Evaluate the formula in jets."""
        height, rate, middle = theta
        return 1.0 - height * (rate * (np.log(x[0]) - middle)).sigmoid()

    def bounds(self, x: Inputs) -> Array:
        """Bounds of the parameters, (2, p); of k and log C_0, what these runs can show."""
        limits = super().bounds(x)
        u = np.log(x[0])
        limits[:, 1], limits[:, 2] = rates(u), middles(u)
        return limits

    def starts(self, x: Inputs, y: Array, weights: Array) -> Array:
        """Given k and C_0, the law is linear in the height."""
        x, y, weights = thinned(x, y, weights)
        u = np.log(x[0])
        grid = turning_grid(u)
        phi = logistic(grid[:, :1] * (u - grid[:, 1:]))
        height = np.clip(slopes(phi[..., None], 1 - y, weights)[:, 1:], 0.0, 1.0)
        candidates = np.concatenate([height, grid], axis=1)
        return best(self.value, x, y, weights, candidates, turning_groups(grid))


LAW = Logistic()
