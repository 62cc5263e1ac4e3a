"""How what a posterior expects moves with the noise of its points, to first order.

For any g of the law, d E[g | y] / dy = Cov(g, d log p(y | law) / dy) over the posterior: the draws
say how a prediction would move, and nothing is computed anew. What is believed of the scatter moves
along; what other data sets say of it does not.
"""

from __future__ import annotations

import numpy as np

from scalebed.fit.posterior.centre import LAW
from scalebed.fit.posterior.draw import Draws
from scalebed.laws import get_law
from scalebed.laws.forms.base import Array


def sensitivity(draws: Draws, values: Array) -> Array:
    """Change of each mean for noise of one unit at each point, (m, n).

    Noise is relative to the law at the point and change to the mean, as in
    `scalebed.fit.sensitivity.sensitivity`.

    Parameters
    ----------
    draws : Draws
    values : array (draws, m)
        Anything that the same draws say, such as losses of new runs.
    """
    points = draws.posterior.points
    fitted = get_law(LAW).value(draws.theta, (points.params, points.tokens))
    rest = (points.loss - fitted) / points.guess
    slope = np.empty_like(rest)
    for k, part in enumerate(draws.posterior.parts):
        rows = np.flatnonzero(draws.part == k)
        if rows.size:
            slope[rows] = part.covariance.solve(rest[rows].T).T
    slope *= -((fitted.mean(0) / points.guess) / draws.scatter[:, None] ** 2)
    middle = values.mean(0)
    found: Array = (values - middle).T @ (slope - slope.mean(0)) / len(values) / middle[:, None]
    return found
