"""The posterior of the softly tied law, against dense matrices, a sampler and what must hold."""

import numpy as np
import pytest

from scalebed.fit.posterior import Beliefs, Draws, Points, Scatters, fit_posterior, known_scatter
from scalebed.fit.posterior import grid as posterior_grid
from scalebed.fit.posterior.boxes import closer
from scalebed.fit.posterior.centre import centre
from scalebed.fit.posterior.centre import middle as middle_law
from scalebed.fit.posterior.covariance import Products, covariances
from scalebed.fit.posterior.points import size_codes

TRUTH = (1.84, 166.0, 287.0, 0.273, 0.273)
SIZES = np.array([2e7, 8e7, 1.6e8, 4e8])


def law(params, tokens, theta=TRUTH):
    floor, size, data, alpha, beta = theta
    return floor + size * params**-alpha + data * tokens**-beta


def grid(sd=0.003, seed=0, sizes=SIZES, ratios=(20, 40, 80, 160)):
    draw = np.random.default_rng(seed)
    params = np.repeat(sizes, len(ratios))
    tokens = params * np.tile(ratios, len(sizes)).astype(float)
    return Points(
        params, tokens, law(params, tokens) * (1 + sd * draw.standard_normal(params.size))
    )


def dense(covariance, points, kinds):
    """The same covariance as a matrix; `kinds` are the groups from the coarsest."""
    result = covariance.own * np.eye(points.loss.size)
    parts = [
        *covariance.others[np.cumsum([0, *(k.max() + 1 for k in kinds[:-1])])[:-1]],
        covariance.fine,
    ]
    for codes, part in zip(kinds, parts, strict=False):
        result += part * (codes[:, None] == codes[None, :])
    sizes = points.sizes
    return result + covariance.size_share * (sizes[:, None] == sizes[None, :])


@pytest.mark.parametrize("kinds", [0, 1, 2])
def test_covariances_are_those_of_dense_matrices(kinds):
    draw = np.random.default_rng(3)
    params = np.repeat(SIZES, 6)
    design, run = np.repeat(np.arange(12), 2) // 2, np.repeat(np.arange(12), 2)
    points = Points(
        params, 20 * params, 3 + draw.random(24), (run, design)[2 - kinds :] if kinds else ()
    )
    columns = draw.standard_normal((24, 5))
    groups = points.shared
    assert [int(codes.max()) + 1 for codes in groups] == [[], [6], [6, 12]][kinds]
    total = 0.0
    for covariance in covariances(points, Beliefs()):
        matrix = dense(covariance, points, groups)
        np.testing.assert_allclose(np.diag(matrix), 1.0, rtol=1e-12)
        inverse = np.linalg.inv(matrix)
        sums = Products.of(covariance.groups, columns)
        np.testing.assert_allclose(covariance.gram(sums), columns.T @ inverse @ columns, rtol=1e-8)
        np.testing.assert_allclose(covariance.solve(columns), inverse @ columns, atol=1e-7)
        assert covariance.log_determinant == pytest.approx(np.linalg.slogdet(matrix)[1], abs=1e-7)
        total += np.exp(covariance.log_prior)
    assert total == pytest.approx(1.0)


def sampled(points, beliefs, at, steps=6000, walkers=100):
    """Predictions by a random walk over all parameters, which knows nothing of grids."""
    draw = np.random.default_rng(1)
    middle = np.exp(np.log(points.params).mean()), np.exp(np.log(points.tokens).mean())

    def value(state, params, tokens):
        floor, size, data, alpha, tie, _ = state.T[..., None]
        beta = alpha * np.exp(tie)
        return floor + size * (params / middle[0]) ** -alpha + data * (tokens / middle[1]) ** -beta

    def density(state):
        floor, size, data, alpha, tie, scatter = state.T
        rest = 1 - value(state, points.params, points.tokens) / points.loss
        # Normal densities but for their constants; SciPy's takes most of the time of such a walk.
        found = -0.5 * np.sum((rest * np.exp(-scatter)[:, None]) ** 2, axis=1)
        found -= points.loss.size * scatter
        found -= 0.5 * ((alpha - beliefs.alpha) / beliefs.alpha_sd) ** 2
        found -= 0.5 * (tie / beliefs.tie_sd) ** 2
        found -= 0.5 * ((scatter - np.log(beliefs.scatter)) / beliefs.scatter_sd) ** 2
        beta = alpha * np.exp(tie)
        inside = (floor >= 0) & (size >= 0) & (data >= 0) & (np.minimum(alpha, beta) > 0.02)
        return np.where(inside & (np.maximum(alpha, beta) < 1.2), found, -np.inf)

    state = np.array([1.5, 0.8, 0.5, 0.3, 0.0, -5.0]) + 0.05 * draw.standard_normal((walkers, 6))
    now, kept, half = density(state), [], walkers // 2
    for step in range(steps):
        # Stretch moves of one half towards walkers of the other (Goodman and Weare 2010).
        for mine, other in (
            (slice(None, half), slice(half, None)),
            (slice(half, None), slice(None, half)),
        ):
            stretch = (draw.random(half) + 1) ** 2 / 2
            partner = state[other][draw.integers(half, size=half)]
            trial = partner + stretch[:, None] * (state[mine] - partner)
            new = density(trial)
            moved = np.log(draw.random(half)) < 5 * np.log(stretch) + new - now[mine]
            state[mine] = np.where(moved[:, None], trial, state[mine])
            now[mine] = np.where(moved, new, now[mine])
        if step > steps // 3 and step % 10 == 0:
            kept.append(state.copy())
    state = np.concatenate(kept)
    return value(state, *at), state


