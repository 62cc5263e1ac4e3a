"""Limits of intervals, and what is said by them, against SciPy and by hand."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm, t

from scalebed.checks.contrasts.text import sentence
from scalebed.checks.explore import search_funnel
from scalebed.checks.explore.constant_ratio import fit_ray, ray_intervals
from scalebed.checks.intervals import Problem, get_method
from scalebed.checks.tournament import verdict
from scalebed.checks.tournament.differences import Shared, differences
from scalebed.fit.options import Options
from scalebed.laws import get_law


@pytest.mark.parametrize("level", [0.5, 0.9])
@pytest.mark.parametrize("name", ["delta", "profile"])
def test_limits_about_a_mean_are_student_s(name, level):
    """With E alone free, of losses that are E but for 1e-9: y +- t s (1 + 1/n)^1/2."""
    law, theta = get_law("tied"), {"A": 1e-7, "B": 1e-7, "alpha": 0.3}
    N = np.repeat(np.geomspace(1e7, 4e8, 4), 2)
    x = N, N * np.tile([20.0, 160.0], 4)
    y = 2 * (1 + 0.001 * np.array([0.3, -1.2, 0.8, 1.5, -0.4, -1.0, 0.2, -0.2]))
    ahead = np.array([7e9]), np.array([1.4e11])
    problem = Problem(law, x, y, ahead, level=level, options=Options("sse", fixed=theta))
    found = get_method(name).interval(problem)
    half = t.ppf((1 + level) / 2, 7) * y.std(ddof=1) * np.sqrt(1 + 1 / 8)
    # The scatter is relative to a law that moves with its mean: 1e-3 of itself.
    assert y.mean() - found.lower[0] == pytest.approx(half, rel=4e-3)
    assert found.upper[0] - y.mean() == pytest.approx(half, rel=4e-3)


def test_limits_of_an_exponent_hold_nine_tenths_of_the_slopes():
    flops = np.geomspace(1e16, 1e19, 7)
    loss = 1.5 + 2000 * flops**-0.17 * (1 + 0.05 * np.random.default_rng(1).standard_normal(7))
    index = np.random.default_rng(4).integers(0, 7, (25, 7))
    slopes = [-np.polyfit(np.log(flops[row]), np.log(loss[row] - 1.5), 1)[0] for row in index]
    for words, tails in (((), [0.05, 0.95]), ((0.5,), [0.25, 0.75])):
        found = ray_intervals(flops, loss, 1.5, 25, 4, *words)
        assert found == pytest.approx(np.quantile(slopes, tails))
    assert np.isnan(ray_intervals(flops[:1], loss[:1], 1.5, 25, 4)).all()


def test_a_band_of_the_funnel_holds_nine_tenths_of_the_fits():
    flops = np.geomspace(1e16, 1e19, 9)
    loss = 1.5 + 2000 * flops**-0.17 * (1 + 0.01 * np.random.default_rng(1).standard_normal(9))
    study = SimpleNamespace(frame=lambda query: pd.DataFrame({"flops": flops, "loss": loss}))
    options = {"max_loss": 0, "reach": 1e21, "draws": 25, "seed": 4}
    rows = search_funnel.rows(study, options)
    index = np.random.default_rng(4).integers(0, 9, (25, 9))
    rays = [fit_ray(flops[row], loss[row]) for row in index if len(set(row)) >= 4]
    assert 4 < len(rays) < 26
    fit, *at = [
        float((one.floor + one.scale * 1e21**-one.eta)[0]) for one in (fit_ray(flops, loss), *rays)
    ]
    low, high = np.quantile(at, [0.05, 0.95])
    assert list(rows[-1].values()) == pytest.approx([1e21, fit, low, high])


def test_limits_of_a_difference_and_those_that_establish_it():
    """Of three clusters with means -1, 0 and 4 the draws are the 27 samples with replacement."""
    means = np.array([-1.0, 0.0, 4.0])
    every = np.stack(np.meshgrid(*[np.arange(3)] * 3), -1).reshape(-1, 3)
    draws = np.array([np.bincount(row, minlength=3) for row in every]).astype(float)
    sampled = means[every].mean(1)
    low, high = np.quantile(sampled, [0.1, 0.9])
    z = norm.ppf(0.9)
    # Three clusters tell two degrees of freedom.
    wide = (1 - low) * t.ppf(0.9, 2) / z * 1.5**0.5
    for dof, scale in ((4.0, 0.3), (1.0, 2.0)):
        bound = np.hypot(wide, t.ppf(0.9, dof) * scale)
        for times in (0.99, 1.01):
            shift = times * bound - 1
            given = (means + shift)[None], np.zeros(3), np.full(3, 1 / 3), np.arange(3), draws, 0.8
            found = differences(*given, Shared(np.array([scale]), np.array([dof])))
            assert found.lower[0] == pytest.approx(1 + shift - np.hypot(1 - low, z * scale))
            assert found.upper[0] == pytest.approx(1 + shift + np.hypot(high - 1, z * scale))
            assert found.established[0] == (times > 1)


COMPARED = {
    **{"a": "one", "b": "two", "response": "val", "kind": "loss", "params": 1e9, "tokens": 2e10},
    **{"predicted_a": 2.5, "predicted_b": 2.6, "draws": 1000, "p_better_run": None},
    **{"multiplier": 1.5, "multiplier_lower": 0.9, "multiplier_upper": np.inf, "level": 0.9},
}


@pytest.mark.parametrize(
    ("share", "level", "known"),
    # More than all but one tail.
    [(0.95, 0.9, False), (0.951, 0.9, True), (0.901, 0.8, True), (0.9, 0.8, False)],
)
def test_the_better_one_is_established_beyond_one_tail(share, level, known):
    row = COMPARED | {"p_better": share, "level": level}
    said = sentence(row)
    assert said.startswith(
        "At N 1e+09, D 2e+10 the loss on val is 2.5000 nats for one and 2.6000 nats for two; "
        f"P(one better) = {share:.3g}. For what one reaches two needs 1.5 x the compute "
        f"({level:.0%} interval 0.9 x .. more than 1e10 x)."
    )
    unknown = "Which of the two is better is not established."
    assert said.endswith(unknown) != known
    turned = row | {"p_better": 1 - share, "predicted_a": 2.7}
    assert sentence(turned).endswith(unknown) != known


def judged(split, family="N", **changes):
    row = {"kind": "loss", "response": "val", "split": split, "family": family, "law": "tied"}
    row |= {"objective": "sse", "standing": verdict.BEST, "own": True, "error": 1.25, "unit": "%"}
    return row | {"cells": 12, "clusters": 4} | changes


def test_a_family_of_one_split_is_judged_by_that_split():
    rows = [judged("largest N"), judged("largest M", "M"), judged("mean", "all")]
    assert verdict._judged(rows, "N") == rows[:1]
    assert verdict._judged(rows, "M") == rows[1:2]
    assert verdict._judged(rows, "other") == rows[2:]
    several = [judged("mean, N"), judged("largest N")]
    assert verdict._judged(several, "N") == several[:1]
    assert verdict._judged([], "N") == []


def test_a_verdict_names_the_best_law_or_that_there_is_none():
    assert verdict._sentence([judged("largest N")]) == (
        "val (loss), largest N: believe tied (sse), mean error 1.25 %, which is the study's own; "
        "every other one is established to be worse. 12 predictions of 4 designs."
    )
    refused = judged("largest N", standing=verdict.REFUSED)
    assert verdict._sentence([refused]) == (
        "val (loss), largest N: no law could be fitted everywhere, so none can be recommended."
    )
