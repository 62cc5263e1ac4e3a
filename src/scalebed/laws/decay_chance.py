"""Error law of the paper with its top at chance: a model that knows nothing guesses.

    Err(L) = chance - k exp(-gamma L),  limited to [0, 1]

Source: Gadre et al., arXiv 2403.08540, Eq. 5, with eps held at the error of guessing.
"""

from __future__ import annotations

import numpy as np

from scalebed.laws.forms.base import Array, Frame, Inputs, Parameter
from scalebed.laws.forms.formula import Formula
from scalebed.laws.forms.jets import Jet
from scalebed.laws.forms.rates import rates
from scalebed.laws.forms.starts import best, slopes, thinned


class DecayChance(Formula):
    """chance - k exp(-gamma L); theta = (k, gamma), inputs (loss, chance)."""

    name: str = "decay_chance"
    kind: str = "error"
    inputs: tuple[str, ...] = ("loss", "chance")
    formula: str = "Err = chance - k exp(-gamma L)"
    source: str = "Gadre et al. 2024, arXiv 2403.08540, Eq. 5, eps = error of guessing"
    parameters: tuple[Parameter, ...] = (
        Parameter("k", "error", 0.0, np.inf, "weight of the exponential"),
        Parameter("gamma", "1/nat", 0.0, np.inf, "rate at which error falls with loss"),
    )
    logarithmic: bool = False

    @property
    def weights(self) -> tuple[int, ...]:
        """Position of k."""
        return (0,)

    def jet(self, theta: tuple[Jet, ...], x: Inputs) -> Jet:
        """Evaluate the formula in jets."""
        weight, rate = theta
        return x[1] - weight * (rate * -x[0]).exp()

    def frame(self, x: Inputs, y: Array) -> Frame:
        """Losses about their mean."""
        middle = float(np.mean(x[0]))
        return Frame((x[0] - middle, x[1]), (middle,), 1.0)

    def bounds(self, x: Inputs) -> Array:
        """Bounds of the parameters, (2, p); of gamma, what these losses can show."""
        limits = super().bounds(x)
        limits[:, 1] = rates(x[0])
        return limits

    def starts(self, x: Inputs, y: Array, weights: Array) -> Array:
        """Given gamma, the law is linear in k."""
        x, y, weights = thinned(x, y, weights)
        grid = np.geomspace(*rates(x[0]), 64)[:, None]
        phi = np.exp(-grid * x[0])
        found = slopes(phi[..., None], x[1] - y, weights)[:, 1:]
        return best(self.value, x, y, weights, np.concatenate([found, grid], axis=1), count=4)

    def _moved(self, theta: Array, frame: Frame, way: float) -> Array:
        result = np.array(theta, dtype=float)
        with np.errstate(over="ignore"):
            result[..., 0] *= np.exp(way * result[..., 1] * frame.origin[0])
        return result


LAW = DecayChance()