@pytest.mark.parametrize("floor", [1.84, 0.0])
def test_draws_are_those_of_a_random_walk_over_all_parameters(floor):
    """With a floor of 0 the limit of E takes part."""
    plain = Beliefs(single=1.0, shared=())
    draw = np.random.default_rng(2)
    params = np.array([2e7, 8e7, 1.6e8, 4e8, 2e7, 8e7])
    tokens = params * np.array([20, 20, 20, 20, 320, 100])
    loss = law(params, tokens, (floor, *TRUTH[1:])) * (1 + 0.004 * draw.standard_normal(6))
    points = Points(params, tokens, loss)
    at = np.array([2e9, 7e9]), np.array([4e10, 1.4e11])
    wanted, state = sampled(points, plain, at)
    draws = Draws.of(fit_posterior(points, plain), 20_000, np.random.default_rng(0))
    mine = law(*at, tuple(draws.theta.T[..., None]))
    levels = (0.05, 0.25, 0.5, 0.75, 0.95)
    spread = np.quantile(wanted, 0.95, axis=0) - np.quantile(wanted, 0.05, axis=0)
    off = (np.quantile(mine, levels, axis=0) - np.quantile(wanted, levels, axis=0)) / spread
    assert np.abs(off).max() < 0.04
    logs = np.quantile(np.log(draws.scatter), levels) - np.quantile(state[:, 5], levels)
    assert np.abs(logs).max() < 0.06
    assert draws.theta.min() >= 0


def test_the_grid_stays_where_it_has_settled(monkeypatch):
    """Limits that come back the same but for rounding are no reason to compute it again."""
    boxes, stage = [], posterior_grid._stage
    monkeypatch.setattr(
        posterior_grid, "_stage", lambda *words: boxes.append(words[-1]) or stage(*words)
    )
    params = np.array([2e7, 8e7, 1.6e8, 4e8, 2e7, 8e7])
    tokens = params * np.array([20, 20, 20, 20, 320, 100])
    off = 0.004 * np.random.default_rng(2).standard_normal(6)
    found = fit_posterior(Points(params, tokens, law(params, tokens) * (1 + off)))
    assert len(boxes) < 8
    again = closer(found.mass.sum(0), found.alpha, found.beta, boxes[-1])
    assert again.is_near(boxes[-1]) and not again.is_near(boxes[0])


def width(points, groups=(), at=(2e9, 4e10), beliefs=None):
    points = Points(points.params, points.tokens, points.loss, groups)
    draws = Draws.of(fit_posterior(points, beliefs), 4000, np.random.default_rng(0))
    new = Points(*np.array(at)[:, None], np.ones(1))
    normal = np.random.default_rng(1).standard_normal((4000, 1))
    value = law(*np.array(at)[:, None], tuple(draws.theta.T[..., None]))
    low, high = np.quantile(value * (1 + draws.deviations(new, normal)), (0.05, 0.95))
    return high - low


