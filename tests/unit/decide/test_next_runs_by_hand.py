"""What is said of the next runs, and what their choice rests on, worked out by hand."""

from types import SimpleNamespace

import numpy as np
import pytest

from scalebed.decide import decision, page
from scalebed.decide.curve import Curve
from scalebed.decide.regret import sizes_around, valley
from scalebed.decide.suggest import suggestion as suggesting
from scalebed.decide.suggest.designs import Limits, Run
from scalebed.decide.suggest.greedy import SHARED, tamed
from scalebed.decide.suggest.page import _name
from scalebed.decide.suggest.suggestion import Wanted, shared_part, suggestion
from scalebed.laws import get_law


@pytest.mark.parametrize("following", [None, SimpleNamespace(steps=(), widths=np.array([0.01]))])
def test_without_a_run_that_narrows_anything_the_answer_itself_is_next(following):
    decision = SimpleNamespace(curve=SimpleNamespace(params=np.array([1e8])), following=following)
    (said,) = page._next(decision, None)
    assert said.startswith("The run itself: no run of a tenth of its cost narrows")


def test_far_values_are_drawn_in_to_four_robust_deviations():
    """Medians 0 and 10, medians of the distances from them 1 and 2, times 1.4826 times 4."""
    columns = [-100.0, -5.0, -1.0, 0.0, 1.0, 0.5, 5.9], [30.0, 8.0, 10.0, 21.8, 12.0, 9.0, -2.0]
    found = tamed(np.array(columns).T)
    assert np.median(np.abs(columns[0])) == 1 and np.median(np.abs(np.array(columns[1]) - 10)) == 2
    assert found[:, 0] == pytest.approx([-5.9304, -5.0, -1.0, 0.0, 1.0, 0.5, 5.9])
    assert found[:, 1] == pytest.approx([21.8608, 8.0, 10.0, 21.8, 12.0, 9.0, -1.8608])


@pytest.mark.parametrize(
    ("unique", "name"),
    [
        (2e9, "N 100M, D 2B (M 20)"),
        # A thousandth less is no repetition.
        (1.998e9, "N 100M, D 2B (M 20)"),
        (1.997e9, "N 100M, D 2B (M 20), 2B unique"),
        (5e8, "N 100M, D 2B (M 20), 500M unique"),
    ],
)
def test_a_run_is_named_with_its_unique_tokens_where_it_repeats_some(unique, name):
    assert _name(Run(1e8, 2e9, unique)) == name


def spread_of(*off, sigma=0.01):
    """Share of cells of two runs each that lie so far from their mean, in logarithms."""
    params = np.repeat(1e8 * 4.0 ** np.arange(len(off)), 2)
    both = np.ravel([(one, -one) for one in off])
    law = SimpleNamespace(inputs=("params", "tokens"), value=lambda theta, x: np.full(x[0].size, 3))
    return shared_part(
        SimpleNamespace(
            **{"params": params, "tokens": 20 * params, "unique_tokens": 20 * params},
            **{"loss": 3 * np.exp(both), "law": law, "middle": None, "sigma": sigma},
        )
    )


def test_the_shared_part_is_what_repeats_leave_of_the_variance():
    """A pair that lies d off its mean on either side has the variance 2 d^2, of sigma^2 = 1e-4."""
    assert spread_of(0.005, 0.005, 0.005) == pytest.approx(1 - 0.5)
    # (2 * 9 + 2 * 16 + 2 * 1) / 3 of 1e-6.
    assert spread_of(0.003, 0.004, 0.001) == pytest.approx(1 - 0.52 / 3)
    assert spread_of(0.0, 0.0, 0.0) == 0.99
    assert spread_of(0.02, 0.02, 0.02) == 0.0
    # Two cells with repeats are too few, and so is a scatter that is not known.
    assert spread_of(0.0, 0.0) == spread_of(0.0, 0.0, 0.0, sigma=None) == SHARED


def asked_after(monkeypatch, unique):
    """What is asked of the suggestion after a run of 1e9 parameters and 2e10 tokens."""
    asked = []
    monkeypatch.setattr(decision, "suggestion", lambda curve, wanted: asked.append(wanted))
    question = SimpleNamespace(unique_tokens=unique)
    answer = SimpleNamespace(params=1e9, tokens=2e10, flops=1.2e20, question=question)
    decision._following(SimpleNamespace(drawn=True, params=np.array([1e8])), answer)
    return asked[0]


@pytest.mark.parametrize(("unique", "own"), [(None, 2e10), (5e9, 5e9), (3e10, 2e10)])
def test_the_law_is_narrowed_at_the_answer_with_the_tokens_that_there_are(monkeypatch, unique, own):
    """Of 2e10 tokens at most as many are different as there are; a run costs at most a tenth."""
    wanted = asked_after(monkeypatch, unique)
    assert wanted.targets == (Run(1e9, 2e10, own),)
    assert (wanted.limits.most, wanted.limits.unique_tokens) == (pytest.approx(1.2e19), unique)


