"""Approach 2: a parabola of the loss in ln N at every budget, and a line through their vertices.

    L = L0 (c0 + c1 x + c2 x^2), x = ln(N / N0),  x* = -c1 / (2 c2)         at one budget
    ln N* = b + a ln(C / C0)                                                over the budgets

Hoffmann et al., arXiv 2203.15556, Sec. 3.2. The scatter of the runs about their parabolas, relative
to the loss, is taken for the same at all budgets (`scalebed.decide.isoflop.scatter`). Given it, the
coefficients are Student distributed about the fitted ones; draws of them give every interval.
Quantiles of a vertex are then the limits of Fieller (1954), as long as the curvature is known to be
positive.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scalebed.laws.forms.base import Array


@dataclass(frozen=True)
class Parabola:
    """The parabola of one budget.

    Attributes
    ----------
    centre : float
        ln N0, the mean of ln N.
    coefficients : array (3,)
        c0, c1, c2.
    design : array (n, 3)
        1, x, x^2 of every run.
    rest : array (n,)
        Residuals, relative to the mean loss L0.
    low, high : float
        Least and largest ln N of the runs.
    """

    centre: float
    coefficients: Array
    design: Array
    rest: Array
    low: float
    high: float

    @property
    def vertex(self) -> float:
        """Return ln N*; NaN where the parabola has no minimum."""
        return float(self.vertices(self.coefficients[None])[0])

    def vertices(self, coefficients: Array) -> Array:
        """Return ln N* of coefficients, (draws, 3); NaN where there is no minimum."""
        _, slope, bend = coefficients.T
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(bend > 0, self.centre - slope / (2 * bend), np.nan)

    @property
    def solver(self) -> Array:
        """Return what makes coefficients of losses, (3, n)."""
        return np.asarray(np.linalg.pinv(self.design), np.float64)

    @property
    def variance(self) -> float:
        """Of ln N* for an independent scatter of 1, to first order."""
        _, slope, bend = self.coefficients
        gradient = np.array([0.0, -1 / (2 * bend), slope / (2 * bend**2)])
        return float(np.sum((gradient @ self.solver) ** 2))


def parabola_of(params: Array, loss: Array) -> Parabola:
    """Fit the parabola of one budget, by least squares.

    Parameters
    ----------
    params, loss : array (n,)
        At least three different N.
    """
    logs, unit = np.log(params), float(np.mean(loss))
    centre = float(np.mean(logs))
    design = np.vander(logs - centre, 3, increasing=True)
    coefficients = np.asarray(np.linalg.lstsq(design, loss / unit, rcond=None)[0], np.float64)
    return Parabola(
        centre=centre,
        coefficients=coefficients,
        design=design,
        rest=loss / unit - design @ coefficients,
        low=float(logs.min()),
        high=float(logs.max()),
    )


@dataclass(frozen=True)
class Line:
    """ln N* against ln C, each budget with the weight of its vertex.

    Attributes
    ----------
    middle : float
        ln C0.
    weights : array (2, budgets)
        What b and a are, as sums over the ln N* of the budgets.
    """

    middle: float
    weights: Array

    @classmethod
    def through(cls, flops: Array, variance: Array) -> Line:
        """Fit it by weighted least squares.

        Parameters
        ----------
        flops : array (budgets,)
            At least two.
        variance : array (budgets,)
            Of ln N*, up to a factor.
        """
        logs = np.log(flops)
        middle = float(np.mean(logs))
        design = np.vander(logs - middle, 2, increasing=True)
        scaled = design.T / variance
        weights = np.asarray(np.linalg.solve(scaled @ design, scaled), np.float64)
        return cls(middle, weights)

    def exponent(self, vertices: Array) -> Array:
        """Return a, of ln N* (..., budgets)."""
        return vertices @ self.weights[1]

    def at(self, vertices: Array, flops: float) -> Array:
        """Return ln N* at a compute, of ln N* (..., budgets)."""
        return vertices @ (self.weights[0] + self.weights[1] * (np.log(flops) - self.middle))
