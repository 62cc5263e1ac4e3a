import subprocess
import sys

import numpy as np
import pytest
from numba import njit
from scipy.optimize import least_squares

from scalebed.fit.solvers import profiled
from scalebed.fit.solvers.kernels import powers, separable, vector
from scalebed.laws import get_law

TIED, DECAY = get_law("tied"), get_law("decay")
CHINCHILLA, COMPUTE = get_law("chinchilla"), get_law("compute")
PARAMS = np.array([1e7, 8e7, 1.5e8, 4e8, 1e7])
TOKENS = PARAMS * np.array([20, 20, 20, 20, 320])
LOSSES = np.array([5.4, 4.6, 3.9, 3.4, 3.1, 2.7])
TRUTH = np.array([1.8172, 482.01, 2085.43, 0.3478, 0.3658])


@njit(fastmath={"reassoc", "nsz", "contract"})
def _exp(x, out):
    for i in range(x.size):
        out[i] = vector.exp(x[i])


@njit(fastmath={"reassoc", "nsz", "contract"})
def _log(x, out, inverse):
    for i in range(x.size):
        out[i], inverse[i] = vector.log_inverse(x[i])


def test_exp_agrees_with_numpy_to_two_units_in_the_last_place():
    rng = np.random.default_rng(0)
    x = np.concatenate([np.linspace(-708, 709, 200_001), rng.uniform(-2, 2, 200_000)])
    out = np.empty_like(x)
    _exp(x, out)
    np.testing.assert_allclose(out, np.exp(x), rtol=4.5e-16)
    ends = np.array([-np.inf, -1e300, -708.1, 709.1, 1e300, np.inf, np.nan, 0.0, -0.0, 5e-324])
    out = np.empty_like(ends)
    _exp(ends, out)
    np.testing.assert_array_equal(out, [0, 0, 0, np.inf, np.inf, np.inf, np.nan, 1, 1, 1])


def test_log_and_inverse_agree_with_numpy():
    rng = np.random.default_rng(1)
    x = np.concatenate([np.exp(rng.uniform(-650, 650, 200_000)), rng.uniform(0.4, 2.5, 200_000)])
    out, inverse = np.empty_like(x), np.empty_like(x)
    _log(x, out, inverse)
    np.testing.assert_allclose(out, np.log(x), rtol=4.5e-16)
    np.testing.assert_allclose(inverse, 1 / x, rtol=6e-16)


def _cloud(n=240, seed=0, sigma=0.01):
    """Runs spread like Hoffmann's, with heavy tails."""
    rng = np.random.default_rng(seed)
    params = np.exp(rng.uniform(np.log(44e6), np.log(16e9), n))
    tokens = params * np.exp(rng.uniform(np.log(2), np.log(300), n))
    x = (params, tokens)
    return x, CHINCHILLA.value(TRUTH, x) * np.exp(sigma * rng.standard_t(4, n))


def _counts(n, rows, seed=1):
    rng = np.random.default_rng(seed)
    return np.stack([np.bincount(rng.integers(0, n, n), minlength=n) for _ in range(rows)])


def _objective(law, theta, x, y, w, objective, delta):
    value = law.value(theta, x)
    if objective == "sse":
        return 0.5 * np.sum(w * (value - y) ** 2)
    r = np.log(value) - np.log(y)
    if objective == "log_sse":
        return 0.5 * np.sum(w * r**2)
    return np.sum(w * np.where(abs(r) <= delta, r**2 / 2, delta * (abs(r) - delta / 2)))


def _peer(law, start, x, y, w, objective, delta):
    """scipy's trust region, warm-started, in logarithms of the weights."""
    count = len(law.exponents)

    def theta(z):
        return np.concatenate([z[:1], np.exp(z[1 : 1 + count]), z[1 + count :]])

    def residuals(z):
        value = law.value(theta(z), x)
        rest = value - y if objective == "sse" else np.log(value) - np.log(y)
        if objective == "huber_log":
            size = np.minimum(np.abs(rest), delta)
            rest = np.sqrt(size * (2 * np.abs(rest) - size))
        return np.sqrt(w) * rest

    z = np.concatenate([start[:1], np.log(start[1 : 1 + count]), start[1 + count :]])
    low = np.full(z.size, -np.inf)
    low[0] = 0.0
    found = least_squares(
        residuals, z, bounds=(low, np.inf), x_scale="jac", xtol=1e-14, ftol=1e-14, gtol=1e-14
    )
    return theta(found.x)


