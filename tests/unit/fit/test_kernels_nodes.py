"""The posterior's least squares at every pair of nodes, against NumPy's linear algebra."""

import numpy as np
import pytest
from scipy.special import log_ndtr

from scalebed.fit.solvers.kernels import nodes

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
        limit = log_ndtr(np.min(mean / np.sqrt(np.diag(spread))) * np.exp(-LEVEL))
        mass = -0.5 * np.exp(-2 * LEVEL) * squares - (rows - 3) * LEVEL + BY_LEVEL + limit
        means.append(mean)
        spreads.append(spread)
        limits.append(limit)
        masses.append(mass + fixed[node] - 0.5 * volume)
        conditions.append(np.linalg.cond(scaled))
    return [np.stack(part) for part in (means, spreads, limits, masses, conditions)]


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
    np.testing.assert_allclose(limit, wanted[2], rtol=1e-10, atol=3e-13)
    np.testing.assert_allclose(mass, wanted[3], rtol=1e-10)


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
    np.testing.assert_allclose(mass, wanted[3], rtol=max(known, 1e-10))
    assert np.isfinite(limit).all() and np.isfinite(mass).all()
    assert (np.linalg.eigvalsh(spread) > 0).all()


def test_a_response_on_the_law_leaves_what_numbers_tell():
    draw = np.random.default_rng(2)
    columns = draw.random((ROWS, 4))
    columns[:, 1] = columns[:, [0, 2, 3]].sum(1)
    gram = columns.T @ columns
    fixed, (mean, _, _, mass) = filled(gram)
    np.testing.assert_allclose(mean, 1.0, rtol=1e-8)
    known = 0.5 * np.exp(-2 * LEVEL) * 4 * np.finfo(float).eps * gram[1, 1]
    assert (np.abs(mass - by_numpy(gram, fixed)[3]) < known + 1e-9).all()


def test_a_response_of_nothing_has_the_least_squares():
    draw = np.random.default_rng(3)
    columns = draw.random((ROWS, 4))
    columns[:, 1] = 0
    gram = columns.T @ columns
    fixed, (mean, _, limit, mass) = filled(gram)
    assert (mean == 0).all()
    np.testing.assert_allclose(limit, np.log(0.5), rtol=1e-12)
    np.testing.assert_allclose(mass, by_numpy(gram, fixed)[3], rtol=1e-10)


def test_log_of_the_normal_distribution_agrees_with_scipy():
    x = np.concatenate([np.linspace(-20, 8, 50_001), -np.geomspace(20, 1e150, 1000)])
    kernel, table = nodes.log_probability, nodes.log_normal()
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
