"""The noise of the fitted runs in the differences of a tournament."""

from dataclasses import replace

import numpy as np
import pytest
from extrapolation_study import open_tables
from scipy.stats import norm, t
from synthetic_study import tables

from scalebed.checks.tournament.differences import (
    Shared,
    cluster_draws,
    differences,
    shared_noise,
)
from scalebed.checks.tournament.entries import loss_entries
from scalebed.checks.tournament.redraw import Fitted, Noise, Redraws, redraws_of
from scalebed.checks.tournament.scores import judge
from scalebed.checks.tournament.splits import cell_numbers, make_splits
from scalebed.checks.tournament.trials import Tried, try_losses
from scalebed.fit import Options, fit_law
from scalebed.laws import get_law


def fitted(name, x, y, options=None):
    fit = fit_law(get_law(name), x, y, options)
    return Fitted(0, np.ones(y.size, dtype=bool), x, fit)


def one_by_one(n):
    """Redraws in which one run after the other deviates by one unit of its scatter."""
    return Redraws((np.arange(n),), np.zeros((n, n)), (np.eye(n),))


def test_a_straight_line_moves_by_the_textbook_s_variance():
    # Err = a - b log C: the variance of a prediction is s^2 (1/n + (x - mean)^2 / sum of squares).
    flops = np.geomspace(1e15, 1e18, 7)
    rng = np.random.default_rng(0)
    one = fitted("log_compute", (flops,), 0.9 - 0.02 * np.log(flops / 1e15) + 0.01 * rng.random(7))
    new = np.array([1e16, 1e19, 3e20])
    sd = 0.013
    moved = one_by_one(7).predictions(one, Noise(sd, 0.0, 5.0), (new,)) - one.fit.predict(new)
    log = np.log(flops)
    rest = log - log.mean()
    expected = sd**2 * (1 / 7 + (np.log(new) - log.mean()) ** 2 / (rest @ rest))
    np.testing.assert_allclose((moved**2).sum(0), expected, rtol=1e-6)


def test_the_scatter_is_that_of_the_residuals_over_all_data_sets():
    flops = np.geomspace(1e15, 1e18, 6)
    off = np.array([1.0, -2.0, 1.5, -1.0, 0.5, 1.0]) / 100
    curve = 0.9 - 0.02 * np.log(flops / 1e15)
    first = fitted("log_compute", (flops,), curve + off)
    equal = replace(first, at=1)
    turned = replace(fitted("log_compute", (flops,), curve - off), at=1)
    at = np.arange(6)
    redraws = Redraws((at, at), np.zeros((1, 6)), (np.zeros((1, 6)),) * 2)
    for other, shared in ((equal, 1.0), (turned, 0.0)):
        noise = redraws.noise([first, other])
        squares = sum(float((one.fit.residuals**2).sum()) for one in (first, other))
        assert noise.dof == 2 * (6 - 2)
        assert noise.sd == pytest.approx(np.sqrt(squares / 8))
        assert noise.shared == pytest.approx(shared, abs=1e-6)
    assert redraws.noise([]).dof == 0


def test_huber_s_fit_moves_with_limited_deviations_of_the_same_size():
    rng = np.random.default_rng(1)
    params, ratio = np.repeat([1e7, 1e8, 1e9], 3), np.tile([20.0, 80.0, 320.0], 3)
    x = (params, params * ratio)
    loss = get_law("tied").predict(np.array([1.8, 160.0, 280.0, 0.27]), x)
    one = fitted("tied", x, loss * (1 + 0.01 * rng.standard_normal(9)), Options("huber_log"))
    cells = rng.standard_normal((20_000, 9))
    redraws = Redraws((np.arange(9),), np.zeros((20_000, 9)), (cells,))
    normals = redraws.normals(one, Noise(0.01, 0.0, 5.0))
    assert np.ptp(np.abs(normals)) < np.ptp(np.abs(cells)) / 3
    # Nearly the median: only the sign counts, and its square is 1.
    np.testing.assert_allclose(normals.std(0), 1.0, atol=0.02)
    np.testing.assert_array_equal(np.sign(normals), np.sign(cells))


def test_what_clusters_share_and_what_their_bootstrap_sees_add_up_to_the_variance():
    rng = np.random.default_rng(2)
    clusters, targets = np.repeat(np.arange(4), 3), 12
    moves = rng.standard_normal((300, targets)) + 2 * rng.standard_normal((300, 1))
    redrawn = np.stack([moves, np.zeros_like(moves)])
    errors, weights = np.ones((2, targets)), np.full(targets, 1 / targets)
    found = shared_noise(errors, redrawn, 1, weights, clusters, np.array([9.0, 5.0]))
    means = moves.reshape(300, 4, 3).mean(2)
    covariance = np.cov(means.T)
    rest = (covariance.sum() - np.trace(covariance)) / 12
    seen = (np.trace(covariance) / 4 - rest) / 4
    assert found.sd[0] ** 2 + seen == pytest.approx(means.mean(1).var(ddof=1))
    assert found.sd[1] == 0.0
    np.testing.assert_array_equal(found.dof, [5.0, 5.0])


