"""Steps of the search, and refits of pooled fits, against what they should be."""

from types import SimpleNamespace

import numpy as np
import pytest

from scalebed.fit import fit_law
from scalebed.fit.pooling.fit import fit_pooled, refit_pooled
from scalebed.fit.pooling.stacked import Points
from scalebed.fit.solvers.newton import _moved
from scalebed.laws import get_law

TIED = get_law("tied")
PARAMS = np.array([1.06e7, 7.9e7, 1.54e8, 4.12e8, 1.06e7, 7.9e7])
TOKENS = PARAMS * np.array([20, 20, 20, 20, 320, 80])


def test_a_step_stays_within_the_bounds_and_within_e_cubed():
    problem = SimpleNamespace(
        logarithmic=np.array([True, True, True, False, False]),
        lower=np.array([0.1, 0.1, 0.5, -1.0, -1.0]),
        upper=np.array([100.0, 5.0, 100.0, 1.0, 1.0]),
    )
    theta = np.array([[1.0, 1.0, 1.0, 0.5, 0.5]])
    step = np.array([[7.0, 7.0, -2.0, 0.25, -4.0]])
    # e^3 instead of e^7, the bound 5 below e^3, the bound 0.5 above e^-2; others are added.
    assert _moved(problem, theta, step)[0] == pytest.approx([np.exp(3), 5.0, 0.5, 0.75, -1.0])


def pooled_samples(rows):
    rng = np.random.default_rng(2)
    sets, samples = [], []
    for floor, alpha in ((1.5, 0.22), (1.8, 0.29)):
        y = TIED.value(np.array([floor, 130.0, 200.0, alpha]), (PARAMS, TOKENS))
        noise = np.exp(0.002 * rng.standard_normal((rows, y.size)))
        sets.append(Points((PARAMS, TOKENS), y))
        samples.append(Points((PARAMS, TOKENS), y * noise))
    return sets, samples


def test_refits_of_an_infinite_spread_are_fits_of_each_data_set_alone():
    sets, samples = pooled_samples(2)
    found = refit_pooled(fit_pooled(TIED, sets, ["alpha"], np.inf), samples)
    for s, points in enumerate(samples):
        for row in range(2):
            alone = fit_law(TIED, points.x, points.y[row])
            assert found[row, s] == pytest.approx(alone.theta, rel=1e-5)


def test_refits_keep_the_spread_of_the_fit():
    """A spread of 20 % draws the exponents together, and neither shares nor separates them.

    It counts in units of the exponents that a search starts from, which differ by a thousandth.
    """
    sets, samples = pooled_samples(2)
    found = refit_pooled(fit_pooled(TIED, sets, ["alpha"], 0.2), samples)
    for row in range(2):
        one = [Points(points.x, points.y[row]) for points in samples]
        single = fit_pooled(TIED, one, ["alpha"], 0.2)
        assert found[row, :, 3] == pytest.approx(single.theta[:, 3], rel=3e-3)
        assert 0.01 < np.ptp(found[row, :, 3]) < 0.05
