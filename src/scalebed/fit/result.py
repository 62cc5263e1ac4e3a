"""One fitted law with the proof that it is the optimum."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import cast

import numpy as np

from scalebed.core.errors import ScalebedError
from scalebed.fit import robust
from scalebed.fit.certificate import Certificate, certify
from scalebed.fit.options import Options
from scalebed.fit.refit import one_exponent
from scalebed.fit.solvers.general import ASSUMED, Setup, descend, prepare, search
from scalebed.fit.solvers.newton import Minimum
from scalebed.fit.solvers.profiled import Design, Optimum, polish
from scalebed.laws.forms.base import Array, Inputs, Law, SharedExponentLaw, names

_AGREE = 1e-9
# With 1, 2 and 3 degrees of freedom residuals show a third of the scatter or less in 26, 11 and 5 %
# of the cases (chi2), and a prior would lose nine tenths of its weight.
_FEWEST_DOF = 3
LEAST_SCATTER = 1e-5
"""Of points that lie on the law: priors keep some weight against them."""
_ROUNDS, _SETTLED = 20, 1e-3


class FitRefusedError(ScalebedError):
    """The points cannot identify the law; the message says why."""


@dataclass(frozen=True)
class FitResult:
    """A law fitted to points.

    Attributes
    ----------
    law : Law
    theta : array (p,)
        Parameters in the order of ``law.parameters``, never rounded.
    fitted, residuals : array (n,)
        Value of the law at the points, and measured minus fitted.
    rmse : float
        Root mean square residual, not corrected for degrees of freedom.
    domain : (float, float)
        Interval of the last exponent that was searched; refits of this fit use the same.
    certificate : Certificate
    options : Options
        As given, but with the scatter that priors were weighed against.
    """

    law: Law
    theta: Array
    fitted: Array
    residuals: Array
    rmse: float
    domain: tuple[float, float]
    certificate: Certificate
    options: Options = field(default_factory=Options)

    @property
    def parameters(self) -> dict[str, float]:
        """Fitted parameters by name."""
        return dict(zip(names(self.law.parameters), self.theta.tolist(), strict=True))

    @property
    def rest(self) -> Array:
        """Residuals as the objective takes them: of the logarithms unless it is the sum of squares.

        Measured minus fitted, shape (n,).
        """
        if self.options.objective == "sse":
            return self.residuals
        rest: Array = np.log(self.fitted + self.residuals) - np.log(self.fitted)
        return rest

    @property
    def derived(self) -> dict[str, float]:
        """Derived parameters by name."""
        values = self.law.derive(self.theta).tolist()
        return dict(zip(names(self.law.derived), values, strict=True))

    def predict(self, *x: Array) -> Array:
        """Value of the law at other inputs, shape (n,)."""
        return self.law.predict(self.theta, tuple(np.asarray(column, float) for column in x))


def fit_law(
    law: Law,
    x: Inputs,
    y: Array,
    options: Options | None = None,
    weights: Array | None = None,
) -> FitResult:
    """Fit a law to its global optimum.

    Parameters
    ----------
    law : Law
    x : tuple of arrays (n,)
        Inputs in the order of ``law.inputs``.
    y : array (n,)
        Loss in nats or error rate.
    options : Options, optional
        By default least squares of all parameters, the paper's objective.
    weights : array (n,), optional
        Weight of each squared residual; proportional to one over its variance.

    Raises
    ------
    FitRefusedError
        If the points cannot identify the law: fewer points than parameters, one ray of M, no
        spread, constant or unusable values.
    ScalebedError
        If the options or weights do not suit the law.
    """
    x, y = tuple(np.asarray(column, float) for column in x), np.asarray(y, float)
    options = options or Options()
    options.check(law)
    if weights is not None:
        weights = np.asarray(weights, float)
        if weights.shape != y.shape or not np.all(np.isfinite(weights) & (weights > 0)):
            raise ScalebedError("weights must be one finite number above 0 for each point")
    reason = _refusal(law, x, y, options)
    if reason is not None:
        raise FitRefusedError(reason)
    if options.plain and weights is None and one_exponent(law):
        return fit_design(Design(cast(SharedExponentLaw, law), x), x, y)
    if options.open:
        return _weighed(law, x, y, options, weights)
    return _fit_general(law, x, y, options, weights)


def _refusal(law: Law, x: Inputs, y: Array, options: Options) -> str | None:
    """Why these points cannot identify the law; with help from outside, fewer points may do."""
    if not options.fixed and not options.priors:
        reason = law.refusal(x, y)
    else:
        reason = unusable(law, x, y)
        free = len(law.parameters) - len(options.fixed) - len(options.priors)
        if reason is None and y.size < max(free, 1):
            reason = f"fewer points than free parameters: {y.size} points, {free} parameters"
    if reason is None and options.objective != "sse" and np.min(y) <= 0:
        at = int(np.argmin(y))
        reason = f"{law.kind} of point {at + 1} is {y[at]:.6g}, which has no logarithm"
    return reason


def unusable(law: Law, x: Inputs, y: Array) -> str | None:
    """Name the first number that no fit can use, or None."""
    kind = "loss" if law.kind == "loss" else "error"
    for name, column in zip((*law.inputs, kind), (*x, y), strict=True):
        if name == "error":
            fine, wanted = (column >= 0) & (column <= 1), "within 0 .. 1"
        else:
            fine, wanted = column > 0, "above 0"
        bad = np.flatnonzero(~(np.isfinite(column) & fine))
        if bad.size:
            return f"{name} of point {bad[0] + 1} is {column[bad[0]]:.6g}, expected {wanted}"
    return "no points" if y.size == 0 else None


def _fit_general(
    law: Law, x: Inputs, y: Array, options: Options, weights: Array | None
) -> FitResult:
    setup = prepare(law, x, y, options, weights, y)
    return best_of(setup, search(setup), x, y)


def _weighed(law: Law, x: Inputs, y: Array, options: Options, weights: Array | None) -> FitResult:
    """Fit with priors, weighed against the scatter that the residuals of the same fit show.

    Sum of squares = scatter^2 (points - effective parameters), solved by turns (MacKay 1992,
    Bayesian interpolation, Neural Computation 4, section 4), from what the points say alone.
    """
    free = len(law.parameters) - len(options.fixed)
    if y.size - free < _FEWEST_DOF:
        fit = _fit_general(law, x, y, replace(options, scatter=ASSUMED), weights)
        return replace(fit, certificate=replace(fit.certificate, assumed=ASSUMED))
    scatter, found = LEAST_SCATTER, None
    for _ in range(_ROUNDS):
        setup = prepare(law, x, y, replace(options, scatter=scatter), weights, y)
        # Every optimum goes on from where it was.
        found = descend(setup.problem, found.theta) if found else search(setup)
        fit = best_of(setup, found, x, y)
        last, scatter = scatter, max(_shown(fit, y, weights), LEAST_SCATTER)
        if abs(scatter - last) <= _SETTLED * last:
            break
    return fit


def _shown(fit: FitResult, y: Array, weights: Array | None) -> float:
    """Scatter of the residuals relative to the response."""
    dof = y.size - fit.certificate.effective_parameters
    rest = fit.rest if weights is None else fit.rest * np.sqrt(weights)
    if fit.options.objective == "huber_log":
        return robust.judge(rest, dof).scale
    unit = np.sqrt(np.mean(y**2)) if fit.options.objective == "sse" else 1.0
    return float(np.sqrt(rest @ rest / dof) / unit)


def best_of(setup: Setup, found: Minimum, x: Inputs, y: Array) -> FitResult:
    """Return the best of the optima that a search from several starts found.

    Parameters
    ----------
    setup : Setup
        One sample in its frame.
    found : Minimum
        A row a start.
    x, y
        The sample in the units of the law.

    Raises
    ------
    FitRefusedError
        If no start came to an optimum, or the points do not identify the law there.
    """
    law, options = setup.problem.law, setup.problem.options
    if not found.objective.size or not np.isfinite(found.objective.min()):
        raise FitRefusedError("no start gives the law a value at every point")
    best = int(np.argmin(found.objective))
    floor = 1e-30 * y.size
    same = found.objective <= found.objective[best] * (1 + _AGREE) + floor
    levels = np.sort(found.objective[found.gradient <= 1e-6])
    minima = 1 + int(np.sum(np.diff(levels) > 1e-6 * levels[1:] + floor)) if levels.size else 1
    theta = options.pin(law, law.from_frame(found.theta[best], setup.frame))
    fitted = law.value(theta, x)
    limits = tuple(law.bounds(x)[:, -1].tolist())
    certificate = certify(
        setup.problem,
        found.theta[best],
        gradient=float(found.gradient[best]),
        starts=same.size,
        agreeing=int(same.sum()),
        minima=minima,
    )
    if certificate.unidentified:
        raise FitRefusedError(
            f"not identified: condition number {certificate.condition:.1e}, so the points leave a "
            "combination of the parameters open"
        )
    rmse = float(np.sqrt(np.mean((y - fitted) ** 2)))
    return FitResult(law, theta, fitted, y - fitted, rmse, limits, certificate, options)


def fit_design(design: Design, x: Inputs, y: Array) -> FitResult:
    """Fit the law of a design to points that can identify it; `fit_law` checks that first."""
    law = design.law
    optimum, agreeing, minima = _all_minima(design, y)
    theta = optimum.theta[0]
    fitted = law.value(theta, x)
    setup = prepare(law, x, y, Options(), None, y)
    certificate = certify(
        setup.problem,
        law.to_frame(theta, setup.frame),
        gradient=float(optimum.gradient[0]),
        starts=design.grid.size,
        agreeing=agreeing,
        minima=minima,
        at_edge=bool(optimum.at_edge[0]),
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
