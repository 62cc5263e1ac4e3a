"""Error law of the paper: error falls exponentially with the loss.

    Err(L) = eps - k exp(-gamma L),  limited to [0, 1]                                (Eq. 5)

Source: Gadre et al., arXiv 2403.08540. The paper fits it from one start and without bounds, which
runs away on single tasks; here 0 <= eps <= 1 and k >= 0 (error never rises as loss falls), and the
search over gamma is global.
"""

from __future__ import annotations

import numpy as np

from scalebed.laws.forms.base import Array, Inputs, Parameter, value_refusal
from scalebed.laws.forms.exponential import ExponentialSum

# gamma is searched in units of 1 / (spread of the losses): below the first the curve is a straight
# line over the data, above the second it is a step between two points.
_LEAST, _MOST = 0.02, 40.0
# exp(700) is still a float: k = c exp(gamma L) stays finite, also for samples with twice the loss.
_LARGEST_EXPONENT = 250.0


class Decay(ExponentialSum):
    """eps - k exp(-gamma L) within [0, 1]; theta = (eps, k, gamma), input (loss,)."""

    name: str = "decay"
    version: int = 1
    kind: str = "error"
    inputs: tuple[str, ...] = ("loss",)
    formula: str = "Err = eps - k exp(-gamma L)"
    source: str = "Gadre et al. 2024, arXiv 2403.08540, Eq. 5"
    parameters: tuple[Parameter, ...] = (
        Parameter("eps", "error", 0.0, 1.0, "error of a model with unbounded loss"),
        Parameter("k", "error", 0.0, np.inf, "weight of the exponential"),
        Parameter("gamma", "1/nat", 0.0, np.inf, "rate at which error falls with loss"),
    )
    sign: float = -1.0
    logarithmic: bool = False
    nodes: int = 48

    def domain(self, x: Inputs) -> tuple[float, float]:
        """Return the searched interval of gamma, in 1/nat."""
        (loss,) = x
        spread = float(np.ptp(loss))
        return _LEAST / spread, min(_MOST / spread, _LARGEST_EXPONENT / float(np.max(loss)))

    def refusal(self, x: Inputs, y: Array) -> str | None:
        """Why these points cannot identify the law, or None."""
        (loss,) = x
        for name, column, fine in (("loss", loss, loss > 0), ("error", y, (y >= 0) & (y <= 1))):
            bad = np.flatnonzero(np.isfinite(column) & ~fine)
            if bad.size:
                wanted = "above 0" if name == "loss" else "within 0 .. 1"
                return f"{name} of point {bad[0] + 1} is {column[bad[0]]:.6g}, expected {wanted}"
        reason = value_refusal(self, x, y)
        if reason is None and np.ptp(loss) < 1e-6 * np.max(loss):
            return f"no spread in loss: every point has about {loss[0]:.6g} nats"
        return reason


LAW = Decay()
