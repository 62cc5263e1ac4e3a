"""What shows that a fit is the global optimum, and what weakens it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scalebed.fit.solvers.newton import Problem
from scalebed.fit.solvers.objectives import terms
from scalebed.laws.forms.base import Array, Mask

_GRADIENT = 1e-6
# A scaled Jacobian worse than this leaves fewer than four digits to some parameter.
_CONDITION = 1e12
# Worse than this the parameters mean nothing in double precision.
_UNIDENTIFIED = 1e15


@dataclass(frozen=True)
class Certificate:
    """Proof and doubts of a fit.

    Attributes
    ----------
    converged : bool
        Whether `gradient` is at most 1e-6.
    gradient : float
        Cosine between the residuals and a tangent of the law; zero at an optimum.
    starts, starts_agreeing : int
        Starting points over the whole domain, and how many lead to the best optimum (objective
        within 1e-9 relative).
    minima : int
        Local minima that were found.
    condition : float
        Condition number of the Jacobian of the residuals (priors among them) in the free
        parameters that are not at a bound, columns scaled to unit length.
    bounds_hit : tuple of str
        Parameters that ended at a bound.
    degrees_of_freedom : int
        Points minus free parameters.
    effective_parameters : float
        Trace of the hat matrix: what the points, not bounds and priors, decide.
    leverage : array (n,)
        Diagonal of the hat matrix.
    assumed : float, optional
        Scatter that priors were weighed against where nothing told it.
    """

    converged: bool
    gradient: float
    starts: int
    starts_agreeing: int
    minima: int
    condition: float
    bounds_hit: tuple[str, ...]
    degrees_of_freedom: int
    effective_parameters: float
    leverage: Array
    assumed: float | None = None

    @property
    def unidentified(self) -> bool:
        """Whether some combination of the parameters is left open."""
        return not self.condition < _UNIDENTIFIED

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
        if self.assumed is not None:
            doubts.append(
                f"priors are weighed against a scatter of {self.assumed:.2g}, which is assumed"
            )
        if self.bounds_hit:
            doubts.append(f"at a bound: {', '.join(self.bounds_hit)}")
        if self.condition > _CONDITION:
            doubts.append(f"ill-conditioned (condition number {self.condition:.1e})")
        return tuple(doubts)

    @property
    def verdict(self) -> str:
        """``certified``, or ``doubtful:`` and why."""
        return f"doubtful: {'; '.join(self.doubts)}" if self.doubts else "certified"


def certify(
    problem: Problem,
    theta: Array,
    *,
    gradient: float,
    starts: int,
    agreeing: int,
    minima: int,
    at_edge: bool = False,
) -> Certificate:
    """Certificate of a fit.

    Parameters
    ----------
    problem : Problem
        One sample, in its frame.
    theta : array (p,)
        The optimum, in the frame.
    gradient, starts, agreeing, minima
        What the search says of itself.
    at_edge : bool
        Whether the last parameter ended at the edge of the interval that was searched.
    """
    law = problem.law
    hit = (theta <= problem.lower) | (theta >= problem.upper)
    hit[-1] |= at_edge
    hit &= problem.free
    inside = problem.free & ~hit
    condition, leverage = _geometry(problem, theta, inside)
    return Certificate(
        converged=gradient <= _GRADIENT,
        gradient=gradient,
        starts=starts,
        starts_agreeing=agreeing,
        minima=minima,
        condition=condition,
        bounds_hit=tuple(p.name for p, bad in zip(law.parameters, hit, strict=True) if bad),
        degrees_of_freedom=problem.y.size - int(problem.free.sum()),
        effective_parameters=float(leverage.sum()),
        leverage=leverage,
    )


def jacobian(problem: Problem, theta: Array) -> Array:
    """Return the derivatives of the weighted residuals of one sample, (n, p)."""
    law = problem.law
    found = terms(problem.options, law.value(theta, problem.x), problem.y)
    # Huber's limit takes points out of the curvature only partly: its weights count them.
    weights = found.curvature if problem.weights is None else found.curvature * problem.weights
    columns: Array = law.gradient(theta, problem.x) * np.sqrt(weights)[:, None]
    return columns


def _geometry(problem: Problem, theta: Array, inside: Mask) -> tuple[float, Array]:
    """Condition number and leverages in the parameters that the points decide."""
    points = problem.y.size
    columns = jacobian(problem, theta)[:, inside]
    precision = problem.prior_weight[inside]
    stacked = np.vstack([columns, np.diag(np.sqrt(precision))[precision > 0]])
    length = np.linalg.norm(stacked, axis=0)
    if not columns.shape[1]:
        return 1.0, np.zeros(points)
    if not np.all(length > 0):
        return float("inf"), np.zeros(points)
    left, values, _ = np.linalg.svd(stacked / length, full_matrices=False)
    if stacked.shape[0] < columns.shape[1]:
        return float("inf"), np.ones(points)
    kept = values > values[0] * 1e-14
    condition = float(values[0] / values[-1]) if values[-1] > 0 else float("inf")
    return condition, (left[:points, kept] ** 2).sum(1)
