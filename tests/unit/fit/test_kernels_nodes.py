"""The posterior's least squares at every pair of nodes, against NumPy's linear algebra."""

from itertools import permutations

import numpy as np
import pytest
from scipy.special import log_ndtr
from scipy.stats import norm

from scalebed.fit.solvers.kernels import nodes
from scalebed.fit.solvers.kernels import normal as distribution

ROWS, K = 9, 4
LEVEL = np.linspace(np.log(1e-6), np.log(0.5), 33)
BY_LEVEL = -0.5 * (LEVEL + 5) ** 2


def filled(gram, rows=ROWS):
    k = (len(gram) - 2) // 2
    fixed = np.linspace(-1, 1, k * k)
    out = (
        np.full((k * k, 3), np.nan),
        np.full((k * k, 3, 3), np.nan),
        np.full((k * k, LEVEL.size), np.nan),
        np.full((k * k, LEVEL.size), np.nan),
    )
    nodes.fill(gram, fixed, LEVEL, BY_LEVEL, rows, out)
    return fixed, out


def moment(at, power):
    """Logarithm of the mean, or the mean square, of what a normal of this mean is above 0."""
    near, density = np.maximum(at, -20.0), norm.logpdf(at)
    first = norm.pdf(near) + near * norm.cdf(near)
    second = (1 + near**2) * norm.cdf(near) + near * norm.pdf(near)
    far = -np.minimum(at, -20.0)
    tail = density - 2 * np.log(far), density + np.log(2) - 3 * np.log(far)
    return np.where(at > -20, np.log((first, second)[power - 1]), tail[power - 1])


def bound(mean, spread, precision):
    """Least bound of the probability that all three are above 0, at every scatter."""
    sd = np.sqrt(np.diag(spread))
    scatter = np.exp(LEVEL)
    found = [log_ndtr(np.min(mean / sd) / scatter)]
    for x, y in permutations(range(3), 2):
        c = -spread[x, y] / spread[y, y]
        if c > 0:
            # u = x + c y, independent of y, whose density is at most 1 / (sd sqrt(2 pi)).
            middle, wide = mean[x] + c * mean[y], sd[x] * np.sqrt(1 - (c * sd[y] / sd[x]) ** 2)
            above = moment(middle / wide / scatter, 1)
            found.append(above + np.log(wide / (c * sd[y] * np.sqrt(2 * np.pi))))
    for x in range(3):
        y, z = (x + 1) % 3, (x + 2) % 3
        cy, cz = precision[x, [y, z]] / precision[x, x]
        if cy > 0 and cz > 0:
            middle, wide = mean[x] + cy * mean[y] + cz * mean[z], precision[x, x] ** -0.5
            square = moment(middle / wide / scatter, 2)
            area = np.sqrt(np.linalg.det(spread[np.ix_([y, z], [y, z])]))
            found.append(square + np.log(wide**2 / (4 * np.pi * cy * cz * area)))
    # Where all three are certain but for 1e-4, no other bound is looked for.
    return np.where(found[0] < -1e-4, np.fmin.reduce(found), found[0])


