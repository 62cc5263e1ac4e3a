"""Fits by Newton's method: objectives, weights, fixed parameters, priors, certificates."""

import itertools

import numpy as np
import pytest
from scipy.optimize import least_squares, minimize

from scalebed.core.errors import ScalebedError
from scalebed.fit import FitRefusedError, Options, Prior, fit_law, refit
from scalebed.fit.influence import influence
from scalebed.laws import get_law

CHINCHILLA, TIED, DECAY = get_law("chinchilla"), get_law("tied"), get_law("decay")
TRUTH = np.array([1.8172, 482.01, 2085.43, 0.3478, 0.3658])


def runs(count=60, noise=0.01, seed=0):
    rng = np.random.default_rng(seed)
    params = np.exp(rng.uniform(np.log(4.4e7), np.log(1.6e10), count))
    tokens = np.exp(rng.uniform(np.log(6e18), np.log(3e21), count)) / 6 / params
    loss = CHINCHILLA.value(TRUTH, (params, tokens))
    return (params, tokens), loss * np.exp(noise * rng.standard_normal(count))


def cost(theta, x, y, options, weights=1.0):
    value = CHINCHILLA.value(theta, x)
    if options.objective == "sse":
        return float(np.sum(weights * (value - y) ** 2) / 2)
    rest = np.log(value) - np.log(y)
    if options.objective == "log_sse":
        return float(np.sum(weights * rest**2) / 2)
    size = np.abs(rest)
    delta = options.delta
    rho = np.where(size <= delta, rest**2 / 2, delta * (size - delta / 2))
    return float(np.sum(weights * rho))


@pytest.mark.parametrize(
    "options",
    [
        Options("sse"),
        Options("log_sse"),
        Options("huber_log", 1e-2),
        Options("huber_log", 1e-3),
        Options("huber_log", 1e-4),
    ],
    ids=lambda options: f"{options.objective}-{options.delta}",
)
def test_no_search_from_outside_finds_a_better_optimum(options):
    x, y = runs()
    fit = fit_law(CHINCHILLA, x, y, options)
    ours = cost(fit.theta, x, y, options)
    assert fit.certificate.converged and fit.certificate.starts_agreeing >= 2

    def outside(z):
        theta = np.array([np.exp(z[0]), np.exp(z[1]), np.exp(z[2]), z[3], z[4]])
        return 1e6 * cost(theta, x, y, options)

    at = np.array([*np.log(fit.theta[:3]), *fit.theta[3:]])
    rng = np.random.default_rng(1)
    for _ in range(6):
        start = at + rng.normal(0, [0.05, 0.3, 0.3, 0.02, 0.02])
        found = minimize(outside, start, method="Nelder-Mead", options={"maxiter": 20_000})
        assert ours <= found.fun / 1e6 * (1 + 1e-9)


def test_the_optimum_is_that_of_scipy():
    x, y = runs()
    fit = fit_law(CHINCHILLA, x, y, Options("huber_log", 1e-3))

    def residuals(z):
        theta = np.array([np.exp(z[0]), np.exp(z[1]), np.exp(z[2]), z[3], z[4]])
        return np.log(CHINCHILLA.value(theta, x)) - np.log(y)

    start = np.array([*np.log(fit.theta[:3] * 1.02), *fit.theta[3:]])
    peer = least_squares(
        residuals, start, loss="huber", f_scale=1e-3, xtol=1e-15, ftol=1e-15, gtol=1e-15
    )
    ours = cost(fit.theta, x, y, fit.options)
    assert ours <= peer.cost * (1 + 1e-9)
    assert fit.theta[3:] == pytest.approx(peer.x[3:], rel=1e-4)


def test_weights_count_points():
    x, y = runs(40)
    counts = np.random.default_rng(3).integers(1, 4, 40)
    repeated = np.repeat(np.arange(40), counts)
    for options in (Options("sse"), Options("log_sse"), Options("huber_log", 1e-3)):
        weighted = fit_law(CHINCHILLA, x, y, options, counts.astype(float))
        plain = fit_law(CHINCHILLA, tuple(c[repeated] for c in x), y[repeated], options)
        assert weighted.theta == pytest.approx(plain.theta, rel=1e-6)


