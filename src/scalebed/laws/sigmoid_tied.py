"""Error as a sigmoid of the tied law: loss law and error law in a single step.

    Err(N, D) = top / (1 + exp(-(E + A N^-alpha + B D^-alpha)))
              = 1 / (1 / top + (1 / bottom - 1 / top) exp(-(A N^-alpha + B D^-alpha)))

with bottom = top / (1 + exp(-E)), the error of unbounded runs, and top that of runs of no size.
Source: the sigmoid of Bhagia et al., arXiv 2412.04403, put on the sum of Gadre et al., arXiv
2403.08540, Eq. 3. As in law `sigmoid`, top = bottom + (1 - bottom) height. By bottom instead of E,
errors that are all far below the top fix the parameters but one, the height.
"""

from __future__ import annotations

import numpy as np

from scalebed.laws.forms.base import Array, ComputeOptimal, Inputs, Parameter
from scalebed.laws.forms.formula import EXPONENTS, Formula, Scaling
from scalebed.laws.forms.jets import Jet, logistic
from scalebed.laws.forms.optimal import balanced
from scalebed.laws.forms.starts import best, slopes, thinned

# Beyond it the sigmoid is 0 or 1 to seven digits.
_LARGEST = 15.0
_INSIDE = 1e-3
# An error below it is none; at 0 the law has no derivatives.
_LEAST = 1e-6


class SigmoidTied(Formula):
    """Single-step sigmoid; theta = (bottom, height, A, B, alpha), inputs (params, tokens)."""

    name: str = "sigmoid_tied"
    kind: str = "direct"
    inputs: tuple[str, ...] = ("params", "tokens")
    formula: str = (
        "Err = top / (1 + exp(-(E + A N^-alpha + B D^-alpha))), bottom = top / (1 + exp(-E)), "
        "top = bottom + (1 - bottom) height"
    )
    source: str = (
        "sigmoid of Bhagia et al. 2024, arXiv 2412.04403, of the sum of Gadre et al. 2024, "
        "arXiv 2403.08540, Eq. 3"
    )
    parameters: tuple[Parameter, ...] = (
        Parameter("bottom", "error", _LEAST, 1.0, "error of unbounded runs"),
        Parameter("height", "1", 0.0, 1.0, "rise, as a share of 1 - bottom"),
        Parameter("A", "params^alpha", 0.0, np.inf, "weight of the model-size term"),
        Parameter("B", "tokens^alpha", 0.0, np.inf, "weight of the data term"),
        Parameter("alpha", "1", *EXPONENTS, "exponent of N and of D"),
    )
    derived: tuple[Parameter, ...] = (
        Parameter("top", "error", 0.0, 1.0, "error of runs of no size"),
        Parameter("E", "1", -np.inf, np.inf, "log odds of bottom / top"),
    )
    scalings: tuple[Scaling, ...] = (Scaling(2, ((0, 4),)), Scaling(3, ((1, 4),)))
    origins: tuple[tuple[int, ...], ...] = ((0,), (1,))

    def jet(self, theta: tuple[Jet, ...], x: Inputs) -> Jet:
        """Evaluate the formula in jets."""
        bottom, height, size, data, alpha = theta
        terms = size * (alpha * -np.log(x[0])).exp() + data * (alpha * -np.log(x[1])).exp()
        top = (bottom + (1.0 - bottom) * height).inverse()
        return (top + (bottom.inverse() - top) * (-terms).exp()).inverse()

    def derive(self, theta: Array) -> Array:
        """(top, E), shape (..., 2)."""
        bottom, height = theta[..., 0], theta[..., 1]
        rise = (1 - bottom) * height
        with np.errstate(divide="ignore"):
            return np.stack([bottom + rise, np.log(bottom) - np.log(rise)], axis=-1)

    def starts(self, x: Inputs, y: Array, weights: Array) -> Array:
        """Given top and alpha, the log odds are linear in E, A and B."""
        x, y, weights = thinned(x, y, weights)
        low = float(np.clip(np.max(y), 1e-6, 1.0))
        tops = low + (1 - low) * np.array([1e-3, 0.03, 0.1, 0.25, 0.5, 0.75, 1.0])
        powers = np.geomspace(*EXPONENTS, 32)
        top = np.repeat(tops, powers.size)[:, None]
        alpha = np.tile(powers, tops.size)[:, None]
        share = np.clip(y / top, _INSIDE, 1 - _INSIDE)
        odds = np.log(share / (1 - share))
        pull = weights * (top * share * (1 - share)) ** 2
        phi = np.exp(-alpha[:, None] * np.log(np.stack(x[:2], axis=-1)))
        found = slopes(phi, odds, pull, (-_LARGEST, _LARGEST))
        bottom = np.maximum(top * logistic(found[:, :1]), _LEAST)
        height = np.clip((top - bottom) / np.maximum(1 - bottom, _LEAST), 0.0, 1.0)
        candidates = np.concatenate([bottom, height, found[:, 1:], alpha], axis=1)
        groups = np.repeat(np.arange(tops.size), powers.size) * 4 + np.tile(
            np.arange(powers.size) // 8, tops.size
        )
        return best(self.value, x, y, weights, candidates, groups)

    def compute_optimal(self, theta: Array, flops: Array) -> ComputeOptimal | None:
        """N* and D* minimise the sum, so they are the tied law's."""
        with np.errstate(divide="ignore"):
            size, data = np.log(theta[..., 2]), np.log(theta[..., 3])
        return balanced(size, data, theta[..., 4], theta[..., 4], flops)


LAW = SigmoidTied()
