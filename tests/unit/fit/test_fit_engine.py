import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import curve_fit, lsq_linear

from scalebed.fit import FitRefusedError, fit_law
from scalebed.fit.solvers.profiled import refit
from scalebed.laws import get_law
from scalebed.laws.forms.linear import moments, solve

PARAMS = np.array([1e7, 8e7, 1.5e8, 4e8, 1e7])
TOKENS = PARAMS * np.array([20, 20, 20, 20, 320])
LOSSES = np.array([5.4, 4.6, 3.9, 3.4, 3.1, 2.7])
TIED, DECAY = get_law("tied"), get_law("decay")


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    floor=st.floats(0.3, 4.0),
    size_term=st.floats(0.2, 3.0),
    data_term=st.floats(0.2, 3.0),
    alpha=st.floats(0.12, 0.9),
    scale=st.sampled_from([1e-3, 1.0, 1e6]),
    extra=st.booleans(),
)
def test_tied_recovers_the_truth_to_a_millionth(floor, size_term, data_term, alpha, scale, extra):
    """Terms are given at the middle of the design, where they are of the order of a loss."""
    params = np.append(PARAMS, [8e7, 4e8] if extra else []) * scale
    tokens = np.append(TOKENS, [8e9, 8e9] if extra else []) * scale
    weights = size_term * (5e7 * scale) ** alpha, data_term * (3e9 * scale) ** alpha
    truth = np.array([floor, *weights, alpha])
    fit = fit_law(TIED, (params, tokens), TIED.predict(truth, (params, tokens)))
    np.testing.assert_allclose(fit.theta, truth, rtol=1e-6)
    assert fit.certificate.converged


@settings(max_examples=60, deadline=None, derandomize=True)
@given(eps=st.floats(0.5, 1.0), drop=st.floats(0.05, 0.45), gamma=st.floats(0.2, 3.0))
def test_decay_recovers_the_truth_to_a_millionth(eps, drop, gamma):
    truth = np.array([eps, drop * np.exp(gamma * LOSSES.min()), gamma])
    fit = fit_law(DECAY, (LOSSES,), DECAY.predict(truth, (LOSSES,)))
    np.testing.assert_allclose(fit.theta, truth, rtol=1e-6)
    assert fit.certificate.converged


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**6), columns=st.sampled_from([1, 2]))
def test_bounded_linear_solution_equals_scipy(seed, columns):
    rng = np.random.default_rng(seed)
    phi, y = rng.normal(size=(6, columns)), rng.normal(size=6)
    found = solve(moments(phi[None, None], y[None]), 0.0, 0.4)
    expected = lsq_linear(
        np.column_stack([np.ones(6), phi]), y, ([0.0] * (columns + 1), [0.4] + [np.inf] * columns)
    )
    assert found.rss[0, 0] == pytest.approx(2 * expected.cost, rel=1e-6)


def test_noisy_fit_is_never_worse_than_many_starts():
    rng = np.random.default_rng(3)
    clean = TIED.predict(np.array([1.8, 166.0, 287.0, 0.27]), (PARAMS, TOKENS))

    def curve(_, floor, size, data, alpha):
        return TIED.predict(np.array([floor, size, data, alpha]), (PARAMS, TOKENS))

    for y in clean * (1 + 0.01 * rng.standard_normal((8, 5))):
        ours = fit_law(TIED, (PARAMS, TOKENS), y)
        for start in ((1, 100, 100, 0.2), (0, 1000, 3000, 0.3), (2, 300, 300, 0.4)):
            bounds = ([0, 0, 0, 0.01], [np.inf, np.inf, np.inf, 3])
            theirs, _ = curve_fit(curve, PARAMS, y, start, bounds=bounds, max_nfev=4000)
            rss = np.sum((curve(None, *theirs) - y) ** 2)
            assert np.sum(ours.residuals**2) <= rss * (1 + 1e-9)


def test_batch_equals_single_fits():
    rng = np.random.default_rng(4)
    clean = TIED.predict(np.array([1.8, 166.0, 287.0, 0.27]), (PARAMS, TOKENS))
    batch = clean * (1 + 0.03 * rng.standard_normal((300, 5)))
    found = refit(TIED, (PARAMS, TOKENS), batch)
    assert np.all(found.gradient < 1e-6)
    for row in range(0, 300, 37):
        single = fit_law(TIED, (PARAMS, TOKENS), batch[row])
        np.testing.assert_allclose(found.theta[row], single.theta, rtol=1e-6, atol=1e-9)
    losses = LOSSES * (1 + 0.01 * rng.standard_normal((300, 6)))
    errors = np.clip(DECAY.predict(np.array([0.9, 2.0, 0.6]), (losses,)), 0, 1)
    errors += 0.01 * rng.standard_normal(errors.shape)
    domain = DECAY.domain((LOSSES,))
    found = refit(DECAY, (losses,), errors, domain)
    for row in range(0, 300, 37):
        single = refit(DECAY, (losses[row],), errors[row : row + 1], domain)
        np.testing.assert_allclose(found.theta[row], single.theta[0], rtol=1e-6, atol=1e-9)


