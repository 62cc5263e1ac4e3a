"""One fit over several data sets."""

from itertools import pairwise

import numpy as np
import pytest

from scalebed.core.errors import ScalebedError
from scalebed.fit import FitRefusedError, Options, fit_law
from scalebed.fit.pooling.fit import fit_ladder, fit_pooled, refit_pooled
from scalebed.fit.pooling.spread import SPREADS, choose_spread
from scalebed.fit.pooling.stacked import Points
from scalebed.laws import get_law

TIED = get_law("tied")
PARAMS = np.array([1.06e7, 7.9e7, 1.54e8, 4.12e8, 1.06e7])
TOKENS = PARAMS * np.array([20, 20, 20, 20, 320])
FLOORS, WEIGHTS = (1.5, 1.8, 1.7), ((120, 160), (170, 290), (125, 200))


def data(alphas, noise=0.0, seed=0):
    rng = np.random.default_rng(seed)
    sets = []
    for floor, (size, tokens), alpha in zip(FLOORS, WEIGHTS, alphas, strict=True):
        y = TIED.value(np.array([floor, size, tokens, alpha]), (PARAMS, TOKENS))
        sets.append(Points((PARAMS, TOKENS), y * np.exp(noise * rng.standard_normal(y.size))))
    return sets


@pytest.mark.parametrize("objective", ["sse", "log_sse", "huber_log"])
def test_a_shared_exponent_is_recovered(objective):
    fit = fit_pooled(TIED, data((0.26, 0.26, 0.26)), ["alpha"], 0.0, Options(objective))
    assert fit.theta[:, 3] == pytest.approx(0.26, rel=1e-6)
    assert fit.theta[:, 0] == pytest.approx(FLOORS, rel=1e-6)
    assert fit.theta[:, 1:3] == pytest.approx(np.array(WEIGHTS), rel=1e-5)
    assert fit.parameters == 10 and fit.gradient < 1e-6


def test_infinite_spread_gives_the_separate_fits():
    sets = data((0.24, 0.27, 0.26), 0.003)
    fit = fit_pooled(TIED, sets, ["alpha"], np.inf)
    for s, points in enumerate(sets):
        assert fit.theta[s] == pytest.approx(fit_law(TIED, *points).theta, rel=1e-6)


def test_a_small_spread_is_sharing():
    sets = data((0.24, 0.27, 0.26), 0.003)
    shared = fit_pooled(TIED, sets, ["alpha"], 0.0)
    close = fit_pooled(TIED, sets, ["alpha"], 1e-6)
    assert np.ptp(shared.theta[:, 3]) == pytest.approx(0, abs=1e-12)
    assert close.theta[:, 3] == pytest.approx(shared.theta[:, 3], rel=1e-5)


def test_the_shared_fit_is_the_optimum():
    sets = data((0.24, 0.27, 0.26), 0.01)
    fit = fit_pooled(TIED, sets, ["alpha"], 0.0)

    def best(alpha):
        total = 0.0
        for points in sets:
            held = fit_law(TIED, *points, Options(fixed={"alpha": float(alpha)}))
            total += float(np.sum(held.residuals**2))
        return total

    here = best(fit.theta[0, 3])
    for alpha in np.linspace(0.2, 0.35, 31):
        assert here <= best(alpha) * (1 + 1e-9)


def test_more_spread_never_fits_worse():
    sets = data((0.22, 0.29, 0.26), 0.01)
    fits = fit_ladder(TIED, sets, ["alpha", "E"], SPREADS, Options("log_sse"))
    objectives = [fit.objective for fit in fits]
    assert [fit.spread for fit in fits] == list(SPREADS)
    assert all(b <= a * (1 + 1e-9) for a, b in pairwise(objectives))


def test_cross_validation_shares_what_is_shared_and_separates_what_differs():
    same = choose_spread(TIED, data((0.26, 0.26, 0.26), 0.005), ["alpha"])
    assert same.spread == 0.0
    # Leaving out the one cell at another M leaves one ray, which says nothing of A and B.
    assert same.cells == 12
    params = np.tile(np.geomspace(1e7, 1e9, 5), 3)
    tokens = params * np.repeat([20, 80, 320], 5)
    wide = []
    for alpha in (0.15, 0.3, 0.6):
        y = TIED.value(np.array([1.7, 1e7**alpha, 2e8**alpha, alpha]), (params, tokens))
        noise = np.random.default_rng(4).standard_normal(y.size)
        wide.append(Points((params, tokens), y * np.exp(0.001 * noise)))
    assert choose_spread(TIED, wide, ["alpha"]).spread > 0.1


def test_refits_are_single_fits():
    sets = data((0.24, 0.27, 0.26), 0.003)
    fit = fit_pooled(TIED, sets, ["alpha"])
    rng = np.random.default_rng(2)
    samples = [
        Points(points.x, points.y * (1 + 0.005 * rng.standard_normal((6, 5)))) for points in sets
    ]
    found = refit_pooled(fit, samples)
    for row in range(6):
        one = [Points(points.x, points.y[row]) for points in samples]
        single = fit_pooled(TIED, one, ["alpha"])
        assert found[row] == pytest.approx(single.theta, rel=1e-6)


def test_impossible_pooling_is_named():
    sets = data((0.26, 0.26, 0.26))
    for names, used, message in (
        (["A"], sets, "'A' of law tied cannot be pooled, expected one of E, alpha"),
        (["beta"], sets, "'beta' of law tied cannot be pooled"),
        (["alpha"], sets[:1], "pooling needs two data sets or more, found 1"),
    ):
        with pytest.raises(ScalebedError, match=message):
            fit_pooled(TIED, used, names)
    few = [Points(tuple(c[:2] for c in points.x), points.y[:2]) for points in sets]
    with pytest.raises(FitRefusedError, match=r"one ray|fewer"):
        fit_pooled(TIED, few, ["alpha"])
