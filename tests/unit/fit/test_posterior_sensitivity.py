"""How a posterior moves with the noise of its points: against posteriors of points that moved."""

from dataclasses import replace

import numpy as np
import pytest

from scalebed.fit.posterior import Beliefs, Draws, Points, fit_posterior
from scalebed.fit.posterior.sensitivity import sensitivity
from scalebed.laws import get_law

TRUTH = np.array([1.84, 166.0, 287.0, 0.273, 0.273])
LAW = get_law("chinchilla")
NEW = (np.array([8e7, 1.6e9]), np.array([6.4e9, 3.2e10]))
COUNT = 20_000


def points(groups=()):
    rng = np.random.default_rng(3)
    params = np.repeat([2e7, 8e7, 1.6e8, 4e8], 3)
    tokens = params * np.tile([20.0, 80.0, 160.0], 4)
    loss = LAW.value(TRUTH, (params, tokens)) * (1 + 0.004 * rng.standard_normal(params.size))
    return Points(params, tokens, loss, groups)


def drawn(of):
    draws = Draws.of(fit_posterior(of, Beliefs()), COUNT, np.random.default_rng(0))
    return draws, LAW.value(draws.theta, NEW)


@pytest.mark.parametrize("groups", [(), (np.repeat(np.arange(6), 2),)])
def test_a_mean_moves_as_posteriors_of_moved_points_do(groups):
    known = points(groups)
    draws, values = drawn(known)
    moves = sensitivity(draws, values)
    assert moves.shape == (2, known.loss.size)
    step = 0.002
    spread = values.std(0) / values.mean(0)
    # Two means of so many draws differ by less than this, relative to the loss, with 99.9 %.
    noise = 3.3 * np.sqrt(2 / COUNT) * spread / (2 * step)
    for row in (0, 5, 11):
        means = []
        for sign in (1, -1):
            loss = known.loss.copy()
            fitted = LAW.value(draws.theta, (known.params[[row]], known.tokens[[row]])).mean()
            loss[row] += sign * step * fitted
            means.append(drawn(replace(known, loss=loss))[1].mean(0))
        found = (means[0] - means[1]) / (2 * step) / values.mean(0)
        assert np.all(np.abs(found - moves[:, row]) < noise + 0.05 * np.abs(moves).max(1))


def test_a_law_that_is_known_moves_as_least_squares_do():
    # Little noise and many runs: what is believed of the exponents decides little.
    rng = np.random.default_rng(5)
    params = np.repeat(np.geomspace(1e7, 1e9, 8), 5)
    tokens = params * np.tile([5.0, 20.0, 80.0, 320.0, 640.0], 8)
    off = 1 + 2e-4 * rng.standard_normal(params.size)
    known = Points(params, tokens, LAW.value(TRUTH, (params, tokens)) * off)
    draws = Draws.of(
        fit_posterior(known, Beliefs(single=1.0, shared=())), COUNT, np.random.default_rng(1)
    )
    new = (np.array([4e9]), np.array([8e10]))
    moves = sensitivity(draws, LAW.value(draws.theta, new))[0]
    gradient = LAW.gradient(TRUTH, (params, tokens)) / known.loss[:, None]
    rise = LAW.gradient(TRUTH, new) / LAW.value(TRUTH, new)[:, None]
    scale = np.linalg.norm(gradient, axis=0)
    expected = (rise / scale) @ np.linalg.pinv(gradient / scale)
    assert np.linalg.norm(moves - expected[0]) < 0.1 * np.linalg.norm(expected)
