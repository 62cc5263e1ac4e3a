"""Loss law of the paper: Chinchilla's form with one exponent for N and D.

    L(N, D) = E + A N^-alpha + B D^-alpha                                (Eq. 3, alpha = beta)
    L(C, M) = E + (a M^eta + b M^-eta) C^-eta                            (Eq. 4)

with C = 6 N D, M = D / N, eta = alpha / 2, a = A 6^eta, b = B 6^eta, and the compute-optimal token
multiplier M* = (b / a)^(1 / (2 eta)) (Eq. 10). Source: Gadre et al., arXiv 2403.08540.

E, A and B are not negative: a negative floor or a loss that grows with N or D is no scaling law.
"""

from __future__ import annotations

import numpy as np

from scalebed.laws.forms.base import Array, ComputeOptimal, Inputs, Parameter, value_refusal
from scalebed.laws.forms.designs import design_refusal
from scalebed.laws.forms.exponential import ExponentialSum, positive_refusal

# The published fits lie in 0.2 .. 0.75.
_EXPONENTS = (0.01, 3.0)


class Tied(ExponentialSum):
    """E + A N^-alpha + B D^-alpha; theta = (E, A, B, alpha), inputs (params, tokens)."""

    name: str = "tied"
    inputs: tuple[str, ...] = ("params", "tokens")
    formula: str = "L = E + A N^-alpha + B D^-alpha"
    source: str = "Gadre et al. 2024, arXiv 2403.08540, Eq. 3 and 4"
    parameters: tuple[Parameter, ...] = (
        Parameter("E", "nats", 0.0, np.inf, "irreducible loss"),
        Parameter("A", "nats params^alpha", 0.0, np.inf, "weight of the model-size term"),
        Parameter("B", "nats tokens^alpha", 0.0, np.inf, "weight of the data term"),
        Parameter("alpha", "1", *_EXPONENTS, "exponent of N and of D"),
    )
    derived: tuple[Parameter, ...] = (
        Parameter("eta", "1", 0.005, 1.5, "exponent of compute, alpha / 2"),
        Parameter("a", "nats FLOP^eta", 0.0, np.inf, "A 6^eta"),
        Parameter("b", "nats FLOP^eta", 0.0, np.inf, "B 6^eta"),
        Parameter("M_star", "tokens/param", 0.0, np.inf, "compute-optimal token multiplier"),
    )
    exponents: tuple[int, ...] = (0, 0)

    def derive(self, theta: Array) -> Array:
        """(eta, a, b, M*), shape (..., 4); M* is 0 or infinite where B or A is 0."""
        _, size, data, alpha = (theta[..., i] for i in range(4))
        eta = alpha / 2
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            optimum = np.exp((np.log(data) - np.log(size)) / alpha)
        return np.stack([eta, size * 6**eta, data * 6**eta, optimum], axis=-1)

    def refusal(self, x: Inputs, y: Array) -> str | None:
        """Why these points cannot identify the law, or None."""
        reason = positive_refusal((*self.inputs, "loss"), (*x, y))
        return reason or value_refusal(self, x, y) or design_refusal(*x)

    def compute_optimal(self, theta: Array, flops: Array) -> ComputeOptimal | None:
        """N* = (C / (6 M*))^(1/2), D* = M* N*: the same M* at every compute (Eq. 10)."""
        optimum = self.derive(theta)[..., 3]
        params = np.sqrt(flops / (6 * optimum))
        return ComputeOptimal(params, optimum * params)


LAW = Tied()
