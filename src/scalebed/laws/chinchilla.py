"""Chinchilla's loss law, an exponent each for N and D.

    L(N, D) = E + A N^-alpha + B D^-beta

Source: Hoffmann et al., arXiv 2203.15556, Eq. 2 and 10; compute-optimal N* and D* their Eq. 4:
with G = (alpha A / (beta B))^(1 / (alpha + beta)), a = beta / (alpha + beta),
N* = G (C / 6)^a and D* = G^-1 (C / 6)^(1 - a).
"""

from __future__ import annotations

import numpy as np

from scalebed.laws.forms.base import Array, ComputeOptimal, Inputs, Parameter, value_refusal
from scalebed.laws.forms.designs import design_refusal, levels
from scalebed.laws.forms.exponential import ExponentialSum, positive_refusal

_EXPONENTS = (0.01, 3.0)
_LEVELS = 3


class Chinchilla(ExponentialSum):
    """E + A N^-alpha + B D^-beta; theta = (E, A, B, alpha, beta), inputs (params, tokens)."""

    name: str = "chinchilla"
    inputs: tuple[str, ...] = ("params", "tokens")
    formula: str = "L = E + A N^-alpha + B D^-beta"
    source: str = "Hoffmann et al. 2022, arXiv 2203.15556, Eq. 2"
    parameters: tuple[Parameter, ...] = (
        Parameter("E", "nats", 0.0, np.inf, "irreducible loss"),
        Parameter("A", "nats params^alpha", 0.0, np.inf, "weight of the model-size term"),
        Parameter("B", "nats tokens^beta", 0.0, np.inf, "weight of the data term"),
        Parameter("alpha", "1", *_EXPONENTS, "exponent of N"),
        Parameter("beta", "1", *_EXPONENTS, "exponent of D"),
    )
    derived: tuple[Parameter, ...] = (
        Parameter("a", "1", 0.0, 1.0, "exponent of N* in compute, beta / (alpha + beta)"),
    )
    exponents: tuple[int, ...] = (0, 1)

    def derive(self, theta: Array) -> Array:
        """Compute a of N* ~ C^a, shape (..., 1)."""
        alpha, beta = theta[..., 3], theta[..., 4]
        return (beta / (alpha + beta))[..., None]

    def refusal(self, x: Inputs, y: Array) -> str | None:
        """Why these points cannot identify the law, or None."""
        reason = positive_refusal((*self.inputs, "loss"), (*x, y))
        reason = reason or value_refusal(self, x, y) or design_refusal(*x)
        if reason is None:
            for name, column in zip("ND", x, strict=True):
                found = int(levels(column).max()) + 1
                if found < _LEVELS:
                    return (
                        f"{found} distinct {name}, at least {_LEVELS} needed: a floor, a weight "
                        "and an exponent"
                    )
        return reason

    def compute_optimal(self, theta: Array, flops: Array) -> ComputeOptimal | None:
        """N* and D* at a compute."""
        _, size, data, alpha, beta = (theta[..., i] for i in range(5))
        with np.errstate(divide="ignore", over="ignore"):
            balance = (alpha * size / (beta * data)) ** (1 / (alpha + beta))
            share = beta / (alpha + beta)
            params = balance * (flops / 6) ** share
            return ComputeOptimal(params, (flops / 6) ** (1 - share) / balance)


LAW = Chinchilla()