@pytest.mark.parametrize("law", [CHINCHILLA, TIED, COMPUTE], ids=lambda law: law.name)
@pytest.mark.parametrize(
    ("objective", "delta"), [("sse", 1.0), ("log_sse", 1.0), ("huber_log", 0.01)]
)
def test_resamples_are_never_worse_than_scipy_on_the_same_counts(law, objective, delta):
    x, y = _cloud()
    x = (6 * x[0] * x[1],) if law is COMPUTE else x
    start = {"chinchilla": TRUTH, "tied": [1.8, 600, 1500, 0.355], "compute": [1.8, 3e3, 0.17]}
    full = powers.fit(law, x, y, np.array(start[law.name]), objective, delta)
    assert full.gradient[0] < 1e-7
    counts = _counts(y.size, 6)
    found = powers.fit(law, x, y, full.theta[0], objective, delta, counts)
    assert np.all(found.gradient < 1e-6) and not found.at_edge.any()
    for row, w in enumerate(counts):
        ours = _objective(law, found.theta[row], x, y, w, objective, delta)
        assert found.objective[row] == pytest.approx(ours, rel=1e-10)
        peer = _peer(law, full.theta[0], x, y, w, objective, delta)
        assert ours <= _objective(law, peer, x, y, w, objective, delta) * (1 + 1e-9)


@pytest.mark.parametrize("delta", [1e-3, 1e-4])
def test_small_limits_of_huber_are_minimised(delta):
    """Every row is the best of many starts about it, though the objective is nearly absolute."""
    x, y = _cloud(60)
    full = powers.fit(CHINCHILLA, x, y, TRUTH, "huber_log", delta)
    counts = _counts(y.size, 12)
    found = powers.fit(CHINCHILLA, x, y, full.theta[0], "huber_log", delta, counts)
    assert np.all(found.gradient < 1e-6)
    rng = np.random.default_rng(2)
    starts = full.theta[0] * np.exp(0.3 * rng.standard_normal((12 * 16, 5)))
    others = powers.fit(CHINCHILLA, x, y, starts, "huber_log", delta, np.repeat(counts, 16, 0))
    best = others.objective.reshape(12, 16).min(1)
    # Which of several nearly equal minima is found may depend on the start.
    assert np.mean(found.objective <= best * (1 + 1e-5)) >= 0.9
    assert np.all(found.objective <= best * 1.01)


def test_resamples_do_not_depend_on_neighbours():
    x, y = _cloud()
    counts = _counts(y.size, 300)
    one = powers.fit(CHINCHILLA, x, y, TRUTH, weights=counts)
    part = powers.fit(CHINCHILLA, x, y, TRUTH, weights=counts[100:110])
    for a, b in zip(one, part, strict=True):
        np.testing.assert_array_equal(a[100:110], b)
    seeds = np.random.default_rng(0).integers(2**63, size=40, dtype=np.uint64)
    one = powers.fit_cases(CHINCHILLA, x, y, TRUTH, seeds)
    part = powers.fit_cases(CHINCHILLA, x, y, TRUTH, seeds[10:20])
    for a, b in zip(one, part, strict=True):
        np.testing.assert_array_equal(a[10:20], b)
    assert np.unique(one.theta[:, 0]).size == 40


def test_drawn_cases_are_draws_with_replacement():
    from scalebed.fit.solvers.kernels.resamples import draw

    counts, total = np.empty(50, dtype=np.int32), np.zeros(50)
    for seed in range(400):
        draw(np.uint64(seed), counts)
        assert counts.sum() == 50
        total += counts
    # Each point is drawn 400 times on average, with variance 400 * 49 / 50.
    assert np.sum((total - 400) ** 2) / (400 * 49 / 50) < 85


def test_floor_and_weights_at_their_bounds_are_reported():
    x, _ = _cloud(sigma=0.0)
    steep = CHINCHILLA.value(TRUTH, x) - 1.9
    steep = np.maximum(steep, 0.02)
    found = powers.fit(CHINCHILLA, x, steep, TRUTH, "log_sse")
    assert found.theta[0, 0] == 0 and found.at_edge[0] and found.gradient[0] < 1e-6
    alone = 1.8 + 2000 * x[1] ** -0.36
    found = powers.fit(CHINCHILLA, x, alone * 1.0, TRUTH, "log_sse")
    assert found.objective[0] < 1e-20
    rising = 1.8 + 2000 * x[1] ** -0.36 + 0.02 * np.log(x[0])
    found = powers.fit(CHINCHILLA, x, rising, TRUTH, "log_sse")
    assert found.theta[0, 1] == 0 and found.at_edge[0] and found.gradient[0] < 1e-6