def test_a_weight_of_zero_leaves_a_point_out_of_a_resample():
    x, y = runs(40)
    weights = np.ones((2, 40))
    weights[1, :7] = 0
    spoilt = y.copy()
    spoilt[:7] *= 3
    fit = fit_law(CHINCHILLA, x, y, Options("log_sse"))
    found = refit(CHINCHILLA, x, spoilt, Options("log_sse"), weights, fit.theta)
    rest = fit_law(CHINCHILLA, tuple(c[7:] for c in x), y[7:], Options("log_sse"))
    assert found.theta[1] == pytest.approx(rest.theta, rel=1e-7)
    assert found.theta[0] != pytest.approx(rest.theta, rel=1e-3)


@pytest.mark.parametrize("name", ["E", "A", "alpha"])
@pytest.mark.parametrize("objective", ["sse", "log_sse", "huber_log"])
def test_a_fixed_parameter_stays_and_the_rest_is_optimal(name, objective):
    x, y = runs()
    at = [p.name for p in CHINCHILLA.parameters].index(name)
    held = TRUTH[at] * 1.05
    fit = fit_law(CHINCHILLA, x, y, Options(objective, fixed={name: held}))
    assert fit.parameters[name] == pytest.approx(held, rel=1e-12)
    assert fit.certificate.degrees_of_freedom == 56 and fit.certificate.converged
    free = fit_law(CHINCHILLA, x, y, Options(objective))
    assert cost(free.theta, x, y, free.options) < cost(fit.theta, x, y, fit.options)
    for factor in (1 - 1e-4, 1 + 1e-4):
        for other in {0, 1, 2, 3, 4} - {at}:
            near = fit.theta.copy()
            near[other] *= factor
            assert cost(near, x, y, fit.options) > cost(fit.theta, x, y, fit.options)


def test_a_prior_pulls_by_its_width():
    x, y = runs()
    free = fit_law(CHINCHILLA, x, y, Options("log_sse")).parameters["alpha"]
    pulled = [
        fit_law(CHINCHILLA, x, y, Options("log_sse", priors={"alpha": Prior(0.5, sd)})).parameters
        for sd in (1e-5, 1e-2, 1e3)
    ]
    alphas = [values["alpha"] for values in pulled]
    assert alphas[0] == pytest.approx(0.5, abs=1e-4)
    assert alphas[0] > alphas[1] > alphas[2] == pytest.approx(free, abs=1e-6)


def test_a_prior_is_the_posterior_mode_of_a_normal_model():
    """With scatter s the penalised fit minimises sum r^2 / s^2 + ((alpha - m) / sd)^2."""
    x, y = runs()
    scatter, mean, sd = 0.01, 0.4, 0.02
    options = Options("log_sse", priors={"alpha": Prior(mean, sd)}, scatter=scatter)
    theta = fit_law(CHINCHILLA, x, y, options).theta

    def negative(z):
        full = np.array([np.exp(z[0]), np.exp(z[1]), np.exp(z[2]), z[3], z[4]])
        rest = np.log(CHINCHILLA.value(full, x)) - np.log(y)
        return np.sum(rest**2) / scatter**2 + ((z[3] - mean) / sd) ** 2

    at = np.array([*np.log(theta[:3]), *theta[3:]])
    for axis in range(5):
        for step in (-1e-3, 1e-3):
            near = at.copy()
            near[axis] += step
            assert negative(near) > negative(at)


def test_fewer_points_do_where_parameters_are_given():
    x, y = runs(4, 0.0)
    with pytest.raises(FitRefusedError, match="4 points, 5 parameters"):
        fit_law(CHINCHILLA, x, y)
    fit = fit_law(CHINCHILLA, x, y, Options(fixed={"alpha": TRUTH[3], "beta": TRUTH[4]}))
    assert fit.theta == pytest.approx(TRUTH, rel=1e-6)


def test_one_ray_is_refused_even_with_the_exponent_given():
    params = np.geomspace(1e7, 1e9, 6)
    x = (params, 20 * params)
    y = TIED.value(np.array([1.8, 200.0, 300.0, 0.27]), x)
    with pytest.raises(FitRefusedError, match="one ray of M"):
        fit_law(TIED, x, y)
    with pytest.raises(FitRefusedError, match="not identified: condition number"):
        fit_law(TIED, x, y, Options(fixed={"alpha": 0.27}))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (lambda: Options("l1"), "objective 'l1' is unknown"),
        (lambda: Options(delta=0.0), "delta is 0.0"),
        (lambda: Options(scatter=-1.0), "scatter is -1.0"),
        (lambda: Options(priors={"E": Prior(1.0, 0.0)}), "expected an sd above 0"),
        (lambda: Options(fixed={"E": 1.0}, priors={"E": Prior(1, 1)}), "E is fixed and has"),
    ],
)
def test_impossible_options_are_named(options, message):
    with pytest.raises(ScalebedError, match=message):
        options()


