"""Loss law with an outer exponent: Chinchilla's sum, raised to a power.

    L(N, D) = E + (a N^-p + b D^-q)^gamma
            = E + [(A N^-alpha)^(1 / gamma) + (B D^-beta)^(1 / gamma)]^gamma

with A = a^gamma, alpha = p gamma, B = b^gamma, beta = q gamma. Source: Busbridge et al.,
"Distillation Scaling Laws", arXiv 2502.08606, Eq. 1, in the first form; its numbers are the derived
ones. In the second, A N^-alpha and B D^-beta are losses above the floor where the other input is
not the limit, as in every other law, and gamma is only the shape between the two limits: 1 is
Chinchilla's law, beta Kaplan's with a floor.
"""

from __future__ import annotations

import numpy as np

from scalebed.laws.forms.base import Array, ComputeOptimal, Inputs, Parameter
from scalebed.laws.forms.formula import EXPONENTS, Formula, Scaling
from scalebed.laws.forms.jets import Jet
from scalebed.laws.forms.optimal import balanced
from scalebed.laws.forms.starts import axes, best, slopes, thinned
from scalebed.laws.kaplan import joined

_OUTER = (0.05, 5.0)


class Gamma(Formula):
    """Busbridge's law; theta = (E, A, B, alpha, beta, gamma), inputs (params, tokens)."""

    name: str = "gamma"
    inputs: tuple[str, ...] = ("params", "tokens")
    formula: str = "L = E + [(A N^-alpha)^(1 / gamma) + (B D^-beta)^(1 / gamma)]^gamma"
    source: str = "Busbridge et al. 2025, arXiv 2502.08606, Eq. 1"
    parameters: tuple[Parameter, ...] = (
        Parameter("E", "nats", 0.0, np.inf, "irreducible loss"),
        Parameter("A", "nats params^alpha", 0.0, np.inf, "weight of the size term"),
        Parameter("B", "nats tokens^beta", 0.0, np.inf, "weight of the data term"),
        Parameter("alpha", "1", *EXPONENTS, "exponent of N where D is no limit"),
        Parameter("beta", "1", *EXPONENTS, "exponent of D where N is no limit"),
        Parameter("gamma", "1", *_OUTER, "exponent of the sum"),
    )
    derived: tuple[Parameter, ...] = (
        Parameter("size_weight", "1", 0.0, np.inf, "a = A^(1 / gamma), inside the sum"),
        Parameter("data_weight", "1", 0.0, np.inf, "b = B^(1 / gamma), inside the sum"),
        Parameter("p", "1", 0.0, np.inf, "exponent of N inside the sum, alpha / gamma"),
        Parameter("q", "1", 0.0, np.inf, "exponent of D inside the sum, beta / gamma"),
    )
    scalings: tuple[Scaling, ...] = (Scaling(1, ((0, 3),), True), Scaling(2, ((1, 4),), True))
    scaled: tuple[int, ...] = (0,)
    origins: tuple[tuple[int, ...], ...] = ((0,), (1,))

    def jet(self, theta: tuple[Jet, ...], x: Inputs) -> Jet:
        """Evaluate the formula in jets."""
        return theta[0] + joined(theta[1:5], theta[5], x)

    def value(self, theta: Array, x: Inputs) -> Array:
        """Evaluate the formula; theta (..., p), inputs (n,) or (..., n), result (..., n)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return super().value(theta, x)

    def derive(self, theta: Array) -> Array:
        """Compute (a, b, p, q), shape (..., 4)."""
        outer = theta[..., 5:]
        with np.errstate(over="ignore"):
            return np.concatenate([theta[..., 1:3] ** (1 / outer), theta[..., 3:5] / outer], -1)

    def starts(self, x: Inputs, y: Array, weights: Array) -> Array:
        """Given E and the exponents, (L - E)^(1 / gamma) is linear in a and b."""
        x, y, weights = thinned(x, y, weights)
        outer = axes(np.array([0, 0.3, 0.6, 0.8, 0.9, 0.97]), np.geomspace(0.1, 3.0, 7))
        inner = axes(np.geomspace(0.03, 1.5, 9), np.geomspace(0.03, 1.5, 9))
        grid = np.concatenate(
            [np.repeat(outer, len(inner), 0), np.tile(inner, (len(outer), 1))], axis=1
        )
        floor, gamma, powers = grid[:, :1] * np.min(y), grid[:, 1:2], grid[:, 2:]
        rest = y - floor
        # In units of the largest z, which may be 1e10 of the smallest.
        top = np.max(rest, axis=1, keepdims=True)
        z = (rest / top) ** (1 / gamma)
        # A residual of z is one of the loss over dz / dL.
        pull = weights * (gamma * rest / z) ** 2 / top**2
        phi = np.exp(-(powers / gamma)[:, None] * np.log(np.stack(x[:2], axis=-1)))
        found = top * slopes(phi, z, pull)[:, 1:] ** gamma
        candidates = np.concatenate([floor, found, powers, gamma], axis=1)
        groups = np.repeat(np.arange(len(outer)), len(inner))
        return best(self.value, x, y, weights, candidates, groups)

    def compute_optimal(self, theta: Array, flops: Array) -> ComputeOptimal | None:
        """N* and D* minimise the sum, so they are Chinchilla's."""
        outer = theta[..., 5]
        with np.errstate(divide="ignore"):
            size, data = np.log(theta[..., 1]) / outer, np.log(theta[..., 2]) / outer
        return balanced(size, data, theta[..., 3] / outer, theta[..., 4] / outer, flops)


LAW = Gamma()
