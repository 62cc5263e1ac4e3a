import numpy as np
import pytest
from law_truths import design, truth

from scalebed.laws import NAMES, get_law
from scalebed.laws.forms.jets import Jet, box_cox, log_sum, logistic


def truths(name, count=6, size=1.0):
    rng = np.random.default_rng(11)
    return np.array([truth(name, rng.uniform(size=9).tolist(), size) for _ in range(count)])


def imaginary(function, theta, j):
    """Derivative in parameter j by a complex step, which is exact to rounding."""
    step = 1e-20 * np.abs(theta[:, j]) + 1e-30
    shifted = theta.astype(complex)
    shifted[:, j] += 1j * step
    moved = function(shifted).imag
    return moved / step.reshape(-1, *(1,) * (moved.ndim - 1))


@pytest.mark.parametrize("name", NAMES)
def test_gradient_and_hessian_equal_complex_steps(name):
    law, theta = get_law(name), truths(name)
    x = design(law)
    gradient, hessian = law.gradient(theta, x), law.hessian(theta, x)
    largest = np.abs(gradient).max((0, 1))
    value = np.abs(law.value(theta, x)).max()
    for j in range(theta.shape[1]):
        first = imaginary(lambda t: law.value(t, x), theta, j)
        np.testing.assert_allclose(gradient[..., j], first, rtol=1e-12, atol=1e-13 * largest[j])
        second = imaginary(lambda t: law.gradient(t, x), theta, j)
        # A second derivative is compared on the scale of the product of the first ones.
        error = np.abs(hessian[..., j] - second) / (largest[j] * largest / value)
        assert error.max() < 1e-11
    np.testing.assert_array_equal(hessian, np.swapaxes(hessian, -1, -2))


@pytest.mark.parametrize("name", NAMES)
def test_frame_keeps_the_formula(name):
    law, theta = get_law(name), truths(name)
    x = design(law)
    value = law.value(theta, x)
    frame = law.frame(x, value[0])
    moved = law.to_frame(theta, frame)
    np.testing.assert_allclose(law.value(moved, frame.x) * frame.unit, value, rtol=1e-11)
    np.testing.assert_allclose(law.from_frame(moved, frame), theta, rtol=1e-12)
    held = [
        i
        for i in range(theta.shape[1])
        if i not in law.weights and law.from_frame(np.ones(theta.shape[1]), frame)[i] == 1
    ]
    np.testing.assert_array_equal(moved[:, held], theta[:, held])


@pytest.mark.parametrize("name", NAMES)
def test_frame_parameters_other_than_weights_change_by_a_factor_at_most(name):
    """Bounds, fixed values and priors are carried into the frame as factors."""
    law, theta = get_law(name), truths(name)
    x = design(law)
    frame = law.frame(x, law.value(theta[0], x))
    factors = law.to_frame(np.ones(theta.shape[1]), frame)
    others = [i for i in range(theta.shape[1]) if i not in law.weights]
    moved = law.to_frame(theta, frame)
    np.testing.assert_allclose(moved[:, others], (theta * factors)[:, others], rtol=1e-13)


@pytest.mark.parametrize("name", NAMES)
def test_batches_equal_rows_and_inputs_may_differ_by_row(name):
    law, theta = get_law(name), truths(name, 3)
    x = design(law)
    rows = tuple(np.stack([column, column * 1.0, column[::-1]]) for column in x)
    for method in (law.value, law.predict, law.gradient, law.hessian):
        found = method(theta, rows)
        for i, row in enumerate(theta):
            one = method(row, tuple(column[i] for column in rows))
            np.testing.assert_allclose(found[i], one, rtol=1e-13, atol=1e-300)


@pytest.mark.parametrize("name", NAMES)
def test_starts_are_within_bounds_and_make_finite_values(name):
    law = get_law(name)
    x, theta = design(law), truths(name)[0]
    y = law.value(theta, x)
    frame = law.frame(x, y)
    starts = law.starts(frame.x, y / frame.unit, np.ones(y.size))
    assert 1 <= len(starts) <= 16 and starts.shape[1] == len(law.parameters)
    assert np.isfinite(law.value(starts, frame.x)).all()
    low, high = law.bounds(x)
    fixed = [i for i in range(len(low)) if i not in law.weights]
    ends = law.from_frame(starts, frame)[:, fixed]
    assert np.all(ends >= low[fixed] - 1e-9) and np.all(ends <= high[fixed] * (1 + 1e-9) + 1e-9)


@pytest.mark.parametrize("name", ["neglog", "neglog_compute", "sigmoid", "sigmoid_tied"])
def test_the_best_start_of_runs_without_noise_is_near_them(name):
    law = get_law(name)
    x, theta = design(law), truths(name)[0]
    y = law.value(theta, x)
    frame = law.frame(x, y)
    starts = law.starts(frame.x, y / frame.unit, np.ones(y.size))
    rest = law.value(starts, frame.x) * frame.unit - y
    # What a parabola would call R^2 is above .9975: steps from there end at the optimum.
    assert np.sqrt(np.mean(rest**2, axis=-1)).min() < 0.05 * y.std()


def test_box_cox_is_the_logarithm_at_no_power_and_smooth_there():
    u = np.array([-4.0, 0.0, 2.5])
    one = {0: np.ones(1)}
    flat = box_cox(u, Jet(np.array([0.0]), one))
    np.testing.assert_allclose(flat.value, u, rtol=1e-15)
    np.testing.assert_allclose(flat.first[0], u**2 / 2, rtol=1e-15)
    np.testing.assert_allclose(flat.second[0, 0], u**3 / 3, rtol=1e-15)
    for power in (-0.3, 0.2499999, 0.4):
        jet = box_cox(u, Jet(np.array([power]), one))
        np.testing.assert_allclose(jet.value, np.expm1(power * u) / power, rtol=1e-14)
        shifted = box_cox(u, Jet(np.array([power + 1e-30j]), one))
        np.testing.assert_allclose(jet.first[0], shifted.value.imag / 1e-30, rtol=1e-12)
        np.testing.assert_allclose(jet.second[0, 0], shifted.first[0].imag / 1e-30, rtol=1e-10)


def test_sums_of_exponentials_and_sigmoids_do_not_overflow():
    left, right = Jet(np.array([900.0, -900.0])), Jet(np.array([899.0, 0.0]))
    expected = [900 + np.log1p(np.exp(-1)), 0.0]
    np.testing.assert_allclose(log_sum(left, right).value, expected, rtol=1e-15)
    np.testing.assert_array_equal(logistic(np.array([-1e4, 0.0, 1e4])), [0.0, 0.5, 1.0])
