"""Priors are weighed against the scatter that the points show: values worked out by hand."""

import numpy as np
import pytest

from scalebed.fit import Options, Prior, fit_law, refit, robust
from scalebed.fit.sensitivity import sensitivity
from scalebed.laws import get_law

TIED = get_law("tied")
TRUTH = np.array([1.84, 166.0, 287.0, 0.273])
SIZES = np.repeat([2e7, 8e7, 1.6e8, 4e8], 4)
TOKENS = SIZES * np.tile([20, 40, 80, 160], 4)
# With A, B and alpha given the law is a constant above known numbers.
GIVEN = {"A": 166.0, "B": 287.0, "alpha": 0.273}
ABOVE = TIED.value(TRUTH, (SIZES, TOKENS)) - TRUTH[0]


def runs(scatter, seed=0, count=16):
    rng = np.random.default_rng(seed)
    loss = (TRUTH[0] + ABOVE) * (1 + scatter * rng.standard_normal(16))
    return (SIZES[:count], TOKENS[:count]), loss[:count]


def test_with_a_stated_scatter_the_estimate_is_the_weighted_mean():
    """Four points with the floors 1.8, 1.9, 2.0, 2.1 and scatter 0.1: 1.95 +- 0.05 by themselves.

    With the prior 2.05 +- 0.05 as precise as they are, the floor is half-way between: 2.0.
    """
    x = (SIZES[:4], TOKENS[:4])
    y = ABOVE[:4] + np.array([1.8, 1.9, 2.0, 2.1])
    scatter = 0.1 / np.sqrt(np.mean(y**2))
    options = Options(fixed=GIVEN, priors={"E": Prior(2.05, 0.05)}, scatter=scatter)
    fit = fit_law(TIED, x, y, options)
    assert fit.parameters["E"] == pytest.approx(2.0, abs=1e-9)
    assert fit.certificate.effective_parameters == pytest.approx(0.5)
    assert fit.options.scatter == scatter


def test_the_scatter_is_that_of_the_residuals_of_the_same_fit():
    """Floors 1.9, 2.0, 2.1 twice each, prior 2.3 +- 0.1.

    The points say 2.0, their squares about it are 0.04. With scatter s the weight of the prior is
    w = s^2 / (s^2 + 6 * 0.01), the floor 2 + 0.3 w, the squares 0.04 + 6 * 0.09 w^2, and s^2 is
    squares / (6 - (1 - w)). By turns from w = 0: s^2 = 0.00988, w = 0.1414.
    """
    x = (SIZES[:6], TOKENS[:6])
    y = ABOVE[:6] + np.array([1.9, 2.0, 2.1, 1.9, 2.0, 2.1])
    fit = fit_law(TIED, x, y, Options(fixed=GIVEN, priors={"E": Prior(2.3, 0.1)}))
    assert fit.options.scatter**2 * np.mean(y**2) == pytest.approx(0.00988, rel=0.02)
    assert fit.parameters["E"] == pytest.approx(2 + 0.3 * 0.1414, abs=0.001)
    assert fit.certificate.effective_parameters == pytest.approx(1 - 0.1414, abs=0.003)
    assert fit.certificate.assumed is None


@pytest.mark.parametrize("objective", ["sse", "log_sse", "huber_log"])
def test_a_wide_prior_hardly_moves_clean_runs(objective):
    """Runs that scatter by 0.03 % know alpha to 0.002: a prior of 0.35 +- 0.05 changes nothing."""
    x, y = runs(0.0003)
    at = (np.array([7e9]), np.array([1.4e11]))
    alone = fit_law(TIED, x, y, Options(objective))
    prior = {"alpha": Prior(0.35, 0.05)}
    fit = fit_law(TIED, x, y, Options(objective, priors=prior))
    assert fit.parameters["alpha"] == pytest.approx(alone.parameters["alpha"], abs=3e-4)
    assert fit.predict(*at) == pytest.approx(alone.predict(*at), rel=2e-4)
    assert fit.predict(*at) == pytest.approx(TIED.value(TRUTH, at), rel=3e-3)
    assert fit.certificate.verdict == "certified"
    assumed = fit_law(TIED, x, y, Options(objective, priors=prior, scatter=0.01))
    assert abs(assumed.parameters["alpha"] - alone.parameters["alpha"]) > 3e-3


def test_few_degrees_of_freedom_take_a_scatter_that_is_said_to_be_assumed():
    x, y = runs(0.003, count=6)
    prior = {"alpha": Prior(0.35, 0.05)}
    fit = fit_law(TIED, x, y, Options(priors=prior))
    stated = fit_law(TIED, x, y, Options(priors=prior, scatter=0.01))
    assert fit.certificate.degrees_of_freedom == 2
    assert fit.theta.tolist() == stated.theta.tolist()
    assert fit.options == stated.options
    said = "priors are weighed against a scatter of 0.01, which is assumed"
    assert said in fit.certificate.verdict and said not in stated.certificate.verdict


def test_points_on_the_law_leave_a_prior_some_weight():
    x, y = runs(0.0)
    fit = fit_law(TIED, x, y, Options(priors={"alpha": Prior(0.35, 0.05)}))
    assert fit.options.scatter == 1e-5
    assert fit.theta == pytest.approx(TRUTH, rel=1e-4)


@pytest.mark.parametrize("objective", ["sse", "log_sse", "huber_log"])
def test_the_first_order_spread_is_that_of_the_posterior(objective):
    """Points and prior of the floor: variance 1 / (n / v^2 + 1 / sd^2), v the scatter of a loss.

    For Huber's loss, far below the scatter, v is that of a median: sqrt(pi / 2) times as large.
    """
    x = (np.full(16, 4e8), np.full(16, 8e9))
    options = Options(objective, 1e-5, 0.01, GIVEN, {"E": Prior(1.84, 0.01)})
    normal = np.random.default_rng(2).standard_normal(16)
    fit = fit_law(TIED, x, TIED.value(TRUTH, x) * (1 + 0.01 * normal), options)
    noise = 0.01 * fit.fitted[0]
    moves = noise * sensitivity(fit, x, (x[0][:1], x[1][:1]))
    felt = noise * (np.sqrt(np.pi / 2) if objective == "huber_log" else 1.0)
    expected = (16 / felt**2 + 1 / 0.01**2) ** -0.5
    assert np.linalg.norm(moves) == pytest.approx(expected, rel=0.02)
    assert moves.shape == (1, 17)


@pytest.mark.parametrize("delta", [0.001, 0.01, 0.03])
def test_hubers_optimum_spreads_as_the_noise_it_feels(delta):
    """2000 samples of 40 losses: the floor spreads by felt / sqrt(40)."""
    rng = np.random.default_rng(4)
    x = (np.resize(SIZES, 40), np.resize(TOKENS, 40))
    fitted = TIED.value(TRUTH, x)
    y = fitted * np.exp(0.01 * rng.standard_normal((2000, 40)))
    options = Options("huber_log", delta, fixed=GIVEN)
    found = refit(TIED, x, y, options, start=TRUTH).theta[:, 0]
    information = np.sum(fitted**-2.0)
    expected = robust.felt(0.01, delta) / np.sqrt(information)
    assert np.std(found) == pytest.approx(expected, rel=0.06)
