"""Three normals above 0: their draws against rejection, the bound of their probability."""

import numpy as np
import pytest
from scipy.special import log_ndtr
from scipy.stats import norm

from scalebed.fit.posterior import Beliefs, Draws, Points, fit_posterior
from scalebed.fit.posterior.forms import Likelihood, draw_form
from scalebed.fit.posterior.orthant import Normals, positive
from scalebed.fit.solvers.kernels import normal, orthant
from scalebed.laws import get_law

COUNT = 200_000


def drawn(precision, mean, scatter=1.0, seed=5):
    spread, known = np.linalg.inv(precision), np.empty((orthant.ROWS, 3))
    orthant.prepare(mean, spread, precision, known)
    least = log_ndtr(np.min(known[0]) / scatter)
    bound = min(least, orthant.log_sums(known, 1 / scatter, normal.log_normal()))
    one = Normals(mean[None], spread[None], precision[None], (precision @ mean)[None])
    normals = one.take(np.zeros(COUNT, dtype=int))
    scatters, limit = np.full(COUNT, scatter), np.full(COUNT, bound)
    return *positive(normals, scatters, limit, np.random.default_rng(seed)), bound


def cases():
    """Means and covariances of E and two terms; the sums are known better than the parts."""
    lines = np.array([[1, 1, 1, 1, 1], [1.6, 1.3, 1, 0.8, 0.6], [1.5, 1.2, 1, 0.9, 0.7]]).T
    for name, columns in {
        "three apart": np.array([[1, 1, 1, 1, 1], [3, 2, 1, 0.5, 0.3], [1, 3, 1, 2, 0.2]]).T,
        "two alike": lines,
        "all alike": 1 + 0.2 * (lines - 1),
        "one against the others": lines * [-1, 1, 1],
    }.items():
        precision = columns.T @ columns
        for mean in ([0.5, 0.4, 0.3], [-0.2, 0.3, 0.4], [0.1, 0.6, -0.5]):
            yield pytest.param(precision / 0.3**2, np.array(mean), id=f"{name}, {mean}")


@pytest.mark.parametrize(("precision", "mean"), list(cases()))
def test_draws_are_those_of_rejection(precision, mean):
    found, chance, _ = drawn(precision, mean)
    assert np.all(found >= 0)
    rng = np.random.default_rng(6)
    free = rng.multivariate_normal(mean, np.linalg.inv(precision), 40 * COUNT)
    kept = free[np.all(free > 0, axis=1)]
    error = 4 / np.sqrt(max(len(kept), 1))
    weight = np.exp(chance)
    assert weight.mean() == pytest.approx(len(kept) / len(free), rel=error + 0.02)
    sums = (weight[:, None] * found).sum(0) / weight.sum()
    assert sums == pytest.approx(kept.mean(0), rel=error + 0.01)
    among = np.average(found[:, 0] * found[:, 1], weights=weight)
    assert among == pytest.approx(np.mean(kept[:, 0] * kept[:, 1]), rel=2 * error + 0.02)


@pytest.mark.parametrize(("precision", "mean"), list(cases()))
@pytest.mark.parametrize("scatter", [0.3, 1.0, 3.0])
def test_bounds_are_above_the_probability_and_near(precision, mean, scatter):
    _, chance, bound = drawn(precision, mean, scatter)
    weight = np.exp(chance - bound)
    assert weight.mean() < 1.02
    assert weight.mean() > 0.1
    # A node ten standard deviations off carries no mass.
    assert bound < -50 or weight.sum() ** 2 / np.sum(weight**2) > COUNT / 10


