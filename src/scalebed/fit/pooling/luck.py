"""How far runs of several data sets that are alike in N, M and seed deviate together.

Same initial weights, same sizes: what such a run is off its law may be the same on every data set.
For S data sets whose deviations are all correlated by rho, with nu degrees of freedom and the
sums of squares Q1 of their mean, S times, and Q2 about it, each data set scaled to its own scatter,

    L(rho) ~ ((1 + (S-1) rho) (1-rho)^(S-1))^((1-nu)/2) (Q1/(1 + (S-1) rho) + Q2/(1-rho))^(-k/2)

with k = S nu - S + 1: for two data sets the density of the sample correlation to first order
(Hotelling 1953), (1 - rho^2)^(nu/2) (1 - rho r)^(1/2 - nu).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from scalebed.laws.forms.base import Array

NONE: Final = 1 / 3
"""Believed beforehand: nothing in common; else log(1 - rho) is uniform, down to that of `_MOST`."""
_MOST: Final = 0.97
_AT: Final = 1 - np.exp(np.linspace(0, np.log(1 - _MOST), 24))


@dataclass(frozen=True)
class Correlation:
    """What is known of the correlation.

    Attributes
    ----------
    at, mass : array (k,)
        Values from 0 on, and their probabilities.
    """

    at: Array
    mass: Array

    @classmethod
    def of(cls, rest: Array, dof: float) -> Correlation:
        """Weigh every value by the deviations.

        Parameters
        ----------
        rest : array (sets, n)
            Deviations of the same runs on each data set, independent of each other within one.
        dof : float
            How many independent deviations they are.
        """
        count = len(rest)
        scaled = rest / np.sqrt(np.sum(rest**2, axis=1, keepdims=True))
        middle = scaled.mean(0)
        along = count * float(middle @ middle)
        across = float(np.sum((scaled - middle) ** 2))
        one, other = 1 + (count - 1) * _AT, 1 - _AT
        log = 0.5 * (1 - dof) * (np.log(one) + (count - 1) * np.log(other))
        log -= 0.5 * (count * dof - count + 1) * np.log(along / one + across / other)
        prior = np.full(_AT.size, (1 - NONE) / (_AT.size - 1))
        prior[0] = NONE
        mass = prior * np.exp(log - log.max())
        return cls(_AT, mass / mass.sum())

    @property
    def mean(self) -> float:
        """Expected value."""
        return float(self.at @ self.mass)

    def draw(self, rng: np.random.Generator, count: int) -> Array:
        """Return one value a draw, (count,)."""
        found: Array = rng.choice(self.at, count, p=self.mass)
        return found