def test_runs_that_are_suggested_count_as_made_for_those_after_them(monkeypatch):
    """One cell may be run, and was once: there are 1, 2 and 3 of it before each of three more.

    Its runs are independent here, so that more of them go on narrowing the law.
    """
    monkeypatch.setattr(suggesting, "shared_part", lambda curve: 0.0)
    law = get_law("chinchilla", "loss")
    params = np.array([2e7, 8e7, 4e8, 4e8])
    tokens = params * np.array([20, 40, 20, 80])
    theta = np.array([1.7, 400.0, 400.0, 0.34, 0.34])
    draws = theta * np.exp(0.02 * np.random.default_rng(0).standard_normal((400, 5)))
    loss = law.value(theta, (params, tokens))
    curve = Curve(
        **{"source": "runs.csv", "dataset": "all", "response": "loss", "law": law, "theta": draws},
        **{"middle": theta, "params": params, "tokens": tokens, "unique_tokens": tokens},
        **{"loss": loss, "sigma": 0.05, "level": 0.9, "numbers": "found", "evidence": None},
        ask=lambda targets: [],
    )
    only = Limits(sizes=(4e8,), multipliers=(80.0,))
    found = suggestion(curve, Wanted((Run(7e9, 1.4e11, 1.4e11),), count=3, limits=only))
    assert [step.run for step in found.steps] == [Run(4e8, 3.2e10, 3.2e10)] * 3
    assert [step.made for step in found.steps] == [1, 2, 3]


@pytest.mark.parametrize(("level", "half"), [(0.8, 0.04), (0.5, 0.025)])
def test_widths_are_those_of_the_draws_at_the_level(monkeypatch, level, half):
    """Logarithms of the loss from -5 % to 5 % at the target; two laws are one set of draws."""
    even = np.linspace(-0.05, 0.05, 1001)
    monkeypatch.setattr(suggesting, "_drawn", lambda one, runs: np.tile(one, (len(runs), 1)).T)
    monkeypatch.setattr(suggesting, "rivals", lambda curve, seed: [even[::2], even[1::2]])
    law = get_law("chinchilla", "loss")
    params = np.array([2e7, 8e7, 4e8, 4e8])
    tokens = params * np.array([20, 40, 20, 80])
    theta = np.array([1.7, 400.0, 400.0, 0.34, 0.34])
    curve = Curve(
        **{"source": "runs.csv", "dataset": "all", "response": "loss", "law": law},
        **{"theta": np.tile(theta, (9, 1)), "middle": theta, "params": params, "tokens": tokens},
        **{"unique_tokens": tokens, "loss": law.value(theta, (params, tokens)), "sigma": 0.05},
        **{"level": level, "numbers": "found", "evidence": None},
        ask=lambda targets: [],
    )
    found = suggestion(curve, Wanted((Run(7e9, 1.4e11, 1.4e11),), count=1))
    assert found.widths == pytest.approx([half])
    # A run lies as many standard deviations off as the law at the target.
    assert found.scatter == pytest.approx(half / np.std(even) * 0.05, rel=2e-3)


def test_a_floor_is_low_in_a_tenth_of_the_draws_and_high_in_a_tenth():
    """Floors 0 to 10: low are 0 and 1, high 9 and 10; of their best N the middle."""
    floor = np.arange(11.0)
    params = 1e8 * np.array([2, 4, 9, 9, 9, 9, 9, 9, 9, 30, 10])
    order = np.random.default_rng(0).permutation(11)
    curve = SimpleNamespace(drawn=True, law=get_law("chinchilla"))
    surface = SimpleNamespace(theta=np.column_stack([floor, *[np.ones(11)] * 4])[order])
    best = SimpleNamespace(params=params[order])
    found = decision._floors(curve, SimpleNamespace(surface=surface, best=best))
    assert found == pytest.approx((3e8, 2e9))
    flat = SimpleNamespace(parameters=(SimpleNamespace(name="A"),))
    assert decision._floors(SimpleNamespace(drawn=True, law=flat), None) is None


def test_a_valley_is_what_half_and_nine_of_ten_draws_do_not_exceed():
    regret = np.random.default_rng(0).permutation(np.arange(10) / 100)[:, None] * [1.0, 0.1]
    found = valley(np.array([1e8, 2e8]), np.vstack([regret, [np.nan, 0.0]]))
    assert found.median == pytest.approx([0.045, 0.0045])
    assert found.most == pytest.approx([0.08, 0.008])
    # Less than 1 % are one of ten, and all of them.
    assert found.share == pytest.approx([0.1, 1.0])


def test_sizes_lie_from_a_fifth_of_the_least_to_five_of_the_largest_but_for_rare_ones():
    """Of 1 to 201 half a per cent at each end, one of 200 steps, is left out."""
    params = np.random.default_rng(0).permutation(np.arange(1.0, 202))
    found = sizes_around(np.append(params, np.nan))
    assert (found[0], found[-1]) == pytest.approx((2 / 5, 200 * 5))
    assert np.ptp(np.diff(np.log(found))) < 1e-9


@pytest.mark.parametrize(("times", "lines"), [(1.0, 1), (10.0, 1), (12.0, 2), (None, 1)])
def test_a_range_far_beyond_the_runs_is_said_to_be_untried(times, lines):
    decision = SimpleNamespace(
        curve=SimpleNamespace(drawn=True, times_largest=lambda flops: times),
        answer=SimpleNamespace(question=SimpleNamespace(served=False), flops=1e22),
        valley=SimpleNamespace(range=(1e9, 2e9)),
        named=None,
    )
    said = list(page._wrong(decision))
    assert said[0] == "N from 1B to 2B wastes under 1% of the compute in nine of ten draws."
    assert len(said) == lines
    if lines == 2:
        assert said[1].startswith("It has 12 times the largest compute of the runs: beyond 10 ")
