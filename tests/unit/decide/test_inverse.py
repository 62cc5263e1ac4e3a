import numpy as np
import pytest

from scalebed.decide.inverse import compute_for_params, compute_for_tokens
from scalebed.decide.optimum import at_compute
from scalebed.decide.surface import Surface
from scalebed.laws import get_law

TIED = Surface(
    get_law("tied", "loss"), np.array([[1.84, 166.0, 287.0, 0.273], [1.5, 113.0, 152.0, 0.242]])
)


def test_every_draw_has_the_compute_of_its_own_law():
    # Tied exponents: D / N is M* = (B / A)^(1 / alpha) at every compute.
    ratio = np.array([(287 / 166) ** (1 / 0.273), (152 / 113) ** (1 / 0.242)])
    assert compute_for_params(TIED, 1e9) == pytest.approx(6e18 * ratio, rel=1e-6)
    assert compute_for_tokens(TIED, 1e11) == pytest.approx(6e22 / ratio, rel=1e-6)


def test_it_takes_an_amount_a_draw():
    best = at_compute(TIED, np.array([1e20, 1e22]))
    assert compute_for_params(TIED, best.params) == pytest.approx([1e20, 1e22], rel=1e-6)
    assert compute_for_tokens(TIED, best.tokens) == pytest.approx([1e20, 1e22], rel=1e-6)


def test_repeated_data_make_an_amount_of_tokens_optimal_at_more_compute():
    short = Surface(TIED.law, TIED.theta, unique_tokens=1e10)
    best = at_compute(short, 1e22)
    assert np.all(best.tokens > 1e10)
    assert compute_for_tokens(short, best.tokens) == pytest.approx(1e22, rel=1e-5)
    assert np.all(compute_for_tokens(TIED, best.tokens) < 1e22)


def test_without_a_weight_nothing_is_optimal():
    flat = Surface(TIED.law, np.array([[1.84, 0.0, 287.0, 0.273]]))
    assert np.isnan(compute_for_params(flat, 1e9)).all()
    assert np.isnan(compute_for_tokens(flat, 1e11)).all()
