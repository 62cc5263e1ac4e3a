"""Fits of thousands to millions of runs, where refitting resamples would cost hours and memory.

The fit is the same global least squares, with its grid evaluated in blocks of points. In place of a
bootstrap the parameters are drawn from the normal distribution of the estimate (delta method):
with J the derivative of the law and r the residuals, the sandwich covariance

    n / (n - p) (J'J)^-1 (J' diag(r^2) J) (J'J)^-1,

which allows for scatter that grows with the loss. Weights are drawn by their logarithm, so
they stay positive, and parameters at a bound stay there. The error law is drawn given the measured
losses, so apart from the loss law; predictions chain the two. Laws with several exponents are drawn
the same way in their frame.
"""

from __future__ import annotations

from typing import Final, cast

import numpy as np

from scalebed.core.errors import ScalebedError
from scalebed.fit.options import Options
from scalebed.fit.refit import compiled, one_exponent
from scalebed.fit.result import FitRefusedError, FitResult, fit_design, fit_law
from scalebed.fit.sensitivity import free
from scalebed.fit.solvers.profiled import Design
from scalebed.laws.forms.base import Array, Index, Inputs, Law, SharedExponentLaw
from scalebed.laws.forms.exponential import ExponentialSum
from scalebed.laws.forms.linear import Moments, lowest_rss, moments
from scalebed.predict.scatter import stream
from scalebed.predict.stages import Drawn, Request

LARGE: Final = 500
"""Points above which a fit is drawn from by the delta method."""
HUGE: Final = 20_000
"""Points above which there is no posterior: its sums over all points would take too long."""
CASES: Final = "case bootstrap"
METHOD: Final = "delta method: normal with the sandwich covariance of the fit"
_BLOCK = 1 << 14  # points x 64 nodes x 2 columns x 8 bytes = 16 MB


class BlockDesign(Design):
    """A design of one sample whose grid is evaluated in blocks of points."""

    def scan(self, index: Index, y: Array) -> Array:
        """Profiled objective at every grid node, (1, nodes)."""
        total: Moments | None = None
        for start in range(0, y.shape[-1], _BLOCK):
            part = slice(start, start + _BLOCK)
            u = self.centred[:, part]
            phi = self.law.sign * np.exp(-self.grid[None, :, None, None] * u[:, None])
            block = moments(phi, y[:, part])
            total = block if total is None else _merged(total, block)
        if total is None:
            raise FitRefusedError("no points")
        return lowest_rss(total, *self.bounds)


def _merged(a: Moments, b: Moments) -> Moments:
    """Centred sums of two blocks together (Chan, Golub and LeVeque 1983)."""
    points = a.points + b.points
    weight, share = a.points * b.points / points, b.points / points
    steps = [other - mean for mean, other in zip(a.mean_phi, b.mean_phi, strict=True)]
    rise = b.mean_y - a.mean_y
    columns = range(len(steps))
    return Moments(
        points,
        tuple(a.mean_phi[j] + share * steps[j] for j in columns),
        a.mean_y + share * rise,
        tuple(
            tuple(a.gram[i][j] + b.gram[i][j] + weight * steps[i] * steps[j] for j in columns)
            for i in columns
        ),
        tuple(a.cross[j] + b.cross[j] + weight * steps[j] * rise for j in columns),
        a.square + b.square + weight * rise**2,
    )


def fit_large(law: Law, x: Inputs, y: Array, options: Options | None = None) -> FitResult:
    """`scalebed.fit.fit_law` for many points.

    Raises
    ------
    FitRefusedError
        If the points cannot identify the law.
    ScalebedError
        If the options cannot be drawn from with so many points.
    """
    options = options or Options()
    if options.fixed or options.priors or not (options.plain or compiled(law, options)):
        raise ScalebedError(
            f"{y.size} runs: above {LARGE} runs parameters cannot be fixed or have priors, and "
            f"objective {options.objective} works for laws tied, chinchilla and compute"
        )
    if not options.plain or not one_exponent(law):
        return fit_law(law, x, y, options)
    reason = _refusal(law, x, y)
    if reason is not None:
        raise FitRefusedError(reason)
    return fit_design(BlockDesign(cast(SharedExponentLaw, law), x), x, y)


