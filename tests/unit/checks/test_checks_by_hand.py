"""Intervals, contrasts and rank tests against values worked out by hand or in another way."""

from itertools import permutations
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import norm

from scalebed.checks.calibration.held_out import Evaluation
from scalebed.checks.contrasts import compare
from scalebed.checks.contrasts.joint import Joined
from scalebed.checks.contrasts.laws import Fitted
from scalebed.checks.intervals import Design, Problem, get_method
from scalebed.checks.intervals.conformal import upper_quantile
from scalebed.checks.reliability.evidence import Stratum, _pairs, trend
from scalebed.fit.options import Options
from scalebed.laws import get_law
from scalebed.predict.scatter import Sigma

TIED, THETA = get_law("tied"), np.array([1.84, 166.0, 287.0, 0.273])
TARGETS = (np.array([1.4e9, 6.9e9]), np.array([2.8e10, 1.4e11]))


def case(count, **changes):
    """A problem of `count` points, two of each model size, 1 % about the law."""
    N = np.repeat(np.geomspace(1e7, 4e8, count // 2), 2)
    x = N, N * np.tile([20.0, 160.0], count // 2)
    noise = np.random.default_rng(5).standard_normal(count)
    return Problem(TIED, x, TIED.predict(THETA, x) * (1 + 0.01 * noise), TARGETS, **changes)


@pytest.mark.parametrize(
    ("count", "level", "rank"),
    # ceil((n + 1) level): 9.9, 9, 19 and 19.95; the last is more than there are.
    [(10, 0.9, 10), (9, 0.9, 9), (19, 0.95, 19), (20, 0.95, 20), (18, 0.95, 18)],
)
def test_the_quantile_of_scores_counts_the_new_run(count, level, rank):
    scores = np.random.default_rng(0).permutation(np.arange(1.0, count + 1))
    assert upper_quantile(scores, level) == rank


def test_residuals_are_centred_and_enlarged_by_the_root_of_n_over_n_less_p():
    """Of 8 points and 4 parameters: the root of 2."""
    problem = case(8, draws=60)
    found = get_method("residual").interval(problem)
    drawn = found.draws / TIED.predict(found.theta, TARGETS) - 1
    relative = problem.y / problem.fit.fitted - 1
    enlarged = np.sort((relative - relative.mean()) * 2**0.5)
    nearest = enlarged[np.abs(drawn[..., None] - enlarged).argmin(-1)]
    np.testing.assert_allclose(drawn, nearest, atol=1e-9)
    assert np.unique(nearest).size == 8


def test_cv_plus_takes_the_ranks_of_barber_and_others():
    """With E alone free, leaving a size out is a mean: of 10 runs at 80 % ranks 2 and 9 count."""
    fixed = dict(zip(("A", "B", "alpha"), THETA[1:].tolist(), strict=True))
    problem = case(10, level=0.8, options=Options("sse", fixed=fixed))
    known = TIED.predict(np.array([0.0, *THETA[1:]]), problem.x)
    ahead = TIED.predict(np.array([0.0, *THETA[1:]]), TARGETS)
    lows, highs = [], []
    for i in range(10):
        others = problem.x[0] != problem.x[0][i]
        floor = np.mean((problem.y - known)[others])
        error = abs(problem.y[i] - floor - known[i]) / (floor + known[i])
        lows.append((floor + ahead) * (1 - error))
        highs.append((floor + ahead) * (1 + error))
    found = get_method("cv_plus").interval(problem)
    assert found.lower == pytest.approx(np.sort(lows, 0)[1], rel=1e-7)
    assert found.upper == pytest.approx(np.sort(highs, 0)[8], rel=1e-7)


def test_a_tie_is_half_a_win():
    assert compare._share(np.array([0.2, 0.0, -0.1, 0.0])) == 0.5
    assert compare._share(np.array([0.2, 0.1, 0.3, 0.0])) == 0.875


def test_single_runs_scatter_in_proportion_to_a_loss_and_absolutely_about_an_error():
    law = Fitted(None, None, 0.01, "")
    values = np.array([9.0, 2.0, 3.0, 4.0])
    loss = compare._scatter(SimpleNamespace(last=law, error=None), values)
    assert loss == pytest.approx([0.02, 0.03, 0.04])
    assert compare._scatter(SimpleNamespace(last=law, error=law), values) == 0.01
    unknown = SimpleNamespace(last=Fitted(None, None, np.nan, ""), error=None)
    assert compare._scatter(unknown, values) is None


def test_numbers_of_a_contrast(monkeypatch):
    """The fits are .5 apart, the draws .5, -.25, 0 and .25; tails of 25 % lie between those."""
    sides = [
        SimpleNamespace(last=SimpleNamespace(theta=np.zeros((5, 1))), values=lambda *at, v=v: v)
        for v in (np.full(5, 2.0), np.array([2.5, 2.5, 1.75, 2.0, 2.25]))
    ]
    for side in sides:
        side.first = lambda count, side=side: side
    factor = np.array([3.0, 1.0, 4.0, np.inf, 2.0])
    normal = {
        id(sides[0]): np.array([1.0, 0.0, 0.0, 0.0]),
        id(sides[1]): np.array([0.0, 0.625, -0.3125, -0.3125]),
    }
    pair = Joined(*sides, np.full(4, 0.6), 7, 0.3)
    monkeypatch.setattr(compare, "joined", lambda *given: pair)
    monkeypatch.setattr(compare, "_scatter", lambda side, values: np.ones(4))
    monkeypatch.setattr(compare, "_normal", lambda side, *given: normal[id(side)])
    monkeypatch.setattr(compare, "multiplier", lambda *given: factor)
    monkeypatch.setattr(compare, "_largest", lambda side: 40.0 if side is sides[0] else 25.0)
    row = {"tokens": 20.0, "params": 1.0, "flops": 100.0, "level": 0.5}
    found = compare._numbers(*sides, row, 0)
    expected = {"predicted_a": 2.0, "predicted_b": 2.5, "difference": 0.5, "multiplier": 3.0}
    limits = {"difference_lower": -0.0625, "difference_upper": 0.3125}
    # Of 1, 2, 4 and no end the first with a quarter and with three quarters up to it.
    factors = {"multiplier_lower": 1.0, "multiplier_upper": 4.0}
    # New runs of b lie .6 and .8 of both normals off, .6, .5, -.25 and -.25; less those of a and
    # with the draws that is .1, .25, -.25 and 0.
    shares = {"p_better": 0.625, "p_better_run": 0.625, "draws": 4, "reach": 4.0}
    known = {"matched": 7, "correlation": 0.3}
    assert found == pytest.approx(expected | limits | factors | shares | known)


TIES = (np.array([1, 1, 2, 3, 4.0]), np.array([1, 2, 2, 3, 3.0]))
LARGER = (np.array([1, 1, 1, 2, 2, 3.0]), np.array([2, 1, 2, 2, 3, 3.0]))


def counted(x, y):
    """Concordant less discordant pairs."""
    pairs = [(i, j) for i in range(len(x)) for j in range(i)]
    return sum(np.sign((x[i] - x[j]) * (y[i] - y[j])) for i, j in pairs)


@pytest.mark.parametrize("sample", [TIES, LARGER], ids=["5", "6"])
def test_the_variance_of_pairs_with_ties_is_that_over_all_orders(sample):
    x, y = sample
    every = [counted(x, order) for order in permutations(y)]
    total, variance, scale = _pairs(x, y)
    assert total == counted(x, y)
    assert variance == pytest.approx(np.mean(np.square(every)))
    # The largest count: all pairs apart in x, times all apart in y, under the root.
    assert scale == pytest.approx({5: (9 * 8) ** 0.5, 6: (11 * 11) ** 0.5}[x.size])


def test_strata_add_their_pairs_and_variances():
    strata = [Stratum(*sample, np.zeros(sample[0].size)) for sample in (TIES, LARGER)]
    total = sum(counted(*sample) for sample in (TIES, LARGER))
    squares = [
        np.mean([counted(x, order) ** 2 for order in permutations(y)]) for x, y in (TIES, LARGER)
    ]
    found = trend(strata)
    assert found.rising == pytest.approx(norm.sf((total - 1) / sum(squares) ** 0.5))
    assert found.falling == pytest.approx(norm.cdf((total + 1) / sum(squares) ** 0.5))
    assert found.tau == pytest.approx(total / (72**0.5 + 11))


def test_branches_of_one_run_are_simulated_with_what_they_share(monkeypatch):
    """All of it or nothing; of the points 1 and 2, 3 to 5 and 6 to 8 come from a run each."""
    drawn, refit = [], Problem.refit
    monkeypatch.setattr(Problem, "refit", lambda self, y: drawn.append(y) or refit(self, y))
    runs = np.array([7, 7, 2, 2, 2, 4, 4, 4])
    for shared in (1.0, 0.0):
        sigma = Sigma(0.01, 1e6, "elsewhere", shared=shared)
        problem = case(8, draws=50, clusters=runs, sigma=sigma)
        get_method("parametric").interval(problem)
        off = drawn[-1] / problem.fit.fitted
        alike = np.isclose(off[:, :, None], off[:, None, :], rtol=1e-9, atol=0)
        together = runs[:, None] == runs if shared else np.eye(8, dtype=bool)
        np.testing.assert_array_equal(alike.all(0), together)
        np.testing.assert_array_equal(alike.any(0), together)


def test_a_chain_is_as_good_as_the_worse_of_its_laws():
    """The residual bootstrap asks for 30 degrees of freedom, and 6 are not few."""
    enough, fewer = Design(points=40, parameters=4), Design(points=20, parameters=3)

    def status(name, loss, error):
        chained = Evaluation((), None)
        chained._problems[0] = SimpleNamespace(design=loss)
        return chained._chained_status(name, 0, SimpleNamespace(design=error))

    refused = "not valid: the residual bootstrap needs 30 degrees of freedom, the fit leaves 17"
    assert status("residual", enough, enough) == "valid"
    assert status("residual", enough, fewer) == status("residual", fewer, enough) == refused
