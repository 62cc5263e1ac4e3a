"""What speaks against a law, and what cells cost, against values worked out by hand or by SciPy."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import f as fisher

from scalebed.fit.posterior import Points
from scalebed.predict import outlying, posterior
from scalebed.predict.evidence import Evidence, bends, lack_of_fit
from scalebed.predict.independent import joined
from scalebed.predict.runs import Runs
from scalebed.predict.words import method

DESIGN = np.array([0, 0, 1, 1, 2, 2])
APART = np.array([1, -1, 1, -1, 1, -1]) * 0.005


def test_repeats_that_lie_off_together_are_a_lack_of_fit():
    """Variance of repeats 5e-5 with 3 degrees of freedom; F of 17 has 2.3 %, of 68 has 0.3 %."""
    off = np.array([0.015, 0.015, -0.015, -0.015, 0.02, 0.02])
    assert fisher.sf([17, 68], 2, 3) == pytest.approx([0.0231, 0.0032], abs=5e-5)
    assert lack_of_fit(DESIGN, off + APART, 1) == []
    (found,) = lack_of_fit(DESIGN, 2 * off + APART, 1)
    # Root mean squares of 3, 3 and 4 %, and of the repeats.
    assert found == "lack of fit: designs lie 3.37% off the law, their repeats 0.71% apart"
    # Designs as many as parameters show none, nor do runs without a repeat.
    assert lack_of_fit(DESIGN, 9 * off + APART, 3) == []
    assert lack_of_fit(np.arange(6), 9 * off + APART, 1) == []


def test_residuals_bend_where_a_parabola_explains_more_than_chance():
    """F of a regression on the axis and its square, at a third of 1 %; M does not vary."""
    params = np.geomspace(1e7, 1e9, 11)
    noise = 0.01 * np.random.default_rng(3).standard_normal(11)
    said = []
    for size in np.linspace(0, 0.12, 13):
        residuals = noise + size * np.linspace(-1, 1, 11) ** 2
        fitted = np.polyval(np.polyfit(np.log(params), residuals, 2), np.log(params))
        explained = np.sum((fitted - residuals.mean()) ** 2) / 2
        # Of 11 points a law of 4 parameters leaves 7 degrees of freedom, the parabola 5.
        chance = fisher.sf(explained / (np.sum((residuals - fitted) ** 2) / 5), 2, 5)
        found = bends(params, 20 * params, residuals, 4)
        assert found == (["residuals bend along N, D"] if chance < 0.01 / 3 else [])
        said.append(bool(found))
    assert any(said) and not all(said)
    assert bends(params, 20 * params, residuals, 7) == []


@pytest.mark.parametrize(
    ("flops", "words"),
    [
        (1.05e20, "held: x; within the compute of the data"),
        (1.06e20, "held to 3x of 1.06x the compute: x"),
    ],
)
def test_a_twentieth_beyond_is_within_the_data(flops, words):
    held = SimpleNamespace(verdict="held", found="x")
    assert Evidence(held, 1e20, 3.0).at(flops, 20.0) == words
    assert Evidence(held, 1e20, 1.0).at(2e20, 20.0) == "held at 1x, not at 2x the compute: x"
    missed = SimpleNamespace(verdict="missed", found="y")
    assert Evidence(missed, 1e20, 1.0).at(2e20, 20.0) == (
        "missed: y; 2 times the largest compute of the data, no such step was tried"
    )


@pytest.mark.parametrize(("rows", "left_out"), [(20, 3), (20, 4), (27, 4), (7, 1)])
def test_at_most_fifteen_per_cent_of_eight_rows_or_more_are_suspected(monkeypatch, rows, left_out):
    rest = 0.001 * (-1.0) ** np.arange(rows)
    where = 1 + 6 * np.arange(left_out)
    rest[where] = 0.05
    fit = SimpleNamespace(fitted=np.ones(rows))
    monkeypatch.setattr(outlying, "fit_law", lambda *given: fit)
    params = np.geomspace(1e7, 1e9, rows)
    points = SimpleNamespace(loss=np.exp(rest), params=params, tokens=params**2)
    few = rows >= 8 and left_out <= 0.15 * rows
    assert np.flatnonzero(outlying._suspects(points)).tolist() == where.tolist() * few


@pytest.mark.parametrize(("off", "suspected"), [(7.8, False), (8.0, True)])
def test_four_robust_deviations_are_suspect(monkeypatch, off, suspected):
    """1.4826 times the median of 1 per mille, times 20 / 15 for five parameters: 4 are 7.9."""
    rest = 0.001 * (-1.0) ** np.arange(20)
    rest[4] = -0.001 * off
    monkeypatch.setattr(outlying, "fit_law", lambda *given: SimpleNamespace(fitted=np.ones(20)))
    params = np.geomspace(1e7, 1e9, 20)
    points = SimpleNamespace(loss=np.exp(rest), params=params, tokens=params**2)
    assert outlying._suspects(points).tolist() == [suspected and i == 4 for i in range(20)]


def test_steps_of_a_trunk_are_spent_once():
    """Two trunks of which 4 and 3, and 2 and 2 of the FLOPs of their cells were taken."""
    runs = SimpleNamespace(
        flops=np.array([10.0, 8.0, 6.0, 5.0]),
        trunk=np.array([0, 0, 1, 1]),
        taken=np.array([4.0, 3.0, 2.0, 2.0]),
    )
    every, some = np.ones(4, bool), np.array([True, True, True, False])
    assert Runs.spent(runs, every) == 29 - 3 - 2
    assert Runs.spent(runs, some) == 24 - 3
    runs.trunk = None
    assert Runs.spent(runs, every) == 29


def test_points_that_share_any_code_are_joined():
    one, other = np.array([0, 0, 1, 2, 3]), np.array([5, 6, 6, 7, 8])
    assert joined([one, other], 5).tolist() == [0, 0, 0, 1, 2]
    assert joined([one], 5).tolist() == [0, 0, 1, 2, 3]
    # Codes that are all different join nothing.
    assert joined([np.arange(5), one + 0], 5).tolist() == [0, 0, 1, 2, 3]
    assert joined([np.arange(5)], 5).tolist() == [0, 1, 2, 3, 4]
    assert joined([], 2).tolist() == [0, 1]


def test_an_interval_says_what_it_contains():
    settings = SimpleNamespace(level=0.9, draws=500)
    sigma = SimpleNamespace(value=0.0123, source="elsewhere", own=False)
    stage = SimpleNamespace(sigma=sigma, draws=1, doubts=None, law="tied", sampling=0.004, fit=None)
    head = "90% prediction interval, parametric bootstrap, 500 joint draws"
    loss = method(stage, None, settings, direct=False)
    assert loss.startswith(head) and "lack of fit 1.23% of the loss (elsewhere)" in loss
    assert "evaluation error is part of it" in loss
    direct = method(stage, None, settings, direct=True)
    assert direct.startswith(head) and "its sampling error 0.0040" in direct
    assert "(lack of fit 0.0123, elsewhere)" in direct
    chained = method(stage, stage, settings, direct=False)
    assert "chained, with both scatters of the new run" in chained
    stage.draws = None
    assert method(stage, None, settings, direct=True).startswith("no interval")


@pytest.mark.parametrize(("worth", "doubted"), [(99.4, True), (100.0, False)])
def test_draws_of_which_hardly_any_differ_are_doubted(worth, doubted):
    said = ("draws that are worth 99 different ones",) if doubted else ()
    assert posterior._few(SimpleNamespace(effective=worth)) == said


@pytest.mark.parametrize(
    ("params", "tokens", "constant"),
    [
        ([1e8, 1.04e8, 1.02e8], [1e9, 5e9, 9e9], "N"),
        ([1e8, 2e8, 4e8], [2e9, 2e9, 2.08e9], "D"),
        ([1e8, 2e8, 4e8], [2e9, 4e9, 9.8e9], "M"),
        ([1e8, 2e8, 4e8], [8e9, 4e9, 2.4e9], "C"),
        ([1e8, 1.06e8, 1.02e8], [1e9, 5e9, 9e9], None),
        ([1e8, 2e8, 4e8], [2e9, 4e9, 10.1e9], None),
        ([1e8, 2e8, 4e8], [8e9, 4e9, 2.6e9], None),
    ],
)
def test_what_all_runs_have_in_common_is_believed_of_others(params, tokens, constant):
    points = Points(np.array(params), np.array(tokens), np.array([3.0, 2.9, 2.8]))
    said = f"all runs have one {constant}, so what another one gives is believed, not seen"
    assert posterior._believed(points) == ([said] if constant else [])
