"""What laws derive, refuse and begin from, against values worked out by hand."""

import numpy as np
import pytest

from scalebed.laws import get_law
from scalebed.laws.farseer import _exponent
from scalebed.laws.forms.linear import moments, solve

CHINCHILLA = get_law("chinchilla")
X = np.array([1e7, 1e8, 1e9] * 2), np.array([1e9, 4e9, 2e10, 8e9, 2e9, 5e9])


def test_the_exponent_of_the_best_size():
    # Hoffmann et al., arXiv 2203.15556, approach 3: 0.28 / (0.34 + 0.28).
    theta = np.array([1.69, 406.4, 410.7, 0.34, 0.28])
    assert CHINCHILLA.derive(theta) == pytest.approx([0.28 / 0.62])


@pytest.mark.parametrize(
    ("column", "at", "value", "words"),
    [
        (0, 2, -5.0, "params of point 3 is -5, expected above 0"),
        (1, 0, 0.0, "tokens of point 1 is 0, expected above 0"),
        (2, 5, -1.0, "loss of point 6 is -1, expected above 0"),
        (2, 1, np.nan, "loss of point 2 is nan, expected a finite number"),
    ],
)
def test_values_are_refused_by_name_and_place(column, at, value, words):
    columns = [one.copy() for one in (*X, np.linspace(3.0, 2.0, 6))]
    columns[column][at] = value
    assert CHINCHILLA.refusal(tuple(columns[:2]), columns[2]) == words


def test_designs_are_refused_where_values_are_not():
    y = np.linspace(3.0, 2.0, 6)
    assert CHINCHILLA.refusal(X, y) is None
    assert CHINCHILLA.refusal(X, np.full(6, 3.0)).startswith("constant loss")
    ray = X[0] * np.linspace(1, 1.1, 6)
    assert CHINCHILLA.refusal((ray, 20 * ray), y).startswith("one ray of M")
    few = np.array([1e7, 1e9] * 3)
    assert CHINCHILLA.refusal((few, X[1]), y).startswith("2 distinct N, at least 3 needed")


@pytest.mark.parametrize("exponent", [0.02, 0.3, 1.1, 2.5])
def test_the_data_exponent_of_one_size_is_found_within_its_range(exponent):
    v = np.linspace(0.0, 3.0, 8)
    y = 1.7 + 0.8 * np.exp(-exponent * v)
    assert np.exp(_exponent(v, y, np.ones(8))) == pytest.approx(exponent, rel=1e-3)


def test_an_exponent_beyond_the_range_ends_at_three():
    v = np.linspace(0.0, 3.0, 8)
    found = _exponent(v, 1.7 + 0.8 * np.exp(-5 * v), np.ones(8))
    assert found == pytest.approx(np.log(3.0))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.8, 0.9, 0.97])
def test_a_search_for_kaplans_law_begins_at_many_shares_of_the_floor(share):
    """The least loss above the floor is (1/4 + 1/4)^1.5, with N_c = D_c = 1 and exponents 1.5."""
    x = tuple(grid.ravel() for grid in np.meshgrid([1.0, 2.0, 4.0], [1.0, 2.0, 4.0]))
    truth = np.array([share / (1 - share) * 0.5**1.5, 1.0, 1.0, 1.5, 1.5])
    law = get_law("kaplan")
    found = law.starts(x, law.value(truth, x), np.ones(9))
    assert found[0] == pytest.approx(truth, rel=1e-6, abs=1e-9)


def test_a_search_for_the_law_of_minus_log_q_begins_with_weights_that_fit():
    """The exponents are ends of its grid; A and B are told apart by their own exponent."""
    x = (
        *(grid.ravel() for grid in np.meshgrid([1.0, 2.0, 4.0], [1.0, 2.0, 4.0])),
        np.full(9, 0.75),
    )
    truth = np.array([1.5, 0.5, 3.0, 0.01])
    law = get_law("neglog")
    found = law.starts(x, law.value(truth, x), np.ones(9))
    assert found[0] == pytest.approx(truth, rel=1e-6)


@pytest.mark.parametrize("problems", [8, 9])
def test_a_bounded_fit_says_which_of_its_numbers_are_free(problems):
    """Values at x of 0 and 1, twice each, and intercepts up to 1.

    Those of 0 and 1 are on the line of intercept 0 and slope 1; 1 and 0 want a slope below 0 and
    get their mean; 3 and 4 want an intercept of 3, get 1, and the slope 3 leads through the 4.
    """
    x = np.array([0.0, 1.0, 0.0, 1.0])
    y = np.array([[0.0, 1.0] * 2, [1.0, 0.0] * 2, [3.0, 4.0] * 2] * 3)[:problems]
    found = solve(moments(x[None, None, :, None], y), 0.0, 1.0)
    first = [column[:3, 0].tolist() for column in (found.intercept, found.slopes[0], found.rss)]
    assert first == [
        pytest.approx([0.0, 0.5, 1.0]),
        pytest.approx([1.0, 0.0, 3.0]),
        [0.0, 1.0, 8.0],
    ]
    kinds = problems // 3 + 1
    assert found.free_intercept[:, 0].tolist() == ([True, True, False] * kinds)[:problems]
    assert found.free_slopes[0][:, 0].tolist() == ([True, False, True] * kinds)[:problems]


@pytest.mark.parametrize("problems", [8, 9])
def test_each_of_two_slopes_is_free_or_not(problems):
    """Of two columns the first, the second, both or none has a slope above 0."""
    x, z = np.array([0.0, 1.0, 0.0, 1.0]), np.array([0.0, 0.0, 1.0, 1.0])
    kinds = [2 + x - z, 2 + z - x, 2 + x + z, 2 - x - z]
    y = np.array(kinds * 3)[:problems]
    found = solve(moments(np.stack([x, z], 1)[None, None], y), 0.0, 9.0)
    expected = np.array([[True, False], [False, True], [True, True], [False, False]] * 3)[:problems]
    assert np.stack(found.free_slopes, -1)[:, 0].tolist() == expected.tolist()
    # What is not free is zero; what is has the slope 1, as x and z are uncorrelated.
    assert np.stack(found.slopes, -1)[:, 0] == pytest.approx(expected.astype(float))


@pytest.mark.parametrize("part", [0.03, 0.1, 0.25, 0.5, 0.75])
def test_a_sigmoid_with_a_top_and_exponent_of_the_grid_is_among_the_starts(part):
    """Tops lie so far from the largest error to 1; there the log odds are linear in the rest."""
    law = get_law("sigmoid_tied")
    x = np.array([1.0, 2, 4, 8, 16, 3]), np.array([9.0, 1, 30, 5, 2, 14])
    alpha = np.geomspace(0.01, 3.0, 32)[24]
    odds = -1.5 + 2 * x[0] ** -alpha + 1.2 * x[1] ** -alpha
    # top = low + part (1 - low), where low is the largest error, top / (1 + exp(-odds)).
    share = 1 / (1 + np.exp(-odds))
    top = part / (1 - (1 - part) * share.max())
    bottom = top / (1 + np.exp(1.5))
    truth = [bottom, (top - bottom) / (1 - bottom), 2.0, 1.2, alpha]
    assert law.value(np.array(truth), x) == pytest.approx(top * share)
    starts = law.starts(x, top * share, np.ones(6))
    assert np.abs(starts / truth - 1).max(axis=1).min() < 1e-9
