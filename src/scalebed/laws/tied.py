"""Loss law of the paper: Chinchilla's form with one exponent for N and D.

    L(N, D) = E + A N^-alpha + B D^-alpha                                (Eq. 3, alpha = beta)
    L(C, M) = E + (a M^eta + b M^-eta) C^-eta                            (Eq. 4)

with C = 6 N D, M = D / N, eta = alpha / 2, a = A 6^eta, b = B 6^eta, and the compute-optimal token
multiplier M* = (b / a)^(1 / (2 eta)) (Eq. 10). Source: Gadre et al., arXiv 2403.08540.

E, A and B are not negative: a negative floor or a loss that grows with N or D is no scaling law.
"""

from __future__ import annotations

import numpy as np

from scalebed.laws.base import Array, Inputs, Parameter, value_refusal

_EXPONENTS = (0.01, 3.0)
# Token multipliers are whole numbers of steps, so cells of "one M" differ by a few per cent.
_ONE_RAY = 1.25
_ONE_SIZE = 1.05


class Tied:
    """E + A N^-alpha + B D^-alpha; theta = (E, A, B, alpha), inputs (params, tokens)."""

    name: str = "tied"
    version: int = 1
    kind: str = "loss"
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
    sign: float = 1.0
    nodes: int = 64

    def features(self, x: Inputs) -> Array:
        """Return log N and log D, shape (..., n, 2)."""
        return np.log(np.stack(x, axis=-1))

    def domain(self, x: Inputs) -> tuple[float, float]:
        """Return the searched interval of alpha; the published fits lie in 0.2 .. 0.75."""
        return _EXPONENTS

    def predict(self, theta: Array, x: Inputs) -> Array:
        """Loss in nats; theta (..., 4), inputs (n,) or (..., n), result (..., n)."""
        floor, size, data, alpha = (theta[..., i, None] for i in range(4))
        params, tokens = x
        result: Array = floor + size * np.exp(-alpha * np.log(params))
        result += data * np.exp(-alpha * np.log(tokens))
        return result

    def derive(self, theta: Array) -> Array:
        """(eta, a, b, M*), shape (..., 4); M* is 0 or infinite where B or A is 0."""
        _, size, data, alpha = (theta[..., i] for i in range(4))
        eta = alpha / 2
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            optimum = np.exp((np.log(data) - np.log(size)) / alpha)
        return np.stack([eta, size * 6**eta, data * 6**eta, optimum], axis=-1)

    def refusal(self, x: Inputs, y: Array) -> str | None:
        """Why these points cannot identify the law, or None."""
        for name, column in zip((*self.inputs, "loss"), (*x, y), strict=True):
            low = np.flatnonzero(column <= 0)
            if low.size:
                return f"{name} of point {low[0] + 1} is {column[low[0]]:.6g}, expected above 0"
        reason = value_refusal(self, x, y)
        if reason is not None:
            return reason
        params, tokens = x
        ratio = tokens / params
        if np.max(params) / np.min(params) < _ONE_SIZE:
            return f"no spread in N: every point has about {params[0]:.4g} parameters"
        if np.max(tokens) / np.min(tokens) < _ONE_SIZE:
            return f"no spread in D: every point has about {tokens[0]:.4g} tokens"
        if np.max(ratio) / np.min(ratio) < _ONE_RAY:
            return (
                f"one ray of M: every point has about {np.median(ratio):.3g} tokens per parameter, "
                "so A and B cannot be told apart; add a point at another M"
            )
        return None


LAW = Tied()
