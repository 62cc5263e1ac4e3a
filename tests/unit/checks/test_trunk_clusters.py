"""Branches of one trunk in the checks: one cluster, one stratum, one draw of luck."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import synthetic_study as synthetic

from scalebed.checks.calibration.calibrate import _Truth, calibrate_study
from scalebed.checks.calibration.held_out import Evaluation
from scalebed.checks.reliability.evidence import Stratum, trend
from scalebed.checks.tournament.redraw import redraws_of
from scalebed.checks.tournament.splits import cell_numbers, cluster_numbers, make_splits
from scalebed.predict.open_study import StudyFit
from scalebed.predict.runs import collect_runs


def study(trunks=True, **changes):
    tables = synthetic.tables(datasets=("one", "two"), sigma=0.01)
    for row in tables["cells"] if trunks else ():
        row["trunk"] = f"{row['dataset']}/{row['params']}/{row['seed']}"
    settings = replace(synthetic.settings(draws=200), **changes)
    return StudyFit(Path("nowhere"), "made", collect_runs(tables), settings, tables)


def test_clusters_of_a_tournament_are_sizes_where_each_has_one_trunk():
    runs = study().runs
    for one, number in zip(runs, cluster_numbers(runs), strict=True):
        sizes = np.unique(one.params, return_inverse=True)[1]
        pairs = np.unique(np.stack([sizes, number]), axis=1).shape[1]
        assert pairs == np.unique(number).size == np.unique(sizes).size
    first, second = cluster_numbers(runs)
    np.testing.assert_array_equal(first, second)
    plain = study(trunks=False).runs
    for known, expected in zip(cluster_numbers(plain), cell_numbers(plain), strict=True):
        np.testing.assert_array_equal(known, expected)


def test_a_split_that_predicts_one_trunk_is_none():
    splits = make_splits(study().runs)
    runs = study().runs
    for split in splits:
        if split.family != "design":
            sizes = {n for r, test in zip(runs, split.test, strict=True) for n in r.params[test]}
            assert len(sizes) > 1
    assert len(splits) < len(make_splits(study(trunks=False).runs))


def test_redraws_move_branches_together():
    runs = study().runs
    redraws = redraws_of(runs, 0, "loss", 50)
    sizes = np.unique(np.concatenate([one.params for one in runs])).size
    assert redraws.designs.shape == (50, sizes)


def test_methods_that_take_runs_for_independent_are_not_valid_for_branches():
    rows = calibrate_study(study(), simulations=0)
    refused = {row["method"] for row in rows if "not independent" in row["status"]}
    assert {"parametric", "delta", "residual", "wild", "case"} <= refused
    assert not any(row["chosen"] for row in rows if row["method"] == "parametric")
    plain = calibrate_study(study(trunks=False), simulations=0)
    assert not any("not independent" in row["status"] for row in plain)


def test_the_standard_error_of_coverage_counts_trunks():
    told, plain = (
        {
            (row["response"], row["dataset"], row["scheme"]): row
            for row in calibrate_study(study(trunks), simulations=0)
            if row["method"] == "parametric"
        }
        for trunks in (True, False)
    )
    runs = study().runs[0]
    held = ~runs.fit_loss & np.isfinite(runs.loss("yardstick"))
    ratio = np.sqrt(held.sum() / np.unique(runs.params[held]).size)
    key = ("yardstick", "one", "other data sets")
    assert ratio > 1.2
    assert told[key]["cells"] == plain[key]["cells"] == held.sum()
    assert told[key]["coverage_error"] == pytest.approx(ratio * plain[key]["coverage_error"])


@pytest.mark.parametrize("shared", [0.0, 0.75])
def test_simulated_branches_share_the_luck_the_posterior_found(shared):
    one = study()
    base = Evaluation(one.runs, one.settings, ())
    truth = _Truth(base, 0, [])
    truth.loss = replace(truth.loss, sigma=replace(truth.loss.sigma, shared=shared))
    runs, name = truth.runs, one.settings.loss
    rng = np.random.default_rng(0)
    drawn = np.stack([truth.draw(rng).losses[name] for _ in range(1500)])
    known = np.isfinite(drawn[0])
    off = (drawn / truth.loss.point - 1)[:, known] / truth.loss.sigma.value
    correlation = np.corrcoef(off.T)
    same = runs.trunk[known][:, None] == runs.trunk[known][None, :]
    np.fill_diagonal(correlation, np.nan)
    assert np.nanmean(correlation[same]) == pytest.approx(shared, abs=0.02)
    assert np.nanmean(correlation[~same]) == pytest.approx(0, abs=0.02)
    assert off.std() == pytest.approx(1, abs=0.02)


def test_luck_of_trunks_makes_no_trend():
    """Loss and error of a trunk's branches lie high or low together, by chance."""
    draw = np.random.default_rng(5)
    told, plain = [], []
    for _ in range(400):
        trunk = np.repeat(np.arange(5), 5)
        loss, error = (
            draw.standard_normal(5)[trunk] + 0.2 * draw.standard_normal(25) for _ in range(2)
        )
        whole = Stratum(loss, error, np.zeros(25), trunk)
        told.append(trend([whole]).p)
        plain.append(trend([replace(whole, trunk=None)]).p)
    # Binomial, three standard errors: 0.05 + 3 * 0.011.
    assert np.mean(np.array(told) < 0.05) < 0.083
    assert np.mean(np.array(plain) < 0.05) > 0.25


def test_a_trend_within_and_between_trunks_is_seen():
    trunk = np.repeat(np.arange(4), 4)
    loss = 3 - 0.3 * trunk - 0.05 * np.tile(np.arange(4), 4)
    found = trend([Stratum(loss, loss / 4, np.zeros(16), trunk)])
    assert found.tau == pytest.approx(1.0)
    assert found.p < 1e-3
    # Where every trunk has one branch nothing changes.
    alone = Stratum(loss, loss / 4, np.zeros(16), np.arange(16))
    assert trend([alone]) == trend([replace(alone, trunk=None)])
