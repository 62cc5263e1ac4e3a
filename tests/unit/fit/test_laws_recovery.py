import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from law_truths import design, rounded, truth
from scipy.optimize import minimize_scalar

from scalebed.fit import fit_law
from scalebed.laws import NAMES, get_law, names_of

SHARES = st.lists(st.floats(0, 1), min_size=9, max_size=9)
HALF = [0.5] * 9
# Fits of these descend from more starts, in more parameters: 0.4 s each and more.
EXAMPLES = {"farseer": 8}


@pytest.mark.parametrize("name", NAMES)
def test_law_recovers_random_truths_to_a_millionth(name):
    law = get_law(name)
    x = design(law)

    @settings(max_examples=EXAMPLES.get(name, 25), deadline=None, derandomize=True)
    @given(shares=SHARES)
    def recovers(shares):
        theta = truth(name, shares)
        # Beyond it the parameters are not in the data, whoever fits them: see `rounded`.
        assume(rounded(law, theta, x))
        fit = fit_law(law, x, law.value(theta, x))
        np.testing.assert_allclose(fit.theta, theta, rtol=1e-6)
        assert fit.certificate.converged

    recovers()


@pytest.mark.parametrize("name", names_of("loss"))
@pytest.mark.parametrize("unit", [1e-8, 1e8])
def test_losses_of_any_size_are_fitted(name, unit):
    law = get_law(name)
    x = design(law)
    y = law.value(truth(name, HALF), x) * unit
    fit = fit_law(law, x, y)
    np.testing.assert_allclose(fit.fitted, y, rtol=1e-9)
    assert fit.certificate.converged


@pytest.mark.parametrize("name", names_of("error"))
@pytest.mark.parametrize("unit", [1e-8, 1e8])
def test_error_laws_take_losses_of_any_size(name, unit):
    law = get_law(name)
    x = design(law, loss=unit)
    theta = truth(name, HALF, loss=unit)
    fit = fit_law(law, x, law.value(theta, x))
    np.testing.assert_allclose(fit.theta, theta, rtol=1e-6)


@pytest.mark.parametrize("name", [n for n in names_of(("loss", "direct")) if n != "farseer"])
@pytest.mark.parametrize("size", [1e-7, 1e6])
def test_models_of_1_and_of_1e15_parameters_are_fitted(name, size):
    law = get_law(name)
    x = design(law, size)
    theta = truth(name, HALF, size)
    fit = fit_law(law, x, law.value(theta, x))
    np.testing.assert_allclose(fit.theta, theta, rtol=1e-6)


@pytest.mark.parametrize("size", [1e-7, 1e6])
def test_farseer_fits_models_of_1_and_of_1e15_parameters(size):
    """Its reference of 1e8 parameters is far off, so the truth is one of power laws."""
    law, tied = get_law("farseer"), get_law("chinchilla")
    x = design(law, size)
    theta = truth("chinchilla", HALF, size)
    theta[0] = 0.0
    y = 2 * (x[0] / x[0].min()) ** -0.02 + tied.value(theta, x) - theta[1] * x[0] ** -theta[3]
    fit = fit_law(law, x, y)
    np.testing.assert_allclose(fit.fitted, y, rtol=1e-7)


@pytest.mark.parametrize("name", names_of(("error", "direct")))
def test_errors_are_predicted_within_0_and_1(name):
    law = get_law(name)
    rng = np.random.default_rng(5)
    theta = np.array([truth(name, rng.uniform(-1, 2, 9).tolist()) for _ in range(40)])
    size = 10.0 ** rng.uniform(-3, 9, 40)
    columns = {
        "params": size,
        "tokens": 20 * size,
        "flops": 120 * size**2,
        "loss": rng.uniform(0, 30, 40),
        "chance": rng.uniform(0.01, 1, 40),
    }
    with np.errstate(over="ignore"):
        error = law.predict(theta, tuple(columns[i] for i in law.inputs))
    assert error.min() >= 0 and error.max() <= 1


OPTIMAL = ("tied", "chinchilla", "gamma", "kaplan", "kaplan_no_floor")
OPTIMAL += ("tied_error", "neglog", "sigmoid_tied")


@pytest.mark.parametrize("name", OPTIMAL)
@pytest.mark.parametrize("flops", [1e17, 1e19])
def test_compute_optimal_runs_are_the_best_of_their_compute(name, flops):
    law = get_law(name)
    rng = np.random.default_rng(7)
    for _ in range(5):
        theta = truth(name, rng.uniform(size=9).tolist())
        rest = (np.array([0.75]),) if "chance" in law.inputs else ()

        def cost(log_params, theta=theta, rest=rest):
            params = np.exp(np.array([log_params]))
            return float(law.value(theta, (params, flops / 6 / params, *rest))[0])

        found = law.compute_optimal(theta, flops)
        log_params = float(np.log(found.params))
        assert found.params * found.tokens * 6 == pytest.approx(flops, rel=1e-12)
        best = minimize_scalar(
            cost,
            bounds=(log_params - 12, log_params + 12),
            method="bounded",
            options={"xatol": 1e-9},
        )
        # At a flat minimum values differ by rounding within 1e-7 or so of the argument.
        assert best.x == pytest.approx(log_params, abs=1e-5)
        assert cost(log_params) <= best.fun * (1 + 1e-14)