def test_what_a_ladder_at_one_d_cannot_tell_is_drawn_within_what_is_possible():
    """The floor and the term of the data are one column: their sum is 2, each is anything below."""
    columns = np.stack([np.ones(8), np.linspace(2, 0.5, 8), np.ones(8)], axis=1)
    precision = columns.T @ columns
    precision[range(3), range(3)] *= 1 + 1e-11
    right = columns.T @ (columns @ [1.2, 0.5, 0.8])
    spread = np.linalg.inv(precision)
    one = Normals(np.array([[1.0, 0.5, 1.0]]), spread[None], precision[None], right[None])
    normals = one.take(np.zeros(5000, dtype=int))
    given = np.full(5000, 1e-3), np.full(5000, -3.0), np.random.default_rng(0)
    found, chance = positive(normals, *given)
    weight = np.exp(chance - chance.max())
    assert weight.sum() ** 2 / np.sum(weight**2) > 4900
    assert found[:, 0] + found[:, 2] == pytest.approx(2.0, abs=0.01)
    assert np.quantile(found[:, 0], [0.1, 0.5, 0.9]) == pytest.approx([0.2, 1.0, 1.8], abs=0.1)
    # The difference has the precision 8e-11 / 2 that is left by the ridge, and lies in -2 .. 2.
    sd = 1e-3 / np.sqrt(8e-11 / 2)
    assert np.exp(chance).mean() == pytest.approx(4 / (sd * np.sqrt(2 * np.pi)), rel=0.05)


@pytest.mark.parametrize("x", [-40.0, -19.9, -5.0, -1.0, 0.0, 2.0, 9.0])
def test_moments_of_a_normal_above_zero(x):
    """By the trapezoidal rule; far below 0 the kernels have bounds of them."""
    t = np.linspace(0, 30, 400_001) / max(1.0, -x)
    density = norm.logpdf(t - x)
    top = density.max()
    for power, kernel in ((1, normal.log_excess), (2, normal.log_square)):
        top_t = np.linspace(0, x + 12, 400_001) if x > 0 else t
        values = top_t**power * np.exp(norm.logpdf(top_t - x) - top)
        wanted = np.log(np.trapezoid(values, top_t)) + top
        found = kernel(x, normal.log_normal())
        assert found == pytest.approx(wanted, abs=0.01 if x < -20 else 1e-5)
        assert found > wanted - 1e-5


SIZES = np.geomspace(1e8, 3e9, 8)


@pytest.mark.parametrize(
    ("params", "tokens"),
    [
        (SIZES, 20 * SIZES),
        (SIZES, np.full(8, 1e11)),
        (np.full(8, 1e8), 1e8 * np.geomspace(5, 640, 8)),
        (np.geomspace(1e8, 1e9, 8), 1e20 / 6 / np.geomspace(1e8, 1e9, 8)),
    ],
    ids=["one M", "one D", "one N", "one C"],
)
def test_ladders_that_tell_a_sum_alone_are_drawn_from_all_of_their_posterior(params, tokens):
    """Once a single draw of a thousand had all the weight, and intervals were a point."""
    rng = np.random.default_rng(3)
    for scatter in (0.001, 0.01, 0.03):
        loss = 1.7 + 400 * params**-0.34 + 400 * tokens**-0.34
        loss = loss * (1 + scatter * rng.standard_normal(8))
        posterior = fit_posterior(Points(params, tokens, loss))
        assert Draws.of(posterior, 1000, rng).effective > 150


def test_walkers_find_the_same_posterior_of_a_ladder_at_one_d():
    """They know nothing of nodes, bounds or weights."""
    tokens = np.full(8, 1e11)
    loss = 1.7 + 400 * SIZES**-0.34 + 400 * tokens**-0.34
    loss = loss * (1 + 0.006 * np.random.default_rng(2).standard_normal(8))
    posterior = fit_posterior(Points(SIZES, tokens, loss))
    law, rng = get_law("chinchilla", "loss"), np.random.default_rng(4)
    likelihood = Likelihood(posterior, Beliefs())
    found = Draws.of(posterior, 4000, rng).theta, draw_form(law, likelihood, 4000, rng)
    at = np.array([1e10, 1e10]), np.array([1e11, 3e11])
    one, other = (
        np.quantile(law.value(theta, at), [0.05, 0.25, 0.5, 0.75, 0.95], axis=0) for theta in found
    )
    # The first is known to +- 0.05, the second, at another D, to +- 0.3.
    assert one[:, 0] == pytest.approx(other[:, 0], abs=0.01)
    assert one[:, 1] == pytest.approx(other[:, 1], abs=0.06)