def test_bounds_hold_and_are_reported():
    """Losses that fall faster than any floor allows end with E = 0, not below."""
    loss = 200 * PARAMS**-0.3 + 300 * TOKENS**-0.3 - 0.3
    fit = fit_law(TIED, (PARAMS, TOKENS), loss)
    assert fit.parameters["E"] == 0 and "E" in fit.certificate.bounds_hit
    assert any("at a bound: E" in doubt for doubt in fit.certificate.doubts)
    rising = 0.9 - 0.1 * LOSSES
    fit = fit_law(DECAY, (LOSSES,), rising)
    assert fit.parameters["k"] == 0 and "k" in fit.certificate.bounds_hit
    np.testing.assert_allclose(fit.fitted, rising.mean())


def test_certificate_counts_starts_and_degrees_of_freedom():
    loss = TIED.predict(np.array([1.8, 166.0, 287.0, 0.27]), (PARAMS, TOKENS))
    certificate = fit_law(TIED, (PARAMS, TOKENS), loss).certificate
    assert certificate.starts == certificate.starts_agreeing == TIED.nodes
    assert certificate.minima == 1 and certificate.degrees_of_freedom == 1
    assert 1 < certificate.condition < 1e4
    assert any("degrees of freedom: 1" in doubt for doubt in certificate.doubts)


def _loss(params, tokens):
    return TIED.predict(np.array([1.8, 166.0, 287.0, 0.27]), (params, tokens))


@pytest.mark.parametrize(
    ("params", "tokens", "change", "reason"),
    [
        (PARAMS[:3], TOKENS[:3], {}, "fewer points than parameters: 3 points, 4 parameters"),
        (PARAMS[:0], TOKENS[:0], {}, "fewer points than parameters: 0 points"),
        (PARAMS[[0, 1, 2] * 2], TOKENS[[0, 1, 2] * 2], {}, "fewer distinct points"),
        (PARAMS[:4], TOKENS[:4] * [1, 1.02, 0.99, 1], {}, "one ray of M"),
        (np.full(5, 1e7), TOKENS, {}, "no spread in N"),
        (PARAMS, np.full(5, 1e9), {}, "no spread in D"),
        (PARAMS, TOKENS, {2: np.nan}, "loss of point 3 is nan"),
        (PARAMS, TOKENS, {0: np.inf}, "loss of point 1 is inf"),
        (PARAMS, TOKENS, {1: -1.0}, "loss of point 2 is -1, expected above 0"),
        (PARAMS, TOKENS, {1: 0.0}, "loss of point 2 is 0, expected above 0"),
        (PARAMS, TOKENS * [1, 1, 1, 1, 0], {}, "tokens of point 5 is 0"),
        (PARAMS, TOKENS, dict.fromkeys(range(5), 3.0), "constant loss: all 5 values are 3"),
    ],
)
def test_designs_that_cannot_identify_the_loss_law_are_refused(params, tokens, change, reason):
    loss = _loss(params, np.maximum(tokens, 1))
    for index, value in change.items():
        loss[index] = value
    with pytest.raises(FitRefusedError, match=reason):
        fit_law(TIED, (params, tokens), loss)


@pytest.mark.parametrize(
    ("loss", "error", "reason"),
    [
        (LOSSES[:2], [0.8, 0.7], "fewer points than parameters"),
        ([3.0] * 4, [0.8, 0.7, 0.6, 0.5], "fewer distinct points"),
        ([3.0, 3 + 1e-9, 3 + 2e-9], [0.8, 0.7, 0.6], "no spread in loss"),
        (LOSSES[:3], [0.8, 0.8, 0.8], "constant error"),
        (LOSSES[:3], [0.8, 1.2, 0.6], "error of point 2 is 1.2"),
        (LOSSES[:3], [0.8, np.nan, 0.6], "error of point 2 is nan"),
        ([3.0, -2.0, 2.0], [0.8, 0.7, 0.6], "loss of point 2 is -2"),
    ],
)
def test_designs_that_cannot_identify_the_error_law_are_refused(loss, error, reason):
    with pytest.raises(FitRefusedError, match=reason):
        fit_law(DECAY, (np.array(loss),), np.array(error))


@pytest.mark.parametrize("scale", [1e-8, 1e8])
def test_losses_of_any_scale_are_fitted(scale):
    fit = fit_law(TIED, (PARAMS, TOKENS), scale * _loss(PARAMS, TOKENS))
    np.testing.assert_allclose(fit.theta[:3] / scale, [1.8, 166.0, 287.0], rtol=1e-6)


@pytest.mark.parametrize("unit", [1e-7, 1e8])
def test_params_from_one_to_a_quadrillion_are_fitted(unit):
    fit = fit_law(TIED, (PARAMS * unit, TOKENS * unit), _loss(PARAMS, TOKENS))
    assert fit.parameters["alpha"] == pytest.approx(0.27, rel=1e-6)