def test_optima_take_many_draws_and_budgets():
    law = get_law("kaplan")
    rng = np.random.default_rng(8)
    theta = np.array([truth("kaplan", rng.uniform(size=9).tolist()) for _ in range(4)])
    found = law.compute_optimal(theta[:, None], np.array([1e18, 1e20, 1e22]))
    assert found.params.shape == found.token_multiplier.shape == (4, 3)
    assert np.all(np.diff(found.params) > 0)


@pytest.mark.parametrize("name", [n for n in NAMES if n not in OPTIMAL])
def test_laws_without_a_closed_form_or_without_n_and_d_say_so(name):
    law = get_law(name)
    assert law.compute_optimal(truth(name, HALF), np.array(1e20)) is None


def test_kaplan_gives_the_published_constants():
    """Kaplan et al., table 2: alpha_N 0.076, alpha_D 0.103, N_c 6.4e13, D_c 1.8e13."""
    law = get_law("kaplan_no_floor")
    theta = np.array([6.4e13**0.076, 1.8e13**0.103, 0.076, 0.103])
    np.testing.assert_allclose(law.derive(theta), [6.4e13, 1.8e13], rtol=1e-12)
    params, tokens = np.array([1e8, 1e9]), np.array([1e10, 2e10])
    published = ((6.4e13 / params) ** (0.076 / 0.103) + 1.8e13 / tokens) ** 0.103
    np.testing.assert_allclose(law.value(theta, (params, tokens)), published, rtol=1e-12)


def test_constrained_gives_the_published_law():
    """Muennighoff et al., appendix A: logs of A, B and E, alpha, R_D*, R_N*."""
    law = get_law("constrained")
    a, b, e, alpha = 6.255414, 7.3049974, 0.6254804, 0.3526596
    theta = np.array([np.exp(e), np.exp(a), np.exp(b), alpha, 15.387756, 5.309743])
    np.testing.assert_allclose(theta[:3], [1.869, 520.8, 1487.7], rtol=1e-3)
    params, tokens, unique = np.array([2.8e9]), np.array([55e9]), np.array([1.25e9])
    used = unique / law.derive(theta)
    data = unique * (1 + 15.387756 * (1 - np.exp(-(tokens / unique - 1) / 15.387756)))
    size = used * (1 + 5.309743 * (1 - np.exp(-(params / used - 1) / 5.309743)))
    expected = theta[0] + theta[1] * size**-alpha + theta[2] * data**-alpha
    found = law.value(theta, (params, tokens, unique))
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    # Seen once, 20 tokens or more per parameter: the tied law.
    once = law.value(theta, (params, tokens, tokens))
    np.testing.assert_allclose(once, get_law("tied").value(theta[:4], (params, tokens)), rtol=1e-12)


def test_farseer_gives_the_published_form():
    law = get_law("farseer")
    theta = truth("farseer", [0.3, 0.8, 0.6, 0.2, 0.7, 0.4, 0.1, 0.9, 0.35])
    a1, b1, a2, b2, a3, b3 = law.derive(theta)
    gamma, beta, alpha = theta[[2, 5, 8]]
    params, tokens = np.array([1e7, 3e8, 5e9]), np.array([1e9, 9e9, 2e11])
    power = np.exp(a1 * params**alpha + b1)
    published = np.exp(a3 * params**gamma + b3)
    published += np.exp(a2 * params**beta + b2) * tokens**-power
    np.testing.assert_allclose(law.value(theta, (params, tokens)), published, rtol=1e-10)


def test_gamma_is_chinchilla_at_1_and_gives_the_published_form():
    theta = truth("chinchilla", HALF)
    x = design(get_law("gamma"))
    found = get_law("gamma").value(np.append(theta, 1.0), x)
    np.testing.assert_allclose(found, get_law("chinchilla").value(theta, x), rtol=1e-13)
    theta = truth("gamma", [0.2, 0.9, 0.3, 0.6, 0.4, 0.1, 0, 0, 0])
    a, b, p, q = get_law("gamma").derive(theta)
    published = theta[0] + (a * x[0] ** -p + b * x[1] ** -q) ** theta[5]
    np.testing.assert_allclose(get_law("gamma").value(theta, x), published, rtol=1e-12)


def test_single_step_sigmoid_gives_the_published_form():
    law = get_law("sigmoid_tied")
    theta = truth("sigmoid_tied", [0.2, 0.9, 0.3, 0.6, 0.4, 0, 0, 0, 0])
    (top, floor), (_, _, size, data, alpha) = law.derive(theta), theta
    params, tokens = np.array([1e6, 3e8, 5e9]), np.array([1e8, 9e9, 2e11])
    published = top / (1 + np.exp(-(floor + size * params**-alpha + data * tokens**-alpha)))
    np.testing.assert_allclose(law.value(theta, (params, tokens)), published, rtol=1e-13)
