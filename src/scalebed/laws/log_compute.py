"""Error as a straight line over log compute, limited to [0, 1].

    Err(C) = a - b log C

A baseline; error never rises with compute.
"""

from __future__ import annotations

import numpy as np

from scalebed.laws.forms.base import Array, Inputs, Parameter
from scalebed.laws.forms.formula import Formula
from scalebed.laws.forms.jets import Jet
from scalebed.laws.forms.starts import slopes


class LogCompute(Formula):
    """Straight line over log C; theta = (a, b), input (flops,)."""

    name: str = "log_compute"
    kind: str = "direct"
    inputs: tuple[str, ...] = ("flops",)
    formula: str = "Err = a - b log C"
    source: str = "baseline, the straight line over log C"
    parameters: tuple[Parameter, ...] = (
        Parameter("a", "error", -np.inf, np.inf, "error of the line at 1 FLOP"),
        Parameter("b", "error", 0.0, np.inf, "fall of the error by a factor e of compute"),
    )

    def jet(self, theta: tuple[Jet, ...], x: Inputs) -> Jet:
        """Evaluate the formula in jets."""
        return theta[0] - theta[1] * np.log(x[0])

    def starts(self, x: Inputs, y: Array, weights: Array) -> Array:
        """Return the solution."""
        return slopes(-np.log(x[0])[None, :, None], y, weights, (-np.inf, np.inf))


LAW = LogCompute()
