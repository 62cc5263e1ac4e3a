"""Loss as a product of powers: a plane in the logarithms.

    L(N, D) = A N^-alpha D^-beta,    log L = log A - alpha log N - beta log D

A baseline of no source: the straight line through a log-log plot. It has no floor.
"""

from __future__ import annotations

import numpy as np

from scalebed.laws.forms.base import Array, Inputs, Parameter
from scalebed.laws.forms.formula import Formula, Scaling
from scalebed.laws.forms.jets import Jet

_EXPONENTS = (0.0, 3.0)


class LogLinear(Formula):
    """A N^-alpha D^-beta; theta = (A, alpha, beta), inputs (params, tokens)."""

    name: str = "log_linear"
    inputs: tuple[str, ...] = ("params", "tokens")
    formula: str = "log L = log A - alpha log N - beta log D"
    source: str = "baseline, the plane in log N, log D and log L"
    parameters: tuple[Parameter, ...] = (
        Parameter("A", "nats params^alpha tokens^beta", 0.0, np.inf, "loss at N = D = 1"),
        Parameter("alpha", "1", *_EXPONENTS, "exponent of N"),
        Parameter("beta", "1", *_EXPONENTS, "exponent of D"),
    )
    scalings: tuple[Scaling, ...] = (Scaling(0, ((0, 1), (1, 2)), True),)
    scaled: tuple[int, ...] = ()
    origins: tuple[tuple[int, ...], ...] = ((0,), (1,))

    def jet(self, theta: tuple[Jet, ...], x: Inputs) -> Jet:
        """Evaluate the formula in jets."""
        size, alpha, beta = theta
        return size * (alpha * -np.log(x[0]) + beta * -np.log(x[1])).exp()

    def starts(self, x: Inputs, y: Array, weights: Array) -> Array:
        """Least squares of the logarithms, with each exponent free or at 0."""
        columns = np.stack([np.ones_like(y), -np.log(x[0]), -np.log(x[1])], axis=1)
        scale = np.sqrt(weights) * y
        found = []
        for kept in ((0, 1, 2), (0, 1), (0, 2)):
            theta = np.zeros(3)
            part = columns[:, list(kept)] * scale[:, None]
            theta[list(kept)] = np.linalg.lstsq(part, scale * np.log(y), rcond=None)[0]
            found.append(np.clip(theta, -700.0, 700.0))
        starts = np.array(found)
        starts[:, 0] = np.exp(starts[:, 0])
        starts[:, 1:] = np.clip(starts[:, 1:], *_EXPONENTS)
        return starts


LAW = LogLinear()
