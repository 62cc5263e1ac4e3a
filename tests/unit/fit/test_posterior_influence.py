"""Influence of single runs on a posterior, against statsmodels and against leaving them out."""

from __future__ import annotations

import numpy as np
import pytest

from scalebed.fit import fit_law
from scalebed.fit.influence import influence as linearised
from scalebed.fit.options import Options
from scalebed.fit.posterior import Beliefs, Draws, Points, fit_posterior
from scalebed.fit.posterior import influence as module
from scalebed.fit.posterior.influence import influence
from scalebed.laws import get_law

N = np.repeat([2e7, 4e7, 8e7, 1.6e8], 4)
D = N * np.tile([10.0, 20.0, 40.0, 80.0], 4)
X = (N, D)


def points(scatter: float, row: int = 0, off: float = 0.0) -> Points:
    """Sixteen runs of one law, one of which may lie off it."""
    loss = 1.8 + 400 * N**-0.34 + 410 * D**-0.34
    loss *= 1 + scatter * np.random.default_rng(5).standard_normal(N.size)
    loss[row] *= 1 + off
    return Points(N, D, loss)


def test_with_known_exponents_it_is_that_of_least_squares() -> None:
    # Nothing is shared and the exponents are known: the posterior of a linear law.
    beliefs = Beliefs(alpha=0.34, alpha_sd=1e-3, tie_sd=1e-3, single=1.0, shared=())
    given = points(0.003)
    draws = Draws.of(fit_posterior(given, beliefs), 20_000, np.random.default_rng(1))
    found = influence(draws, beliefs)
    fit = fit_law(
        get_law("chinchilla"),
        X,
        given.loss,
        Options(objective="log_sse", fixed={"alpha": 0.34, "beta": 0.34}),
    )
    expected = linearised(fit, X, given.loss)
    assert found is not None
    assert expected.leverage.sum() == pytest.approx(3)
    assert found.leverage == pytest.approx(expected.leverage, abs=0.02)
    # The scatter is a belief as well as an estimate: both are compared in units of the latter.
    ratio = float(np.median(draws.scatter) / np.sqrt(fit.rest @ fit.rest / 13))
    assert ratio == pytest.approx(1, abs=0.15)
    assert ratio * found.studentized == pytest.approx(expected.studentized, abs=0.03)
    # Truncated weights take some per cent off the largest.
    assert ratio**2 * found.cooks_distance == pytest.approx(
        expected.cooks_distance, rel=0.1, abs=0.01
    )


def test_a_row_that_decides_is_left_out_in_earnest(monkeypatch: pytest.MonkeyPatch) -> None:
    given, beliefs = points(0.003, row=15, off=0.02), Beliefs()
    posterior = fit_posterior(given, beliefs)
    draws = Draws.of(posterior, 1000, np.random.default_rng(1))
    found = influence(draws, beliefs)
    assert found is not None
    kept = np.arange(16) != 15
    without = Draws.of(fit_posterior(given.take(kept), beliefs), 4000, np.random.default_rng(2))
    means = [get_law("chinchilla").value(one.theta, X).mean(0) for one in (draws, without)]
    move = (means[1] - means[0]) / given.guess
    squares = move @ np.linalg.inv(posterior.covariance) @ move
    expected = squares / (found.leverage.sum() * np.median(draws.scatter) ** 2)
    assert expected > 1
    assert found.cooks_distance[15] == pytest.approx(expected, rel=0.1)
    assert np.argmax(np.abs(found.studentized)) == 15
    # By weights alone a decisive row seems to decide little.
    monkeypatch.setattr(module, "_AGAIN", 0)
    weighed = influence(draws, beliefs)
    assert weighed is not None
    assert weighed.cooks_distance[15] < 0.7 * expected


def test_nothing_is_said_of_hundreds_of_rows() -> None:
    few = points(0.003)
    many = Points(*(np.tile(column, 26) for column in (few.params, few.tokens, few.loss)))
    draws = Draws.of(fit_posterior(many), 50, np.random.default_rng(1))
    assert influence(draws, Beliefs()) is None