def _refusal(law: Law, x: Inputs, y: Array) -> str | None:
    """Ask the law about a few points with the widest spread first.

    Points that identify the law still do so when more are added, and the law looks at every point
    by itself, which is slow.
    """
    spread = [*x, y, x[-1] / x[0]]
    ends = [end(column) for column in spread for end in (np.argmin, np.argmax)]
    few = np.unique([*ends, *range(0, y.size, max(y.size // 500, 1))])
    if law.refusal(tuple(column[few] for column in x), y[few]) is None:
        return None
    return law.refusal(x, y)


def sandwich(request: Request) -> Drawn:
    """Draw by the delta method; by refits of resampled runs where the objective is not squares."""
    fit, names = request.fit, ("theta", request.kind, request.runs.dataset, request.response)
    theta = draw_theta(fit, request.measured.x, request.draws, request.seed, *names)
    return Drawn(theta, METHOD if fit.options.plain else CASES)


def draw_theta(fit: FitResult, x: Inputs, draws: int, seed: int, *names: str) -> Array:
    """Draws of the parameters, (draws, p).

    Parameters
    ----------
    fit : FitResult
    x : tuple of arrays (n,)
        Inputs the law was fitted to.
    draws : int
    seed : int
    names : str
        What the draws depend on beside the seed, see `scalebed.predict.scatter.stream`.
    """
    if not fit.options.plain:
        return _draw_cases(fit, x, draws, stream(seed, *names))
    if not one_exponent(fit.law):
        return _draw_in_frame(fit, x, draws, stream(seed, *names))
    law, theta = cast(SharedExponentLaw, fit.law), fit.theta
    reference = law.features(x).mean(0)
    bread, meat = _sums(fit, x, reference)
    free = np.diag(bread) > 0
    hit = fit.certificate.bounds_hit
    free &= np.array([parameter.name not in hit for parameter in law.parameters])
    inverse = np.linalg.pinv(bread[np.ix_(free, free)])
    points = fit.residuals.size
    covariance = inverse @ meat[np.ix_(free, free)] @ inverse * points / (points - theta.size)
    values, vectors = np.linalg.eigh(covariance)
    normal = stream(seed, *names).standard_normal((draws, values.size))
    steps = np.zeros((draws, theta.size))
    steps[:, free] = normal * np.sqrt(np.maximum(values, 0)) @ vectors.T
    lower, upper = law.parameters[0].lower, law.parameters[0].upper
    floor = np.clip(theta[0] + steps[:, 0], lower, upper)
    exponent = np.clip(theta[-1] + steps[:, -1], *fit.domain)
    # The weights were drawn at the mean of the points, where they hardly depend on the exponent.
    moved = steps[:, 1:-1] + (exponent - theta[-1])[:, None] * reference
    return np.column_stack([floor, theta[1:-1] * np.exp(moved), exponent])


def _sums(fit: FitResult, x: Inputs, reference: Array) -> tuple[Array, Array]:
    """J'J and J' diag(r^2) J in (c0, log weights at the reference, exponent)."""
    law, size = cast(SharedExponentLaw, fit.law), fit.theta.size
    bread, meat = np.zeros((size, size)), np.zeros((size, size))
    for start in range(0, fit.residuals.size, _BLOCK):
        part = slice(start, start + _BLOCK)
        u = law.features(tuple(column[part] for column in x))
        terms = law.sign * fit.theta[1:-1] * np.exp(-fit.theta[-1] * u)
        bend = -(terms * (u - reference)).sum(-1)
        jacobian = np.column_stack([np.ones(len(u)), terms, bend])
        bread += jacobian.T @ jacobian
        scores = jacobian * fit.residuals[part, None]
        meat += scores.T @ scores
    return bread, meat


def _draw_cases(fit: FitResult, x: Inputs, draws: int, rng: np.random.Generator) -> Array:
    """Refits of resampled runs, drawn inside the kernel so that memory stays bounded."""
    from scalebed.fit.solvers.kernels import powers

    options, y = fit.options, fit.fitted + fit.residuals
    seeds = rng.integers(2**63, size=draws, dtype=np.uint64)
    law = cast(ExponentialSum, fit.law)
    found = powers.fit_cases(law, x, y, fit.theta, seeds, options.objective, options.delta)
    return found.theta


def _draw_in_frame(fit: FitResult, x: Inputs, draws: int, rng: np.random.Generator) -> Array:
    """Draws for a law of any form: normal in its frame, weights by their logarithm."""
    law, frame = fit.law, fit.law.frame(x, fit.fitted)
    theta = law.to_frame(fit.theta, frame)
    inside = free(fit)
    logarithmic = np.zeros(theta.size, dtype=bool)
    logarithmic[list(law.weights)] = True
    logarithmic &= theta > 0
    jacobian = law.gradient(theta, frame.x) * np.where(logarithmic, theta, 1.0)
    jacobian = jacobian[:, inside]
    length = np.linalg.norm(jacobian, axis=0)
    inverse = np.linalg.pinv(jacobian / length, rcond=1e-13) / length[:, None]
    points = fit.residuals.size
    scale = np.sqrt(points / max(points - theta.size, 1)) / frame.unit
    root = inverse * (fit.residuals * scale)
    values, vectors = np.linalg.eigh(root @ root.T)
    steps = np.zeros((draws, theta.size))
    normal = rng.standard_normal((draws, values.size))
    steps[:, inside] = normal * np.sqrt(np.maximum(values, 0)) @ vectors.T
    drawn = np.where(logarithmic, theta * np.exp(steps), theta + steps)
    lower, upper = law.bounds(frame.x)
    return law.from_frame(np.clip(drawn, lower, upper), frame)
