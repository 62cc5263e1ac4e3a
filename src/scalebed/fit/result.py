"""One fitted law with the proof that it is the optimum."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from scalebed.errors import ScalebedError
from scalebed.fit.engine import Design, Optimum, polish
from scalebed.laws.base import Array, Inputs, SharedExponentLaw, names

_GRADIENT = 1e-6
_AGREE = 1e-9
# A scaled Jacobian worse than this leaves fewer than four digits to some parameter.
_CONDITION = 1e12


class FitRefusedError(ScalebedError):
    """The points cannot identify the law; the message says why."""


@dataclass(frozen=True)
class Certificate:
    """What shows that a fit is the global optimum, and what weakens it.

    Attributes
    ----------
    converged : bool
        Whether `gradient` is at most 1e-6.
    gradient : float
        Cosine between the residual and the tangent of the profiled objective; zero at an optimum.
    starts, starts_agreeing : int
        Grid nodes over the exponent, and how many lie in the basin of the best optimum (objective
        within 1e-9 relative).
    minima : int
        Local minima of the profiled objective on the grid.
    condition : float
        Condition number of the Jacobian with columns scaled to unit length.
    bounds_hit : tuple of str
        Parameters that ended at a bound.
    degrees_of_freedom : int
        Points minus parameters.
    """

    converged: bool
    gradient: float
    starts: int
    starts_agreeing: int
    minima: int
    condition: float
    bounds_hit: tuple[str, ...]
    degrees_of_freedom: int

    @property
    def doubts(self) -> tuple[str, ...]:
        """Reasons to read the fit with care; none for a certified fit."""
        doubts = []
        if not self.converged:
            doubts.append(f"not converged (gradient {self.gradient:.1e})")
        if self.degrees_of_freedom <= 2:
            doubts.append(
                f"degrees of freedom: {self.degrees_of_freedom}, so its residuals hardly show "
                "lack of fit"
            )
        if self.bounds_hit:
            doubts.append(f"at a bound: {', '.join(self.bounds_hit)}")
        if self.condition > _CONDITION:
            doubts.append(f"ill-conditioned (condition number {self.condition:.1e})")
        return tuple(doubts)


@dataclass(frozen=True)
class FitResult:
    """A law fitted to points by least squares.

    Attributes
    ----------
    law : SharedExponentLaw
    theta : array (p,)
        Parameters in the order of ``law.parameters``, never rounded.
    fitted, residuals : array (n,)
        Value of the law at the points, and measured minus fitted.
    rmse : float
        Root mean square residual, not corrected for degrees of freedom.
    domain : (float, float)
        Interval of the exponent that was searched; refits of this fit use the same.
    certificate : Certificate
    """

    law: SharedExponentLaw
    theta: Array
    fitted: Array
    residuals: Array
    rmse: float
    domain: tuple[float, float]
    certificate: Certificate

    @property
    def parameters(self) -> dict[str, float]:
        """Fitted parameters by name."""
        return dict(zip(names(self.law.parameters), self.theta.tolist(), strict=True))

    @property
    def derived(self) -> dict[str, float]:
        """Derived parameters by name."""
        values = self.law.derive(self.theta).tolist()
        return dict(zip(names(self.law.derived), values, strict=True))

    def predict(self, *x: Array) -> Array:
        """Value of the law at other inputs, shape (n,)."""
        return self.law.predict(self.theta, tuple(np.asarray(column, float) for column in x))


def fit_law(law: SharedExponentLaw, x: Inputs, y: Array) -> FitResult:
    """Least-squares fit of a law, the paper's objective, to its global optimum.

    Parameters
    ----------
    law : SharedExponentLaw
    x : tuple of arrays (n,)
        Inputs in the order of ``law.inputs``.
    y : array (n,)
        Loss in nats or error rate.

    Raises
    ------
    FitRefusedError
        If the points cannot identify the law: fewer points than parameters, one ray of M, no
        spread, constant or unusable values.
    """
    x, y = tuple(np.asarray(column, float) for column in x), np.asarray(y, float)
    reason = law.refusal(x, y)
    if reason is not None:
        raise FitRefusedError(reason)
    return fit_design(Design(law, x), x, y)


def fit_design(design: Design, x: Inputs, y: Array) -> FitResult:
    """Fit the law of a design to points that can identify it; `fit_law` checks that first."""
    law = design.law
    optimum, agreeing, minima = _all_minima(design, y)
    theta = optimum.theta[0]
    fitted = law.predict(theta, x)
    certificate = Certificate(
        converged=bool(optimum.gradient[0] <= _GRADIENT),
        gradient=float(optimum.gradient[0]),
        starts=design.grid.size,
        starts_agreeing=agreeing,
        minima=minima,
        condition=_condition(design, theta),
        bounds_hit=_bounds_hit(law, theta, bool(optimum.at_edge[0])),
        degrees_of_freedom=y.size - theta.size,
    )
    rmse = float(np.sqrt(optimum.rss[0] / y.size))
    limits = (design.low, design.high)
    return FitResult(law, theta, fitted, y - fitted, rmse, limits, certificate)


def _all_minima(design: Design, y: Array) -> tuple[Optimum, int, int]:
    """Polish every local minimum of the grid; the best, its share of nodes, and their number."""
    objective = design.scan(np.arange(1), y[None])[0]
    padded = np.concatenate([[np.inf], objective, [np.inf]])
    lowest = np.flatnonzero((objective <= padded[:-2]) & (objective <= padded[2:]))
    zeros = np.zeros(lowest.size, dtype=int)
    found = polish(design, zeros, np.repeat(y[None], lowest.size, axis=0), lowest)
    best = int(np.argmin(found.rss))
    floor = np.finfo(float).eps ** 2 * float(y @ y) * y.size * 1e2
    same = found.rss <= found.rss[best] * (1 + _AGREE) + floor
    # Downhill from a node is towards its lower neighbour, so basins meet at the local maxima.
    edges = [int(np.argmax(objective[i:j])) + i for i, j in pairwise(lowest)]
    sizes = np.diff([0, *edges, objective.size])
    keep = slice(best, best + 1)
    optimum = Optimum(found.theta[keep], found.rss[keep], found.gradient[keep], found.at_edge[keep])
    return optimum, int(sizes[same].sum()), lowest.size


def _condition(design: Design, theta: Array) -> float:
    """Condition number of the Jacobian in (c0, c_j, q), columns scaled to unit length."""
    phi = design.law.sign * np.exp(-theta[-1] * design.centred[0])
    slopes = theta[1:-1] * np.exp(-theta[-1] * design.reference[0, 0])
    tangent = -(design.centred[0] * phi * slopes).sum(-1)
    jacobian = np.column_stack([np.ones(phi.shape[0]), phi, tangent])
    length = np.linalg.norm(jacobian, axis=0)
    if not np.all(length > 0):
        return float("inf")
    return float(np.linalg.cond(jacobian / length))


def _bounds_hit(law: SharedExponentLaw, theta: Array, at_edge: bool) -> tuple[str, ...]:
    hit = [
        parameter.name
        for parameter, value in zip(law.parameters[:-1], theta[:-1], strict=True)
        if value <= parameter.lower or value >= parameter.upper
    ]
    if at_edge:
        hit.append(law.parameters[-1].name)
    return tuple(hit)
