"""Accuracy above chance as the exponential of a power law of compute.

    -log Q = A C^-alpha,    Q = (accuracy - chance) / (1 - chance)
    Err(C) = c (1 - exp(-A C^-alpha))

with c the error of guessing (input `chance`), for runs along one token multiplier. Source:
Krajewski et al., arXiv 2512.08894; see law `neglog`.
"""

from __future__ import annotations

import numpy as np

from scalebed.laws.forms.base import Array, Inputs, Parameter
from scalebed.laws.forms.formula import EXPONENTS, Formula, Scaling
from scalebed.laws.forms.jets import Jet
from scalebed.laws.forms.starts import best, slopes, thinned
from scalebed.laws.neglog import missed, straightened


class NegLogCompute(Formula):
    """Krajewski's law of C; theta = (A, alpha), inputs (flops, chance)."""

    name: str = "neglog_compute"
    kind: str = "direct"
    inputs: tuple[str, ...] = ("flops", "chance")
    formula: str = "Err = chance (1 - exp(-A C^-alpha))"
    source: str = "Krajewski et al. 2025, arXiv 2512.08894"
    parameters: tuple[Parameter, ...] = (
        Parameter("A", "FLOPs^alpha", 0.0, np.inf, "weight of the power law"),
        Parameter("alpha", "1", *EXPONENTS, "exponent of compute"),
    )
    scalings: tuple[Scaling, ...] = (Scaling(0, ((0, 1),)),)
    origins: tuple[tuple[int, ...], ...] = ((0,),)

    def jet(self, theta: tuple[Jet, ...], x: Inputs) -> Jet:
        """Evaluate the formula in jets."""
        weight, power = theta
        return missed(weight * (power * -np.log(x[0])).exp(), x[1])

    def starts(self, x: Inputs, y: Array, weights: Array) -> Array:
        """Given the exponent, -log Q is linear in A."""
        x, y, weights = thinned(x, y, weights)
        grid = np.geomspace(*EXPONENTS, 96)[:, None]
        phi = np.exp(-grid * np.log(x[0]))
        found = slopes(phi[..., None], *straightened(y, x[1], weights))[:, 1:]
        return best(self.value, x, y, weights, np.concatenate([found, grid], axis=1), count=6)


LAW = NegLogCompute()
