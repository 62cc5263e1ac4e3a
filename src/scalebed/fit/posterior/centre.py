"""One law in the middle of a posterior, as a fit that tables and reports can show."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from scalebed.fit.certificate import certify
from scalebed.fit.options import Options
from scalebed.fit.posterior.grid import Posterior
from scalebed.fit.posterior.points import Points
from scalebed.fit.result import FitResult
from scalebed.fit.solvers.general import prepare
from scalebed.laws import get_law
from scalebed.laws.forms.base import Array

LAW = "chinchilla"
"""The law whose exponents are tied softly."""
EDGE = 1e-3
"""Mass at the limits of the exponents from which on the grid has not settled."""


def centre(posterior: Posterior, points: Points | None = None) -> FitResult:
    """Return the law at the most probable node, with its certificate.

    Raises nothing: with few runs the priors decide, and the draws say how little is known.

    Parameters
    ----------
    posterior : Posterior
    points : Points, optional
        Where to compare it with what was measured; the points of the posterior otherwise.
    """
    points, theta = points or posterior.points, most_probable(posterior)
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
        starts=posterior.alpha.size,
        agreeing=posterior.alpha.size,
        minima=1,
    )
    certificate = replace(certificate, degrees_of_freedom=independent(posterior) - theta.size)
    rmse = float(np.sqrt(np.mean(rest**2)))
    limits = law.bounds(x)[:, -1]
    return FitResult(law, theta, fitted, rest, rmse, tuple(limits.tolist()), certificate, options)


def most_probable(posterior: Posterior) -> Array:
    """E, A, B, alpha, beta at the node with most mass; E and the weights not below 0."""
    mass = posterior.mass
    part, node, _ = np.unravel_index(int(np.argmax(mass)), mass.shape)
    mean = np.maximum(posterior.parts[int(part)].mean[node], 0.0)
    alpha, beta = posterior.alpha[node], posterior.beta[node]
    size, data = posterior.middle
    return np.array([mean[0], mean[1] * size**alpha, mean[2] * data**beta, alpha, beta])


def independent(posterior: Posterior) -> int:
    """Count the groups of the coarsest kind; the rows, if nothing groups them."""
    shared = posterior.points.shared
    return int(shared[0].max()) + 1 if shared else posterior.points.loss.size