def by_numpy(gram, fixed, rows=ROWS):
    """The same, node by node; also the condition of what is solved at each."""
    k = (len(gram) - 2) // 2
    means, spreads, limits, masses, conditions = [], [], [], [], []
    for node in range(k * k):
        at = [0, 2 + node // k, 2 + k + node % k]
        normal, right = gram[np.ix_(at, at)], gram[at, 1]
        length = np.sqrt(np.diag(normal))
        scaled = normal / np.outer(length, length) + 1e-11 * np.eye(3)
        spread = np.linalg.inv(scaled) / np.outer(length, length)
        mean = spread @ right
        squares = max(gram[1, 1] - mean @ right, 1e-14 * rows)
        volume = np.linalg.slogdet(scaled)[1] + 2 * np.log(length).sum()
        limit = bound(mean, spread, normal)
        mass = -0.5 * np.exp(-2 * LEVEL) * squares - (rows - 3) * LEVEL + BY_LEVEL + limit
        means.append(mean)
        spreads.append(spread)
        limits.append(limit)
        masses.append(mass + fixed[node] - 0.5 * volume)
        conditions.append(np.linalg.cond(scaled))
    return [np.stack(part) for part in (means, spreads, limits, masses, conditions)]


def agree(limit, mass, wanted, rtol=1e-10):
    """Where there is mass; elsewhere the limit may be that by the least probable one alone."""
    limits, masses = wanted[2:4]
    matters = masses > masses.max() - nodes.NEGLIGIBLE
    assert matters.any()
    np.testing.assert_allclose(limit[matters], limits[matters], rtol=rtol, atol=3e-13)
    assert (limit > limits - rtol * np.abs(limits) - 1e-9).all()
    np.testing.assert_allclose(mass - limit, masses - limits, rtol=rtol)


@pytest.mark.parametrize("seed", range(20))
def test_random_columns_agree_with_numpy(seed):
    draw = np.random.default_rng(seed)
    scales = np.exp(draw.uniform(-4, 4, 2 + 2 * K))
    columns = draw.standard_normal((ROWS, 2 + 2 * K)) * scales
    gram = columns.T @ columns
    fixed, (mean, spread, limit, mass) = filled(gram)
    wanted = by_numpy(gram, fixed)
    np.testing.assert_allclose(mean, wanted[0], rtol=1e-10)
    np.testing.assert_allclose(spread, wanted[1], rtol=1e-10)
    agree(limit, mass, wanted)


@pytest.mark.parametrize("apart", [1e-3, 1e-4, 1e-5, 1e-7, 0.0])
def test_columns_that_are_nearly_one_agree_as_far_as_numbers_tell(apart):
    """The error of an inverse grows with the condition, of NumPy's as well."""
    draw = np.random.default_rng(1)
    columns = draw.standard_normal((ROWS, 2 + 2 * K))
    columns[:, 2:] = columns[:, :1] + apart * columns[:, 2:]
    columns[:, 1] = 2 + 0.1 * columns[:, 1]
    gram = columns.T @ columns
    fixed, (mean, spread, limit, mass) = filled(gram)
    wanted = by_numpy(gram, fixed)
    known = 30 * np.finfo(float).eps * wanted[4].max()
    assert known < 1e-2
    size = np.abs(wanted[1]).max((1, 2), keepdims=True)
    np.testing.assert_allclose(spread / size, wanted[1] / size, atol=known)
    size = np.abs(wanted[0]).max(1, keepdims=True)
    np.testing.assert_allclose(mean / size, wanted[0] / size, atol=known)
    agree(limit, mass, wanted, max(known, 1e-10))
    assert np.isfinite(limit).all() and np.isfinite(mass).all()
    assert (np.linalg.eigvalsh(spread) > 0).all()


def test_a_response_on_the_law_leaves_what_numbers_tell():
    draw = np.random.default_rng(2)
    columns = draw.random((ROWS, 4))
    columns[:, 1] = columns[:, [0, 2, 3]].sum(1)
    gram = columns.T @ columns
    fixed, (mean, _, limit, mass) = filled(gram)
    np.testing.assert_allclose(mean, 1.0, rtol=1e-8)
    known = 0.5 * np.exp(-2 * LEVEL) * 4 * np.finfo(float).eps * gram[1, 1]
    wanted = by_numpy(gram, fixed)
    assert (np.abs(mass - limit - wanted[3] + wanted[2]) < known + 1e-9).all()


def test_a_response_of_nothing_has_the_least_squares():
    draw = np.random.default_rng(3)
    columns = draw.random((ROWS, 4))
    columns[:, 1] = 0
    gram = columns.T @ columns
    fixed, (mean, _, limit, mass) = filled(gram)
    assert (mean == 0).all()
    agree(limit, mass, by_numpy(gram, fixed))
    assert (limit <= np.log(0.5) + 1e-12).all()


def test_log_of_the_normal_distribution_agrees_with_scipy():
    x = np.concatenate([np.linspace(-20, 8, 50_001), -np.geomspace(20, 1e150, 1000)])
    kernel, table = distribution.log_probability, distribution.log_normal()
    found = np.array([kernel(at, table) for at in x])
    np.testing.assert_allclose(found, log_ndtr(x), rtol=1e-13, atol=2e-13)
    assert kernel(8.0, table) == kernel(np.inf, table) == 0
    assert np.isnan(kernel(np.nan, table))


def test_exponentials_replace_their_logarithms():
    x = np.linspace(-1000, 0, 10_002).reshape(3, -1)
    values = x.copy()
    assert nodes.exponential(values) is values
    np.testing.assert_allclose(values, np.exp(x), rtol=1e-14, atol=1e-307)
    assert (values[x < -708] == 0).all() and values[-1, -1] == 1
