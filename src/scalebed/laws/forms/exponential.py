"""Common part of the laws that are sums of exponentials.

    y = c0 + sign * sum_j c_j exp(-q_k(j) u_j(x)),    c_j >= 0

With u = log N, log D or log C the terms are power laws; with u = L they are the paper's error law.
Given the exponents q the rest is linear, which gives global starts; for one exponent
`scalebed.fit.solvers.profiled` finds the optimum outright.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from scalebed.laws.forms.base import (
    Array,
    ComputeOptimal,
    Frame,
    Inputs,
    Parameter,
    value_refusal,
)

_STARTS = 16


class ExponentialSum:
    """Formula, derivatives, frame and starts; a law adds names, bounds and refusals.

    Attributes
    ----------
    exponents
        For each term the number of its exponent, counted from 0: (0, 0) is the tied law,
        (0, 1) Chinchilla's.
    logarithmic
        Whether u_j is the logarithm of input j, or input j itself.
    nodes
        Nodes of the grid over each exponent.
    """

    name: str
    version: int = 1
    kind: str = "loss"
    inputs: tuple[str, ...]
    formula: str
    source: str
    parameters: tuple[Parameter, ...]
    derived: tuple[Parameter, ...] = ()
    sign: float = 1.0
    exponents: tuple[int, ...] = (0,)
    logarithmic: bool = True
    nodes: int = 64

    @property
    def weights(self) -> tuple[int, ...]:
        """Positions of the c_j."""
        return tuple(range(1, 1 + len(self.exponents)))

    def features(self, x: Inputs) -> Array:
        """Return the u_j at every point, shape (..., n, s)."""
        stacked = np.stack(x[: len(self.exponents)], axis=-1)
        return np.log(stacked) if self.logarithmic else stacked

    def domain(self, x: Inputs) -> tuple[float, float]:
        """Interval of every exponent that is searched."""
        last = self.parameters[-1]
        return last.lower, last.upper

    def value(self, theta: Array, x: Inputs) -> Array:
        """Evaluate the formula; theta (..., p), inputs (n,) or (..., n), result (..., n)."""
        result: Array = theta[..., :1] + self._terms(theta, x).sum(-1)
        return result

    def predict(self, theta: Array, x: Inputs) -> Array:
        """Value of the law, an error limited to [0, 1]; shapes as in `value`."""
        value = self.value(theta, x)
        return value if self.kind == "loss" else np.clip(value, 0.0, 1.0)

    def gradient(self, theta: Array, x: Inputs) -> Array:
        """First derivatives in theta, shape (..., n, p)."""
        return self._gradient(theta, *self._parts(theta, x))

    def hessian(self, theta: Array, x: Inputs) -> Array:
        """Second derivatives in theta, shape (..., n, p, p)."""
        return self._hessian(theta, *self._parts(theta, x))

    def derivatives(self, theta: Array, x: Inputs) -> tuple[Array, Array, Array]:
        """Value, gradient and Hessian, all of the same terms."""
        parts = self._parts(theta, x)
        value = theta[..., :1] + parts[2].sum(-1)
        return value, self._gradient(theta, *parts), self._hessian(theta, *parts)

    def _gradient(self, theta: Array, u: Array, phi: Array, terms: Array) -> Array:
        columns = [np.ones(phi.shape[:-1]), *np.moveaxis(phi, -1, 0)]
        for k in range(theta.shape[-1] - 1 - phi.shape[-1]):
            columns.append(-(u * terms)[..., self._of(k)].sum(-1))
        return np.stack(columns, axis=-1)

    def _hessian(self, theta: Array, u: Array, phi: Array, terms: Array) -> Array:
        count, size = phi.shape[-1], theta.shape[-1]
        result = np.zeros((*phi.shape[:-1], size, size))
        for j, k in enumerate(self.exponents):
            at = 1 + count + k
            result[..., 1 + j, at] = result[..., at, 1 + j] = -u[..., j] * phi[..., j]
            result[..., at, at] += u[..., j] ** 2 * terms[..., j]
        return result

    def derive(self, theta: Array) -> Array:
        """Nothing is derived: shape (..., 0)."""
        return np.empty((*theta.shape[:-1], 0))

    def refusal(self, x: Inputs, y: Array) -> str | None:
        """Why these points cannot identify the law, or None."""
        return value_refusal(self, x, y)

    def frame(self, x: Inputs, y: Array) -> Frame:
        """Take inputs about their (geometric) mean, and losses over their geometric mean."""
        middle = self.features(x).reshape(-1, len(self.exponents)).mean(0)
        unit = float(np.exp(np.mean(np.log(y)))) if self.kind == "loss" else 1.0
        origin = np.exp(middle) if self.logarithmic else middle
        moved = [c / o if self.logarithmic else c - o for c, o in zip(x, origin, strict=False)]
        return Frame((*moved, *x[len(moved) :]), tuple(origin.tolist()), unit)

    def to_frame(self, theta: Array, frame: Frame) -> Array:
        """Parameters in the frame."""
        return self._moved(theta, frame, -1.0) / self._units(theta, frame)

    def from_frame(self, theta: Array, frame: Frame) -> Array:
        """Parameters in the units of the law."""
        return self._moved(theta, frame, 1.0) * self._units(theta, frame)

    def starts(self, x: Inputs, y: Array, weights: Array) -> Array:
        """Best bounded linear fits over a grid of the exponents, (k, p)."""
        from scalebed.laws.forms.linear import starts

        low, high = self.domain(x)
        count = max(self.exponents) + 1
        axis = np.geomspace(low, high, self.nodes if count == 1 else 24)
        grid = np.array(list(product(axis, repeat=count)))
        phi = self.sign * np.exp(-grid[:, None, list(self.exponents)] * self.features(x))
        bounds = (self.parameters[0].lower, self.parameters[0].upper)
        return starts(phi, y, weights, grid, bounds, _STARTS)

    def bounds(self, x: Inputs) -> Array:
        """Bounds of the parameters, (2, p); of the exponents, what is searched for these points."""
        limits = np.array([[p.lower, p.upper] for p in self.parameters]).T
        count = max(self.exponents) + 1
        limits[:, -count:] = np.array(self.domain(x))[:, None]
        return limits

    def compute_optimal(self, theta: Array, flops: Array) -> ComputeOptimal | None:
        """There is none unless a law says so."""
        return None

    def _of(self, k: int) -> list[int]:
        return [j for j, found in enumerate(self.exponents) if found == k]

    def _exponents(self, theta: Array) -> Array:
        """Exponent of every term, (..., s)."""
        first = 1 + len(self.exponents)
        picked: Array = theta[..., [first + k for k in self.exponents]]
        return picked

    def _parts(self, theta: Array, x: Inputs) -> tuple[Array, Array, Array]:
        u = self.features(x)
        phi = self.sign * np.exp(-self._exponents(theta)[..., None, :] * u)
        return u, phi, phi * theta[..., None, 1 : 1 + phi.shape[-1]]

    def _terms(self, theta: Array, x: Inputs) -> Array:
        return self._parts(theta, x)[2]

    def _moved(self, theta: Array, frame: Frame, way: float) -> Array:
        origin = np.asarray(frame.origin)
        middle = np.log(origin) if self.logarithmic else origin
        count = len(self.exponents)
        result = np.array(theta, dtype=float)
        result[..., 1 : 1 + count] *= np.exp(way * self._exponents(theta) * middle)
        return result

    def _units(self, theta: Array, frame: Frame) -> Array:
        units = np.ones(theta.shape[-1])
        units[: 1 + len(self.exponents)] = frame.unit
        return units


def positive_refusal(names: tuple[str, ...], columns: Inputs) -> str | None:
    """Name the first value that is not above 0."""
    for name, column in zip(names, columns, strict=True):
        low = np.flatnonzero(column <= 0)
        if low.size:
            return f"{name} of point {low[0] + 1} is {column[low[0]]:.6g}, expected above 0"
    return None
