"""Kaplan's loss law as published: no irreducible loss.

    L(N, D) = [(N_c / N)^(alpha_N / alpha_D) + D_c / D]^alpha_D

Source: Kaplan et al., arXiv 2001.08361, Eq. 1.5. A baseline: without a floor it promises a loss of
0 for large runs. Parameters as in law `kaplan`.
"""

from __future__ import annotations

import numpy as np

from scalebed.laws.forms.base import Array, Inputs, Parameter
from scalebed.laws.forms.formula import Scaling
from scalebed.laws.forms.jets import Jet
from scalebed.laws.kaplan import PARAMETERS, Kaplan, joined, searched


class KaplanNoFloor(Kaplan):
    """Kaplan's form; theta = (A, B, alpha_N, alpha_D), inputs (params, tokens)."""

    name: str = "kaplan_no_floor"
    formula: str = "L = [(N_c / N)^(alpha_N / alpha_D) + D_c / D]^alpha_D"
    source: str = "Kaplan et al. 2020, arXiv 2001.08361, Eq. 1.5"
    parameters: tuple[Parameter, ...] = PARAMETERS[1:]
    scalings: tuple[Scaling, ...] = (Scaling(0, ((0, 2),), True), Scaling(1, ((1, 3),), True))
    scaled: tuple[int, ...] = ()

    def jet(self, theta: tuple[Jet, ...], x: Inputs) -> Jet:
        """Evaluate the formula in jets."""
        return joined(theta, theta[3], x)

    def starts(self, x: Inputs, y: Array, weights: Array) -> Array:
        """Given the exponents, L^(1 / alpha_D) is linear in A and B of powers."""
        return searched(self, x, y, weights, np.zeros(1))


LAW = KaplanNoFloor()