def test_options_that_do_not_suit_the_law_are_named():
    x, y = runs()
    for options, message in (
        (Options(fixed={"gamma": 1.0}), "law chinchilla has no parameter 'gamma'"),
        (Options(fixed={"alpha": 9.0}), "alpha of law chinchilla is fixed at 9.0"),
    ):
        with pytest.raises(ScalebedError, match=message):
            fit_law(CHINCHILLA, x, y, options)
    for bad in (np.zeros(60), np.ones(59), np.full(60, np.nan)):
        with pytest.raises(ScalebedError, match="weights must be"):
            fit_law(CHINCHILLA, x, y, weights=bad)


def test_options_survive_json():
    held, prior = {"E": 1.7}, {"alpha": Prior(0.3, 0.1)}
    options = Options("huber_log", 2e-3, 0.02, held, prior)
    assert Options.from_json(options.to_json()) == options


def test_zero_errors_have_no_logarithm():
    loss = np.array([2.0, 2.5, 3.0, 3.5, 4.0])
    with pytest.raises(FitRefusedError, match="error of point 1 is 0, which has no logarithm"):
        fit_law(DECAY, (loss,), np.array([0.0, 0.3, 0.5, 0.6, 0.65]), Options("log_sse"))


def test_the_certificate_counts_what_the_points_decide():
    x, y = runs()
    free = fit_law(CHINCHILLA, x, y, Options("log_sse")).certificate
    assert free.effective_parameters == pytest.approx(5)
    assert free.leverage.sum() == pytest.approx(5) and free.verdict == "certified"
    pinned = Options("log_sse", priors={"alpha": Prior(0.35, 1e-6)})
    assert fit_law(CHINCHILLA, x, y, pinned).certificate.effective_parameters == pytest.approx(
        4, abs=1e-3
    )


def test_influence_is_that_of_leaving_points_out():
    """Cook's distance by its definition, with refits, for a scatter so small that it is linear."""
    x, y = runs(20, 1e-6)
    options = Options("log_sse")
    fit = fit_law(CHINCHILLA, x, y, options)
    found = influence(fit, x, y)
    log_fitted = np.log(fit.fitted)
    variance = np.sum((np.log(y) - log_fitted) ** 2) / 15
    for i in range(20):
        keep = np.arange(20) != i
        without = fit_law(CHINCHILLA, tuple(c[keep] for c in x), y[keep], options)
        moved = np.log(CHINCHILLA.value(without.theta, x)) - log_fitted
        expected = moved @ moved / (5 * variance)
        assert found.cooks_distance[i] == pytest.approx(expected, rel=1e-2)


def test_a_point_that_the_fit_must_go_through_is_named():
    params = np.array([1e7, 8e7, 1.5e8, 4e8, 1e7])
    tokens = params * np.array([20, 20, 20, 20, 320])
    y = TIED.value(np.array([1.84, 166.0, 287.0, 0.273]), (params, tokens))
    y = y * np.array([1.003, 0.998, 1.001, 1.0, 1.002])
    fit = fit_law(TIED, (params, tokens), y)
    found = influence(fit, (params, tokens), y)
    # Only the last cell is off the ray M = 20.
    assert found.leverage[4] == pytest.approx(1, abs=1e-6)
    assert np.isnan(found.cooks_distance[4])


@pytest.mark.parametrize("objective", ["sse", "log_sse", "huber_log"])
def test_units_do_not_matter(objective):
    x, y = runs(30)
    options = Options(objective)
    plain = fit_law(CHINCHILLA, x, y, options)
    for scale, size in itertools.product([1e-8, 1.0, 1e8], [1.0, 1e7, 1e15]):
        moved = fit_law(CHINCHILLA, (x[0] / 1e9 * size, x[1]), y * scale, options)
        assert moved.theta[3:] == pytest.approx(plain.theta[3:], rel=1e-6)
        assert moved.theta[0] == pytest.approx(plain.theta[0] * scale, rel=1e-6)
        assert moved.fitted == pytest.approx(plain.fitted * scale, rel=1e-7)
