"""Common part of the laws that are no sum of exponentials.

Such a law writes its formula once, in jets (`scalebed.laws.forms.jets`), and says how its weights
change with the units of the inputs; value, derivatives, frame and refusals follow.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from scalebed.laws.forms.base import (
    Array,
    ComputeOptimal,
    Frame,
    Inputs,
    Law,
    Parameter,
    value_refusal,
)
from scalebed.laws.forms.designs import design_refusal
from scalebed.laws.forms.jets import Jet, parameters

# Limits of the searched exponents of N, D and C; the published fits lie in 0.05 .. 0.8.
EXPONENTS = (0.01, 3.0)


class Scaling(NamedTuple):
    """A weight of the form ``weight prod_i input_i^-exponent_i``.

    Attributes
    ----------
    weight : int
        Position of the weight in the parameters.
    powers : tuple of (int, int)
        Positions of the input, and of its exponent in the parameters.
    response : bool
        Whether the term is a part of the response, and so divided by its unit.
    """

    weight: int
    powers: tuple[tuple[int, int], ...]
    response: bool = False


class Formula:
    """Everything but the formula, the starts and what the law says of itself.

    Attributes
    ----------
    scalings : tuple of Scaling
        The weights, and how they change with the units of the inputs.
    scaled : tuple of int
        Parameters in the unit of the response.
    origins : tuple of tuple of int
        Groups of inputs that are divided by one number in a frame, the mean of the first.
    """

    name: str
    version: int = 1
    kind: str = "loss"
    inputs: tuple[str, ...]
    formula: str
    source: str
    parameters: tuple[Parameter, ...]
    derived: tuple[Parameter, ...] = ()
    scalings: tuple[Scaling, ...] = ()
    scaled: tuple[int, ...] = ()
    origins: tuple[tuple[int, ...], ...] = ()

    @property
    def weights(self) -> tuple[int, ...]:
        """Positions of the weights."""
        return tuple(scaling.weight for scaling in self.scalings)

    def jet(self, theta: tuple[Jet, ...], x: Inputs) -> Jet:
        """Evaluate the formula in jets; each of `theta` has the shape (..., 1)."""
        raise NotImplementedError

    def value(self, theta: Array, x: Inputs) -> Array:
        """Evaluate the formula; theta (..., p), inputs (n,) or (..., n), result (..., n)."""
        return self._evaluate(theta, x, 0).value

    def predict(self, theta: Array, x: Inputs) -> Array:
        """Value of the law, an error limited to [0, 1]; shapes as in `value`."""
        value = self.value(theta, x)
        return value if self.kind == "loss" else np.clip(value, 0.0, 1.0)

    def gradient(self, theta: Array, x: Inputs) -> Array:
        """First derivatives in theta, shape (..., n, p)."""
        return self._evaluate(theta, x, 1).gradient(theta.shape[-1])

    def hessian(self, theta: Array, x: Inputs) -> Array:
        """Second derivatives in theta, shape (..., n, p, p)."""
        return self._evaluate(theta, x, 2).hessian(theta.shape[-1])

    def derivatives(self, theta: Array, x: Inputs) -> tuple[Array, Array, Array]:
        """Value, gradient and Hessian, all of one jet."""
        jet, size = self._evaluate(theta, x, 2), theta.shape[-1]
        return jet.value, jet.gradient(size), jet.hessian(size)

    def derive(self, theta: Array) -> Array:
        """Nothing is derived: shape (..., 0)."""
        return np.empty((*theta.shape[:-1], 0))

    def refusal(self, x: Inputs, y: Array) -> str | None:
        """Why these points cannot identify the law, or None."""
        return common_refusal(self, x, y)

    def frame(self, x: Inputs, y: Array) -> Frame:
        """Divide inputs by their geometric means, and losses by theirs where that is exact."""
        origin = tuple(float(np.exp(np.mean(np.log(x[group[0]])))) for group in self.origins)
        divided = self.scaled or any(scaling.response for scaling in self.scalings)
        unit = float(np.exp(np.mean(np.log(y)))) if divided else 1.0
        moved = list(x)
        for group, middle in zip(self.origins, origin, strict=True):
            for i in group:
                moved[i] = x[i] / middle
        return Frame(tuple(moved), origin, unit)

    def to_frame(self, theta: Array, frame: Frame) -> Array:
        """Parameters in the frame."""
        return self._moved(theta, frame, -1.0)

    def from_frame(self, theta: Array, frame: Frame) -> Array:
        """Parameters in the units of the law."""
        return self._moved(theta, frame, 1.0)

    def starts(self, x: Inputs, y: Array, weights: Array) -> Array:
        """Where to start a search, (k, p), best first; all arguments are in a frame."""
        raise NotImplementedError

    def bounds(self, x: Inputs) -> Array:
        """Lower and upper bounds of the parameters for these points, (2, p)."""
        return np.array([[p.lower, p.upper] for p in self.parameters]).T

    def compute_optimal(self, theta: Array, flops: Array) -> ComputeOptimal | None:
        """There is none unless a law says so."""
        return None

    def _evaluate(self, theta: Array, x: Inputs, order: int) -> Jet:
        return self.jet(parameters(theta, order), x)

    def _moved(self, theta: Array, frame: Frame, way: float) -> Array:
        result = np.array(theta, dtype=float)
        middle = {
            i: np.log(origin)
            for group, origin in zip(self.origins, frame.origin, strict=True)
            for i in group
        }
        for scaling in self.scalings:
            shift = sum(theta[..., at] * middle[i] for i, at in scaling.powers)
            if scaling.response:
                shift = shift + np.log(frame.unit)
            result[..., scaling.weight] *= np.exp(way * shift)
        result[..., list(self.scaled)] *= frame.unit**way
        return result


def common_refusal(law: Law, x: Inputs, y: Array) -> str | None:
    """Refusals by the inputs of a law: impossible values, too few points, no spread."""
    reason = range_refusal(law.inputs, law.kind, x, y) or value_refusal(law, x, y)
    if reason is None:
        return spread_refusal(law.inputs, x)
    # A direct law describes an error too.
    return reason.replace("direct", "error") if law.kind == "direct" else reason


def range_refusal(inputs: tuple[str, ...], kind: str, x: Inputs, y: Array) -> str | None:
    """Name the first finite value that is impossible."""
    response = "loss" if kind == "loss" else "error"
    for name, column in zip((*inputs, response), (*x, y), strict=True):
        fine, wanted = column > 0, "above 0"
        if name == "error":
            fine, wanted = (column >= 0) & (column <= 1), "within 0 .. 1"
        elif name == "chance":
            fine, wanted = (column > 0) & (column <= 1), "above 0 and at most 1"
        bad = np.flatnonzero(np.isfinite(column) & ~fine)
        if bad.size:
            return f"{name} of point {bad[0] + 1} is {column[bad[0]]:.6g}, expected {wanted}"
    return None


def spread_refusal(inputs: tuple[str, ...], x: Inputs) -> str | None:
    """Say which input does not vary enough."""
    if inputs[:2] == ("params", "tokens"):
        return design_refusal(*x[:2])
    name, first = inputs[0], x[0]
    if name == "loss" and np.ptp(first) < 1e-6 * np.max(first):
        return f"no spread in loss: every point has about {first[0]:.6g} nats"
    if name == "flops" and np.max(first) / np.min(first) < 1 + 1e-6:
        return f"no spread in C: every point has about {first[0]:.4g} FLOPs"
    return None
