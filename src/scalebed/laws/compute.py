"""Loss as a power law of compute alone, for runs along one recipe such as a frontier.

    L(C) = E + lambda C^-eta

Source: Gadre et al., arXiv 2403.08540, Eq. 1. It says nothing of how to split compute.
"""

from __future__ import annotations

import numpy as np

from scalebed.laws.forms.base import Array, Inputs, Parameter, value_refusal
from scalebed.laws.forms.exponential import ExponentialSum, positive_refusal


class Compute(ExponentialSum):
    """E + lambda C^-eta; theta = (E, lambda, eta), input (flops,)."""

    name: str = "compute"
    inputs: tuple[str, ...] = ("flops",)
    formula: str = "L = E + lambda C^-eta"
    source: str = "Gadre et al. 2024, arXiv 2403.08540, Eq. 1"
    parameters: tuple[Parameter, ...] = (
        Parameter("E", "nats", 0.0, np.inf, "irreducible loss"),
        Parameter("lambda", "nats FLOPs^eta", 0.0, np.inf, "weight of the power law"),
        Parameter("eta", "1", 0.005, 2.0, "exponent of compute"),
    )
    nodes: int = 96

    def refusal(self, x: Inputs, y: Array) -> str | None:
        """Why these points cannot identify the law, or None."""
        reason = positive_refusal(("flops", "loss"), (*x, y)) or value_refusal(self, x, y)
        if reason is None and np.max(x[0]) / np.min(x[0]) < 1 + 1e-6:
            return f"no spread in C: every point has about {x[0][0]:.4g} FLOPs"
        return reason


LAW = Compute()
