"""What every law has to say about itself.

Symbols (paper, arXiv 2403.08540): N parameters, D training tokens, M = D / N, C = 6 N D FLOPs,
L validation loss in nats, Err error rate; E, A, B, alpha the loss law; eps, k, gamma the error law.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Index = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]
Inputs = tuple[Array, ...]
"""The inputs of a law, one array a quantity; the last axis runs over points."""


class Parameter(NamedTuple):
    """One number of a law: its name in the paper, unit, bounds and meaning."""

    name: str
    unit: str
    lower: float
    upper: float
    meaning: str


class Frame(NamedTuple):
    """Well-scaled numbers in which a law keeps its formula; the engine works in them.

    Attributes
    ----------
    x
        Inputs divided by, or taken about, `origin`.
    origin
        What each input was divided by (or taken about, where the law says so).
    unit
        What the response was divided by.
    """

    x: Inputs
    origin: tuple[float, ...]
    unit: float


class ComputeOptimal(NamedTuple):
    """The best run for a given compute C = 6 N D; arrays of the shape of C and theta together."""

    params: Array
    tokens: Array

    @property
    def token_multiplier(self) -> Array:
        """M* = D* / N*."""
        return self.tokens / self.params


class Law(Protocol):
    """A formula that maps `inputs` to a loss or an error.

    Attributes
    ----------
    name, version
        Registry name; the version goes up when the formula or a bound changes.
    kind
        ``"loss"`` (a function of the run), ``"error"`` (a function of the loss) or ``"direct"``
        (an error as a function of the run).
    inputs
        Names of the inputs, in the order `predict` takes them: ``params`` N, ``tokens`` D,
        ``flops`` C = 6 N D, ``unique_tokens`` (tokens of the training set), ``loss`` in nats,
        ``chance`` (error of guessing).
    parameters
        The fitted numbers, in the order of the last axis of every ``theta``.
    weights
        Positions in `parameters` of the non-negative weights that change with the units of the
        inputs, and may so span many orders of magnitude (A and B of the loss laws); read only.
    derived
        Numbers that follow from the fitted ones, in the order `derive` gives them.
    formula, source
        For tables and reports.
    """

    name: str
    version: int
    kind: str
    inputs: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    derived: tuple[Parameter, ...]
    formula: str
    source: str

    @property
    def weights(self) -> tuple[int, ...]:
        """Positions of the weights."""
        ...

    def predict(self, theta: Array, x: Inputs) -> Array:
        """Value of the law, an error limited to [0, 1].

        theta (..., p), each input (n,) or (..., n), result (..., n).
        """
        ...

    def value(self, theta: Array, x: Inputs) -> Array:
        """Evaluate the formula without limits: what is fitted. Shapes as in `predict`."""
        ...

    def gradient(self, theta: Array, x: Inputs) -> Array:
        """First derivatives of `value` in theta, shape (..., n, p)."""
        ...

    def hessian(self, theta: Array, x: Inputs) -> Array:
        """Second derivatives of `value` in theta, shape (..., n, p, p)."""
        ...

    def derivatives(self, theta: Array, x: Inputs) -> tuple[Array, Array, Array]:
        """Value, gradient and Hessian at once."""
        ...

    def derive(self, theta: Array) -> Array:
        """Compute the derived numbers, (..., p) -> (..., number of derived)."""
        ...

    def refusal(self, x: Inputs, y: Array) -> str | None:
        """Why these points cannot identify the law, or None."""
        ...

    def frame(self, x: Inputs, y: Array) -> Frame:
        """Well-scaled numbers for these points."""
        ...

    def to_frame(self, theta: Array, frame: Frame) -> Array:
        """Parameters in the frame: ``value(to_frame(theta), frame.x) * unit = value(theta, x)``."""
        ...

    def from_frame(self, theta: Array, frame: Frame) -> Array:
        """Parameters in the units of the law; the inverse of `to_frame`."""
        ...

    def starts(self, x: Inputs, y: Array, weights: Array) -> Array:
        """Where to start a search, (k, p), best first; all arguments are in a frame.

        Parameters
        ----------
        x : tuple of arrays (n,)
        y, weights : array (n,)
            Response, and weight of each squared residual.
        """
        ...

    def bounds(self, x: Inputs) -> Array:
        """Lower and upper bounds of the parameters for these points, (2, p), in every frame."""
        ...

    def compute_optimal(self, theta: Array, flops: Array) -> ComputeOptimal | None:
        """N* and D* at a compute, where there is a closed form; theta (..., p), flops (...)."""
        ...


class SharedExponentLaw(Law, Protocol):
    """A law of the form ``y = c0 + sign * sum_j c_j exp(-q u_j(x))`` with ``c_j >= 0``.

    The order of `parameters` is ``c0, c_1 .. c_s, q``. Given q the rest is linear, so
    `scalebed.fit.solvers.profiled` finds the global optimum with a one-dimensional search
    (variable projection, Golub and Pereyra 1973). `scalebed.laws.forms.exponential` is the general
    form.
    """

    sign: float
    nodes: int

    def features(self, x: Inputs) -> Array:
        """Return the u_j at every point, shape (..., n, s)."""
        ...

    def domain(self, x: Inputs) -> tuple[float, float]:
        """Interval of q that is searched."""
        ...


def names(parameters: tuple[Parameter, ...]) -> tuple[str, ...]:
    """Names of parameters, in order."""
    return tuple(parameter.name for parameter in parameters)


def value_refusal(law: Law, x: Inputs, y: Array) -> str | None:
    """Refusals that every law shares: unusable numbers, too few points, nothing that varies."""
    for name, column in zip((*law.inputs, law.kind), (*x, y), strict=True):
        bad = np.flatnonzero(~np.isfinite(column))
        if bad.size:
            return f"{name} of point {bad[0] + 1} is {column[bad[0]]}, expected a finite number"
    needed, points = len(law.parameters), int(y.size)
    if points < needed:
        return f"fewer points than parameters: {points} points, {needed} parameters"
    distinct = len({tuple(row) for row in np.column_stack(x).tolist()})
    if distinct < needed:
        return f"fewer distinct points than parameters: {distinct} distinct, {needed} parameters"
    if np.ptp(y) <= 1e-12 * np.max(np.abs(y)):
        return f"constant {law.kind}: all {points} values are {y[0]:.6g}, nothing to fit"
    return None
