"""Values with their exact first and second derivatives in the parameters of a law.

A `Jet` holds only the derivatives that are not zero, one array for each parameter or pair of
parameters, and applies the chain rule. A law writes its formula once, in jets, and gets value,
gradient and Hessian of the same formula.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from scalebed.laws.forms.base import Array

Pair = tuple[int, int]
Key = TypeVar("Key", int, Pair)


@dataclass(frozen=True)
class Jet:
    """A value, its derivatives by parameter, and by pair of parameters (the smaller first).

    Attributes
    ----------
    value : array
    first : dict of int to array
    second : dict of pair to array
    order : int
        Derivatives that are kept: 0, 1 or 2.
    """

    value: Array
    first: dict[int, Array] = field(default_factory=dict)
    second: dict[Pair, Array] = field(default_factory=dict)
    order: int = 2

    # An array on the left leaves the operation to the jet on the right.
    __array_ufunc__ = None

    def __add__(self, other: Jet | Array | float) -> Jet:
        if not isinstance(other, Jet):
            return Jet(self.value + other, self.first, self.second, self.order)
        first = _merged(self.first, other.first)
        second = _merged(self.second, other.second)
        return Jet(self.value + other.value, first, second, self.order)

    __radd__ = __add__

    def __neg__(self) -> Jet:
        return self * -1.0

    def __sub__(self, other: Jet | Array | float) -> Jet:
        return self + -other

    def __rsub__(self, other: Array | float) -> Jet:
        return -self + other

    def __mul__(self, other: Jet | Array | float) -> Jet:
        if isinstance(other, Jet):
            return self._times(other)
        first = {i: d * other for i, d in self.first.items()}
        second = {ij: d * other for ij, d in self.second.items()}
        return Jet(self.value * other, first, second, self.order)

    __rmul__ = __mul__

    def _times(self, other: Jet) -> Jet:
        left, right = self * other.value, other * self.value
        second = _merged(left.second, right.second)
        if self.order > 1:
            for i, a in self.first.items():
                for j, b in other.first.items():
                    # d2(uv)/di dj holds u_i v_j and u_j v_i; on the diagonal they are one term.
                    both = a * b if i != j else 2 * a * b
                    pair = (min(i, j), max(i, j))
                    second[pair] = second[pair] + both if pair in second else both
        value = self.value * other.value
        return Jet(value, _merged(left.first, right.first), second, self.order)

    def apply(self, value: Array, slope: Array, bend: Array) -> Jet:
        """Apply a function of one number, given its value and two derivatives at this value."""
        if self.order == 0:
            return Jet(value, order=0)
        first = {i: slope * d for i, d in self.first.items()}
        if self.order == 1:
            return Jet(value, first, order=1)
        second = {ij: slope * d for ij, d in self.second.items()}
        items = list(self.first.items())
        for at, (i, a) in enumerate(items):
            for j, b in items[at:]:
                pair = (min(i, j), max(i, j))
                both = bend * a * b
                second[pair] = second[pair] + both if pair in second else both
        return Jet(value, first, second, self.order)

    def exp(self) -> Jet:
        """Exponential."""
        value = np.exp(self.value)
        return self.apply(value, value, value)

    def log(self) -> Jet:
        """Natural logarithm."""
        inverse = 1 / self.value
        return self.apply(np.log(self.value), inverse, -inverse * inverse)

    def inverse(self) -> Jet:
        """One over the value."""
        inverse = 1 / self.value
        return self.apply(inverse, -(inverse**2), 2 * inverse**3)

    def sigmoid(self) -> Jet:
        """1 / (1 + exp(-value))."""
        value = logistic(self.value)
        slope = value * logistic(-self.value)
        return self.apply(value, slope, slope * (1 - 2 * value))

    def gradient(self, size: int) -> Array:
        """First derivatives in all `size` parameters, (..., n, size)."""
        result = np.zeros((*self.value.shape, size), dtype=self.value.dtype)
        for i, d in self.first.items():
            result[..., i] = d
        return result

    def hessian(self, size: int) -> Array:
        """Second derivatives in all pairs of parameters, (..., n, size, size)."""
        result = np.zeros((*self.value.shape, size, size), dtype=self.value.dtype)
        for (i, j), d in self.second.items():
            result[..., i, j] = result[..., j, i] = d
        return result


def parameters(theta: Array, order: int) -> tuple[Jet, ...]:
    """Parameters of a law as jets of shape (..., 1), to be combined with inputs (n,)."""
    one = np.ones(1)
    return tuple(
        Jet(theta[..., i, None], {i: one} if order else {}, order=order)
        for i in range(theta.shape[-1])
    )


def logistic(value: Array) -> Array:
    """1 / (1 + exp(-value)) without overflow."""
    small = np.exp(np.where(np.real(value) > 0, -value, value))
    result: Array = np.where(np.real(value) > 0, 1.0, small) / (1 + small)
    return result


def log_sum(left: Jet, right: Jet) -> Jet:
    """log(exp(left) + exp(right)) without overflow."""
    share = (left - right).sigmoid()
    larger = np.where(np.real(left.value) > np.real(right.value), left.value, right.value)
    smaller = np.where(np.real(left.value) > np.real(right.value), right.value, left.value)
    # First derivatives are the shares of the two terms, so theirs are all that is left to say.
    value = larger + np.log1p(np.exp(smaller - larger))
    first = _merged(
        {i: share.value * d for i, d in left.first.items()},
        {i: (1 - share.value) * d for i, d in right.first.items()},
    )
    if left.order < 2:
        return Jet(value, first, order=left.order)
    second = _merged(
        {ij: share.value * d for ij, d in left.second.items()},
        {ij: (1 - share.value) * d for ij, d in right.second.items()},
    )
    gap = left - right
    bend = Jet(gap.value, gap.first).apply(gap.value, 0 * gap.value, share_slope(gap.value))
    return Jet(value, first, _merged(second, bend.second), left.order)


def share_slope(value: Array) -> Array:
    """Differentiate `logistic`."""
    return logistic(value) * logistic(-value)


def box_cox(u: Array, power: Jet) -> Jet:
    """Evaluate (exp(power u) - 1) / power, which is u where the power is 0.

    Parameters
    ----------
    u : array (n,)
    power : Jet
    """
    z = power.value * u
    small = np.abs(z) < _SERIES
    safe = np.where(small, 1.0, z)
    grown = np.exp(safe)
    value = np.where(small, _series(z, 1), np.expm1(safe) / safe)
    slope = np.where(small, _series(z, 2), (grown * (safe - 1) + 1) / safe**2)
    bend = np.where(small, _series(z, 3), (grown * (safe**2 - 2 * safe + 2) - 2) / safe**3)
    return power.apply(u * value, u**2 * slope, u**3 * bend)


# Below it the closed forms lose digits to cancellation; 18 terms of the series are exact there.
_SERIES = 1.0


def _series(z: Array, which: int) -> Array:
    """Sum of z^k / (k! (k + which)): (e^z - 1) / z for 1, and its derivatives for 2 and 3."""
    total = np.zeros_like(z)
    factor = 1.0
    terms = []
    for k in range(19):
        terms.append(1 / (factor * (k + which)))
        factor *= k + 1
    for term in reversed(terms):
        total = total * z + term
    return total


def _merged(left: dict[Key, Array], right: dict[Key, Array]) -> dict[Key, Array]:
    result = dict(left)
    for key, d in right.items():
        result[key] = result[key] + d if key in result else d
    return result
