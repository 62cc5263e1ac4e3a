"""Error as a straight line over the loss, limited to [0, 1].

    Err(L) = a + b L

A baseline; error never rises as the loss falls. Chen et al., arXiv 2410.08527, use it above the
loss where a task emerges.
"""

from __future__ import annotations

import numpy as np

from scalebed.laws.forms.base import Array, Inputs, Parameter
from scalebed.laws.forms.formula import Formula
from scalebed.laws.forms.jets import Jet
from scalebed.laws.forms.starts import slopes


class Linear(Formula):
    """Straight line; theta = (a, b), input (loss,)."""

    name: str = "linear"
    kind: str = "error"
    inputs: tuple[str, ...] = ("loss",)
    formula: str = "Err = a + b L"
    source: str = "baseline; Chen et al. 2024, arXiv 2410.08527, above emergence"
    parameters: tuple[Parameter, ...] = (
        Parameter("a", "error", -np.inf, np.inf, "error of the line at no loss"),
        Parameter("b", "error/nat", 0.0, np.inf, "slope"),
    )

    def jet(self, theta: tuple[Jet, ...], x: Inputs) -> Jet:
        """Evaluate the formula in jets."""
        return theta[0] + theta[1] * x[0]

    def starts(self, x: Inputs, y: Array, weights: Array) -> Array:
        """Return the solution."""
        return slopes(x[0][None, :, None], y, weights, (-np.inf, np.inf))


LAW = Linear()