def test_fixed_floor_and_exponents_keep_their_value():
    x, y = _cloud()
    found = powers.fit(CHINCHILLA, x, y, TRUTH, "log_sse", fixed=("E", "beta"))
    assert found.theta[0, 0] == pytest.approx(TRUTH[0], rel=1e-14)
    assert found.theta[0, 4] == pytest.approx(TRUTH[4], rel=1e-14)
    assert found.gradient[0] < 1e-7 and not found.at_edge[0]


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
@pytest.mark.parametrize("unit", [1e-7, 1.0, 1e7])
def test_powers_recover_the_truth_in_any_units(scale, unit):
    x, _ = _cloud(30)
    y = CHINCHILLA.value(TRUTH, x) * scale
    x = (x[0] * unit, x[1] * unit)
    truth = TRUTH * [scale, scale * unit ** TRUTH[3], scale * unit ** TRUTH[4], 1, 1]
    for objective in ("sse", "log_sse", "huber_log"):
        start = truth * [0.8, 1.3, 0.7, 1.05, 0.95]
        found = powers.fit(CHINCHILLA, x, y, start, objective)
        np.testing.assert_allclose(found.theta[0], truth, rtol=1e-6)


@pytest.mark.parametrize("objective", ["sse", "log_sse", "huber_log"])
@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_few_points_and_duplicates_do_no_harm(n, objective):
    """No refusal here, but nothing that is not finite may pass as a fit."""
    x, y = _cloud(n)
    for repeat in (1, 3):
        inputs = tuple(np.repeat(column, repeat) for column in x)
        found = powers.fit(CHINCHILLA, inputs, np.repeat(y, repeat), TRUTH, objective)
        fine = np.isfinite(found.theta).all() and np.isfinite(found.objective[0])
        assert fine or found.gradient[0] == np.inf
        assert found.objective[0] < 1e-6


def test_rows_without_a_value_have_an_infinite_gradient():
    x, y = _cloud(20)
    counts = np.ones((3, 20))
    counts[1] = 0
    found = powers.fit(CHINCHILLA, x, y, TRUTH, weights=counts)
    assert found.gradient[1] == np.inf and np.all(found.gradient[[0, 2]] < 1e-6)
    bad = np.tile(y, (2, 1))
    bad[1, 3] = np.nan
    found = powers.fit(CHINCHILLA, x, bad, TRUTH, "log_sse")
    assert found.gradient[0] < 1e-6 and found.gradient[1] == np.inf
    rows = np.tile(LOSSES, (2, 1))
    errors = np.tile(0.9 - 2 * np.exp(-0.6 * LOSSES), (2, 1))
    errors[1, 2] = np.nan
    found = profiled.refit(DECAY, (rows,), errors, DECAY.domain((LOSSES,)))
    assert found.gradient[0] < 1e-6 and found.gradient[1] == np.inf


def _refit_numpy(law, x, y, domain):
    """`profiled.refit` in NumPy, without weights: what the kernels are checked against."""
    design, index = profiled.Design(law, x, domain), np.arange(len(y))
    node = np.argmin(design.scan(index, y), axis=1)
    return profiled.polish(design, index, y, node)


