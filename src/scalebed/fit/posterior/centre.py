"""One law in the middle of a posterior, as a fit that tables and reports can show."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from scalebed.fit.certificate import certify
from scalebed.fit.options import Options
from scalebed.fit.posterior.draw import Draws
from scalebed.fit.posterior.grid import Posterior
from scalebed.fit.posterior.points import Points
from scalebed.fit.result import FitResult
from scalebed.fit.solvers.general import prepare
from scalebed.laws import get_law
from scalebed.laws.forms.base import Array

LAW = "chinchilla"
"""The law whose exponents are tied softly."""
_DRAWS, _ENOUGH = 4000, 200
EDGE = 1e-3
"""Mass at the limits of the exponents from which on the grid has not settled."""


def centre(posterior: Posterior, points: Points | None = None) -> FitResult:
    """Return the law in the middle of the posterior, with its certificate.

    Raises nothing: with few runs the priors decide, and the draws say how little is known.

    Parameters
    ----------
    posterior : Posterior
    points : Points, optional
        Where to compare it with what was measured; the points of the posterior otherwise.
    """
    points, theta = points or posterior.points, middle(posterior)
    law, x = get_law(LAW), (points.params, points.tokens)
    fitted = law.value(theta, x)
    rest = points.loss - fitted
    options = Options("log_sse")
    setup = prepare(law, x, points.loss, options, None, points.loss)
    certificate = certify(
        setup.problem,
        law.to_frame(theta, setup.frame),
        # What the grid leaves at its limits stands for what a search leaves of its gradient.
        gradient=0.0 if posterior.edge < EDGE else posterior.edge,
        starts=1,
        agreeing=1,
        minima=1,
    )
    certificate = replace(certificate, degrees_of_freedom=independent(posterior) - theta.size)
    rmse = float(np.sqrt(np.mean(rest**2)))
    limits = law.bounds(x)[:, -1]
    return FitResult(law, theta, fitted, rest, rmse, tuple(limits.tolist()), certificate, options)


def middle(posterior: Posterior) -> Array:
    """Return E, A, B, alpha, beta of the draw that lies nearest to the medians of all.

    Medians of parameters are no law of the posterior, and its most probable law lies where no
    median is: the posterior is skew. What is compared are losses of the points and of runs up to
    30 times as large and as long.
    """
    points = posterior.points
    theta = Draws.of(posterior, _DRAWS, np.random.default_rng(0)).theta
    size, data = float(points.params.max()), float(points.tokens.max())
    few = slice(None, None, max(points.loss.size // _ENOUGH, 1))
    x = (
        np.append(points.params[few], [size, 3 * size, 10 * size, 30 * size, size]),
        np.append(points.tokens[few], [data, 3 * data, 10 * data, 30 * data, 10 * data]),
    )
    value = get_law(LAW).value(theta, x)
    off = ((value - np.median(value, axis=0)) / value.std(axis=0)) ** 2
    # However many the points are, what is far counts more: it is what a law is asked for.
    nearest: Array = theta[int(np.argmin(off[:, :-5].mean(1) + off[:, -5:].sum(1)))]
    return nearest


def independent(posterior: Posterior) -> int:
    """Count the groups of the coarsest kind; the rows, if nothing groups them."""
    shared = posterior.points.shared
    return int(shared[0].max()) + 1 if shared else posterior.points.loss.size
