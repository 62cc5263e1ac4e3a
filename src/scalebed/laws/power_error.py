"""Error as a power law of compute with a floor.

    Err(C) = E + a C^-b,  limited to [0, 1]

A baseline of the form of Gadre et al., arXiv 2403.08540, Eq. 1, fitted to errors.
"""

from __future__ import annotations

import numpy as np

from scalebed.laws.forms.base import Array, Inputs, Parameter
from scalebed.laws.forms.exponential import ExponentialSum
from scalebed.laws.forms.formula import common_refusal


class PowerError(ExponentialSum):
    """E + a C^-b within [0, 1]; theta = (E, a, b), input (flops,)."""

    name: str = "power_error"
    kind: str = "direct"
    inputs: tuple[str, ...] = ("flops",)
    formula: str = "Err = E + a C^-b"
    source: str = "form of Gadre et al. 2024, arXiv 2403.08540, Eq. 1, on the error"
    parameters: tuple[Parameter, ...] = (
        Parameter("E", "error", 0.0, 1.0, "irreducible error"),
        Parameter("a", "error FLOPs^b", 0.0, np.inf, "weight of the power law"),
        Parameter("b", "1", 0.005, 2.0, "exponent of compute"),
    )
    nodes: int = 96

    def refusal(self, x: Inputs, y: Array) -> str | None:
        """Why these points cannot identify the law, or None."""
        return common_refusal(self, x, y)


LAW = PowerError()