@pytest.mark.parametrize("sigma", [0.0, 1e-3, 0.01, 0.1, 0.4])
@pytest.mark.parametrize("law", [TIED, COMPUTE, DECAY], ids=lambda law: law.name)
def test_separable_equals_the_numpy_engine(law, sigma):
    rng = np.random.default_rng(5)
    noise = np.exp(sigma * rng.standard_normal((400, 6)))
    if law is DECAY:
        x = (LOSSES * np.exp(0.01 * rng.standard_normal((400, 6))),)
        y = np.clip(law.value(np.array([0.9, 2.0, 0.6]), x) * noise, 0, 1)
        domain = law.domain((LOSSES,))
    else:
        params, tokens = np.append(PARAMS, 5e7), np.append(TOKENS, 9e9)
        x = (params, tokens) if law is TIED else (6 * params * tokens,)
        truth = [1.8, 166.0, 287.0, 0.27] if law is TIED else [1.8, 800.0, 0.14]
        y, domain = law.value(np.array(truth), x) * noise, None
    ours = profiled.refit(law, x, y, domain)
    numpy = _refit_numpy(law, x, y, domain)
    # A residual is known to a few units in the last place of y, and so is its square.
    length = np.sqrt(np.sum(y**2, 1))
    slack = 1e-12 * numpy.rss + 1e-15 * length * np.sqrt(numpy.rss) + 1e-29 * length**2
    assert np.all(ours.rss <= numpy.rss + slack)
    assert np.all(numpy.rss <= ours.rss + slack)
    np.testing.assert_array_equal(ours.at_edge, numpy.at_edge)
    assert np.all(ours.gradient < 1e-6)
    inside = ~ours.at_edge
    np.testing.assert_allclose(ours.theta[inside], numpy.theta[inside], rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("law", [TIED, COMPUTE], ids=lambda law: law.name)
def test_integer_weights_equal_repeated_points(law):
    x, y = _cloud(30)
    x = x if law is TIED else (6 * x[0] * x[1],)
    counts = _counts(30, 8)
    found = profiled.refit(law, x, y, weights=counts)
    for row, count in enumerate(counts):
        index = np.repeat(np.arange(30), count)
        part = tuple(column[index] for column in x)
        again = profiled.refit(law, part, y[None, index], law.domain(x))
        assert found.rss[row] == pytest.approx(again.rss[0], rel=1e-12)
        np.testing.assert_allclose(found.theta[row], again.theta[0], rtol=1e-6)


def test_tasks_that_share_inputs_equal_single_tasks():
    rng = np.random.default_rng(6)
    losses = LOSSES * np.exp(0.01 * rng.standard_normal((50, 6)))
    clean = DECAY.value(np.array([0.9, 2.0, 0.6]), (losses,))
    errors = clean + 0.02 * rng.standard_normal((7, 50, 6))
    domain = DECAY.domain((LOSSES,))
    together = profiled.refit(DECAY, (losses,), errors, domain)
    assert together.theta.shape == (7, 50, 3) and together.rss.shape == (7, 50)
    for task in range(7):
        alone = profiled.refit(DECAY, (losses,), errors[task], domain)
        for a, b in zip(together, alone, strict=True):
            np.testing.assert_array_equal(a[task], b)


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_separable_fits_of_few_points_are_finite_or_marked(n):
    x, y = (np.repeat(PARAMS[:n], 2), np.repeat(TOKENS[:n], 2)), np.repeat(LOSSES[:n], 2)
    found = profiled.refit(TIED, x, y[None])
    assert np.isfinite(found.theta).all() and np.isfinite(found.rss).all()
    assert np.isfinite(found.gradient).all() or found.gradient[0] == np.inf
    assert separable.fit(TIED.features(x), y, np.geomspace(0.01, 3, 64), 1.0, (0, np.inf)).rss == (
        pytest.approx(found.rss)
    )


def test_laws_and_fit_import_without_numba():
    code = (
        "import sys, scalebed.laws, scalebed.fit; print([m for m in ('numba', 'torch', 'snakemake')"
    )
    code += " if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_optimum_does_not_depend_on_where_memory_is_free():
    draw = np.random.default_rng(0)
    cases = []
    for points in (3, 4, 5, 6, 9, 12):
        loss = np.sort(draw.uniform(3.0, 5.0, points))
        error = 0.8 - 3.0 * np.exp(-0.9 * loss) + 0.01 * draw.standard_normal((60, points))
        cases.append((DECAY, (loss,), error))
    seen = [set() for _ in cases]
    for _ in range(400):
        sizes = draw.integers(1, 600, draw.integers(0, 40))
        blocks = [np.empty(size, np.uint8) for size in sizes]
        holes = blocks[::2]  # what lies between them is free again
        del blocks
        for known, case in zip(seen, cases, strict=True):
            known.add(profiled.refit(*case).theta.tobytes())
        del holes
    assert [len(known) for known in seen] == [1] * len(cases)


def test_a_row_without_a_value_is_not_at_the_edge_of_the_row_before_it():
    """Losses 1.9 lower have their best floor at 0, a bound; beside them stands one not a number."""
    x, _ = _cloud(sigma=0.0)
    rows = np.tile(np.maximum(CHINCHILLA.value(TRUTH, x) - 1.9, 0.02), (2, 1))
    rows[1, 3] = np.nan
    found = powers.fit(CHINCHILLA, x, rows, TRUTH, "log_sse")
    assert found.at_edge.tolist() == [True, False]
    assert found.gradient[0] < 1e-6 and found.gradient[1] == np.inf
