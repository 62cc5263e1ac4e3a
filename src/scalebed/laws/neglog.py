"""Accuracy above chance as the exponential of a scaling law, straight from the run.

    -log Q = A N^-alpha + B D^-beta,    Q = (accuracy - chance) / (1 - chance)
    Err(N, D) = c (1 - exp(-(A N^-alpha + B D^-beta)))

with c the error of guessing (input `chance`). Source: Krajewski et al., arXiv 2512.08894. The
authors fit log Q of runs well above chance; here the error is fitted, which is defined for every
run, and below chance too.
"""

from __future__ import annotations

import numpy as np

from scalebed.laws.forms.base import Array, ComputeOptimal, Inputs, Parameter
from scalebed.laws.forms.formula import EXPONENTS, Formula, Scaling
from scalebed.laws.forms.jets import Jet
from scalebed.laws.forms.optimal import balanced
from scalebed.laws.forms.starts import axes, best, slopes, thinned

# Q is taken as at least this where its logarithm makes a start: a run at chance has none.
_LEAST_Q = 1e-3


class NegLog(Formula):
    """Krajewski's law of N and D; theta = (A, B, alpha, beta), inputs (params, tokens, chance)."""

    name: str = "neglog"
    kind: str = "direct"
    inputs: tuple[str, ...] = ("params", "tokens", "chance")
    formula: str = "Err = chance (1 - exp(-(A N^-alpha + B D^-beta)))"
    source: str = "Krajewski et al. 2025, arXiv 2512.08894"
    parameters: tuple[Parameter, ...] = (
        Parameter("A", "params^alpha", 0.0, np.inf, "weight of the model-size term"),
        Parameter("B", "tokens^beta", 0.0, np.inf, "weight of the data term"),
        Parameter("alpha", "1", *EXPONENTS, "exponent of N"),
        Parameter("beta", "1", *EXPONENTS, "exponent of D"),
    )
    scalings: tuple[Scaling, ...] = (Scaling(0, ((0, 2),)), Scaling(1, ((1, 3),)))
    origins: tuple[tuple[int, ...], ...] = ((0,), (1,))

    def jet(self, theta: tuple[Jet, ...], x: Inputs) -> Jet:
        """Evaluate the formula in jets."""
        size, data, alpha, beta = theta
        total = size * (alpha * -np.log(x[0])).exp() + data * (beta * -np.log(x[1])).exp()
        return missed(total, x[2])

    def starts(self, x: Inputs, y: Array, weights: Array) -> Array:
        """Given the exponents, -log Q is linear in A and B."""
        x, y, weights = thinned(x, y, weights)
        grid = axes(np.geomspace(*EXPONENTS, 24), np.geomspace(*EXPONENTS, 24))
        phi = np.exp(-grid[:, None] * np.log(np.stack(x[:2], axis=-1)))
        found = slopes(phi, *straightened(y, x[2], weights))[:, 1:]
        candidates = np.concatenate([found, grid], axis=1)
        return best(self.value, x, y, weights, candidates, np.arange(len(grid)) // 24)

    def compute_optimal(self, theta: Array, flops: Array) -> ComputeOptimal | None:
        """N* and D* minimise -log Q."""
        with np.errstate(divide="ignore"):
            size, data = np.log(theta[..., 0]), np.log(theta[..., 1])
        return balanced(size, data, theta[..., 2], theta[..., 3], flops)


def missed(total: Jet, chance: Array) -> Jet:
    """Error where -log Q is `total`."""
    value = -np.expm1(-total.value)
    slope = np.exp(-total.value)
    return total.apply(value, slope, -slope) * chance


def straightened(y: Array, chance: Array, weights: Array) -> tuple[Array, Array]:
    """-log Q of errors, and the weights of its squared residuals."""
    quality = np.clip(1 - y / chance, _LEAST_Q, 1.0)
    return -np.log(quality), weights * (chance * quality) ** 2


LAW = NegLog()