def test_clusters_that_move_against_each_other_share_nothing():
    moves = np.random.default_rng(3).standard_normal((50, 1)) * np.array([[1.0, -1.0]])
    redrawn = np.stack([moves, np.zeros_like(moves)])
    weights, clusters = np.full(2, 0.5), np.arange(2)
    found = shared_noise(np.ones((2, 2)), redrawn, 1, weights, clusters, np.full(2, 9.0))
    np.testing.assert_array_equal(found.sd, [0.0, 0.0])


@pytest.mark.parametrize(
    ("times", "dof", "known"), [(1.02, 3, True), (0.98, 3, False), (9, 0, False)]
)
def test_a_difference_is_established_beyond_student_s_share_of_the_shared_noise(times, dof, known):
    # All clusters differ alike, so that their bootstrap adds nothing.
    sd = 0.4
    mean = times * sd * t.isf(0.05, max(dof, 1))
    draws = cluster_draws(5, 200, np.random.default_rng(4))
    shared = Shared(np.array([sd]), np.array([float(dof)]))
    found = differences(
        np.full((1, 5), mean), np.zeros(5), np.full(5, 0.2), np.arange(5), draws, 0.9, shared
    )
    assert found.established[0] == known
    assert found.lower[0] == pytest.approx(mean - sd * norm.isf(0.05))
    assert found.upper[0] == pytest.approx(mean + sd * norm.isf(0.05))


@pytest.mark.parametrize(("times", "known"), [(1.02, True), (0.98, False)])
def test_limits_of_two_clusters_are_quantiles_of_their_means(times, known):
    """They lie 2 apart, so draws of twenty have means in steps of a tenth: 5 % is the second."""
    draws = np.stack([np.arange(21), 20 - np.arange(21)], axis=1)
    # Student's t of one degree of freedom, and sqrt(2 / 1) for two clusters.
    mean = times * 0.9 * 6.313752 / 1.644854 * np.sqrt(2)
    shared = Shared(np.array([0.0]), np.array([10.0]))
    values = mean + np.array([[-1.0, 1.0]])
    found = differences(
        values, np.zeros(2), np.full(2, 0.5), np.arange(2), draws.astype(float), 0.9, shared
    )
    assert found.lower[0] == pytest.approx(mean - 0.9)
    assert found.upper[0] == pytest.approx(mean + 0.9)
    assert found.established[0] == known


def established(sets, split, rng):
    """Whether logarithms, and a wrong law, are told from least squares: without fits, and with."""
    entries = {(entry.law, entry.objective): entry for entry in loss_entries()}
    names = ("tied", "sse"), ("tied", "log_sse"), ("log_linear", "sse")
    trials = [try_losses(entries[name], split, sets, "yardstick") for name in names]
    redraws = redraws_of(sets, 0, "loss", 100)
    noise = redraws.noise([one.fitted for one in trials[0] if isinstance(one, Tried)])
    scores = [judge(one, redraws, noise) for one in trials]
    errors, again = (
        np.stack(column) for column in zip(*((s.errors, s.redrawn) for s in scores), strict=True)
    )
    at = [n[test] for n, test in zip(cell_numbers(sets), split.test, strict=True)]
    clusters = np.unique(np.concatenate(at), return_inverse=True)[1]
    weights = np.full(clusters.size, 1 / clusters.size)
    draws = cluster_draws(int(clusters.max()) + 1, 400, rng)
    shared = shared_noise(errors, again, 0, weights, clusters, np.full(3, noise.dof))
    return [
        differences(errors, errors[0], weights, clusters, draws, 0.9, one).established[1:]
        for one in (None, shared)
    ]


def test_equal_laws_are_told_apart_no_more_often_than_promised():
    # Runs scatter by 0.2 %. Least squares of the losses and of their logarithms expect the same
    # errors; that they are fitted to the same runs alone makes one of them better everywhere.
    exact = open_tables(tables(sigma=0.0)).runs
    split = next(split for split in make_splits(exact) if split.name == "N<=800k")
    told = []
    for seed in range(40):
        rng = np.random.default_rng([11, seed])
        sets = []
        for runs in exact:
            noise = 1 + 0.002 * rng.standard_normal(runs.params.size)
            sets.append(replace(runs, losses={"yardstick": runs.loss("yardstick") * noise}))
        told.append(established(sets, split, rng))
    (alone, _), (equal, wrong) = np.mean(told, axis=0)
    assert equal <= 0.1 < alone
    assert wrong > 0.9