def test_seeds_of_one_design_do_not_make_its_law_more_certain():
    """Their mean is one run with less noise of its own: five seeds may narrow a little, no more."""
    draw = np.random.default_rng(4)
    params = np.array([2e7, 8e7, 1.6e8, 4e8, 2e7])
    tokens = params * np.array([20, 20, 20, 20, 320])
    off = 0.008 * draw.standard_normal(5)
    design = np.repeat(np.arange(5), 5)
    own = 0.003 * draw.standard_normal(25)
    own -= np.repeat(own.reshape(5, 5).mean(1), 5)
    means = Points(params, tokens, law(params, tokens) * (1 + off))
    seeds = Points(
        params[design], tokens[design], law(params, tokens)[design] * (1 + off[design] + own)
    )
    assert width(seeds, (design,)) > 0.9 * width(means)
    # Taken for 25 independent runs they would be believed far more.
    assert width(seeds, beliefs=Beliefs(single=1.0, shared=())) < 0.75 * width(means)


def test_runs_that_share_their_size_s_luck_widen_the_interval():
    alike = grid(sd=0.003)
    luck = np.repeat([0.012, -0.012, 0.012, -0.012], 4)
    shared = Points(alike.params, alike.tokens, alike.loss * (1 + luck))
    assert width(shared) > 2 * width(alike)


def test_a_new_run_of_a_known_size_shares_what_that_size_shares():
    alike = grid(sd=0.001, sizes=np.array([2e7, 4e7, 8e7, 1.6e8, 3.2e8, 6.4e8]))
    luck = np.repeat([0.0, 0.0, 0.02, 0.0, 0.0, 0.0], 4)
    points = Points(alike.params, alike.tokens, alike.loss * (1 + luck))
    draws = Draws.of(fit_posterior(points), 2000, np.random.default_rng(0))
    new = Points(np.array([8e7, 1e8]), np.array([8e9, 1e10]), np.ones(2))
    found = draws.deviations(new, np.random.default_rng(1).standard_normal((2000, 2)))
    assert np.median(found[:, 0]) > 0.008
    assert abs(np.median(found[:, 1])) < 0.002
    assert np.std(found[:, 0]) < np.std(found[:, 1])


def test_the_grid_closes_in_however_sharp_the_posterior_is():
    many = grid(sd=1e-4, sizes=np.geomspace(1e7, 1e9, 12), ratios=np.geomspace(10, 500, 12))
    posterior = fit_posterior(many, Beliefs(single=1.0, shared=()))
    assert posterior.nodes > 100
    assert posterior.edge == 0
    found = middle_law(posterior)
    assert found[3] == pytest.approx(TRUTH[3], abs=0.004)
    assert found[4] == pytest.approx(TRUTH[4], abs=0.004)
    fit = centre(posterior)
    assert fit.rmse < 1.2e-4 * many.loss.mean()
    assert fit.certificate.degrees_of_freedom == 144 - 5


def test_the_law_that_is_shown_predicts_what_the_draws_do_in_the_middle():
    few = grid(sd=0.008, ratios=(20,), sizes=np.array([2e7, 8e7, 1.6e8, 4e8, 5e8]))
    posterior = fit_posterior(few)
    fit, draws = centre(posterior), Draws.of(posterior, 4000, np.random.default_rng(1))
    far = np.array([4e8, 7e9]), np.array([8e9, 1.4e11])
    low, middle, high = np.quantile(fit.law.value(draws.theta, far), (0.05, 0.5, 0.95), axis=0)
    off = np.abs(fit.law.value(fit.theta, far) - middle) / (high - low)
    assert off.max() < 0.1


def test_the_scatter_of_another_data_set_counts_as_much_as_it_knows():
    at = np.linspace(np.log(1e-4), np.log(0.1), 300)
    alone = known_scatter(Beliefs())(at)
    assert at[alone.argmax()] == pytest.approx(np.log(0.008), abs=0.03)
    sure = Scatters(at, -0.5 * ((at - np.log(0.002)) / 0.02) ** 2)
    unsure = Scatters(np.array([np.log(1e-5), np.log(0.5)]), np.zeros(2))
    alike = Beliefs(between_sd=0.05)
    assert at[known_scatter(alike, [sure])(at).argmax()] == pytest.approx(np.log(0.002), abs=0.06)
    peak = known_scatter(Beliefs(), [unsure])(at)
    assert at[peak.argmax()] == pytest.approx(np.log(0.008), abs=0.05)


def test_sizes_that_differ_by_rounding_are_one():
    known, new = size_codes(np.array([1e8, 1.02e8, 3e8, 9.9e7]), np.array([1.01e8, 2e9, 2.9e8]))
    np.testing.assert_array_equal(known, [0, 0, 1, 0])
    np.testing.assert_array_equal(new, [0, 5, 1])
