"""The posterior as an entry of the tournament."""

from dataclasses import replace

import numpy as np
import pytest
from extrapolation_study import open_tables, study
from synthetic_study import settings

from scalebed.checks.tournament import believed
from scalebed.checks.tournament.believed import Believed, believe
from scalebed.checks.tournament.entries import POSTERIOR, loss_entries, posterior_entry
from scalebed.checks.tournament.play import Rules, run_tournament
from scalebed.checks.tournament.redraw import Noise, redraws_of
from scalebed.checks.tournament.scores import judge
from scalebed.checks.tournament.splits import make_splits
from scalebed.checks.tournament.table import REFUSED
from scalebed.checks.tournament.trials import Refused, Tried, try_losses
from scalebed.checks.tournament.verdict import verdicts
from scalebed.core.errors import ScalebedError
from scalebed.fit import Options, Prior
from scalebed.predict.loss_stages import loss_stages

DEFAULT = {"loss_law": "chinchilla", "interval": "posterior", "per_task": False}


@pytest.fixture(scope="module")
def noisy():
    return study(sigma=0.005, datasets=["one", "two"])


def split_of(runs, name="design"):
    return next(split for split in make_splits(runs) if split.name == name)


def test_it_predicts_what_the_pipeline_prints():
    # The pipeline learns the scatter from further cells; here from those of the fit alone.
    plain = study(sigma=0.005, datasets=["one", "two"])
    runs = [replace(one, scatter=one.fit_loss) for one in plain.runs]
    trials = try_losses(posterior_entry(), split_of(runs), runs, "yardstick")
    stages = loss_stages(runs, "yardstick", settings(**DEFAULT, draws=4000))
    for one, stage, of in zip(trials, stages, runs, strict=True):
        assert isinstance(one, Tried) and isinstance(one.fitted, Believed)
        test = split_of(runs).test[one.fitted.at]
        spread = stage.fit_draws[:, test].std(0)
        off = one.fitted.predict(one.new) - stage.point[test]
        # Two medians of 4,000 draws each: sqrt(pi / 2 * 2 / 4000) is 0.028.
        assert np.all(np.abs(off) < 4 * 0.028 * spread), of.dataset
        np.testing.assert_array_equal(one.truth, of.loss("yardstick")[test])


def test_cells_that_are_predicted_tell_nothing(noisy):
    runs, split = noisy.runs, split_of(noisy.runs, "N<=800k")
    moved = [
        replace(one, losses={"yardstick": np.where(test, 2.5, 1) * one.loss("yardstick")})
        for one, test in zip(runs, split.test, strict=True)
    ]
    for own, other in zip(
        try_losses(posterior_entry(), split, runs, "yardstick"),
        try_losses(posterior_entry(), split, moved, "yardstick"),
        strict=True,
    ):
        assert isinstance(own, Tried) and isinstance(other, Tried)
        np.testing.assert_array_equal(own.fitted.predict(own.new), other.fitted.predict(other.new))


def test_too_few_runs_are_a_reason_and_the_other_data_set_plays(noisy):
    split = split_of(noisy.runs)
    few = np.zeros_like(split.train[0])
    few[np.flatnonzero(split.train[0])[:2]] = True
    trials = try_losses(
        posterior_entry(), replace(split, train=(few, split.train[1])), noisy.runs, "yardstick"
    )
    assert isinstance(trials[0], Refused) and isinstance(trials[1], Tried)
    assert trials[0].reason == "one: 2 runs, expected at least 3"
    score = judge(trials)
    assert score.fits == 2 and score.refused == (trials[0].reason,)
    assert np.isnan(score.errors[: trials[0].truth.size]).all()
    assert np.isfinite(score.errors[trials[0].truth.size :]).all()


def test_posteriors_that_are_refused_together_are_a_reason(noisy, monkeypatch):
    def refuse(*_):
        raise ScalebedError("no law can be drawn for runs with N 1 to 1")

    monkeypatch.setattr(believed, "candidates", refuse)
    trials = try_losses(posterior_entry(), split_of(noisy.runs), noisy.runs, "yardstick")
    said = "no law can be drawn for runs with N 1 to 1"
    assert judge(trials).refused == (f"one: {said}", f"two: {said}")


def test_a_row_that_lies_outside_moves_nothing():
    made = study(sigma=0.002, datasets=["one"])
    (runs,) = made.runs
    use = ~runs.target
    loss = runs.loss("yardstick").copy()
    out = int(np.flatnonzero(use)[5])
    loss[out] *= 1.3
    (one,) = believe(
        Options(), [replace(runs, losses={"yardstick": loss})], [use], "yardstick"
    ).values()
    assert isinstance(one, Believed)
    assert not one.kept[5] and one.kept.sum() == use.sum() - 1
    moves = one.moves((runs.params[~use], runs.tokens[~use]))
    assert moves.shape == ((~use).sum(), use.sum())
    assert not moves[:, 5].any() and (np.abs(np.delete(moves, 5, axis=1)).max(0) > 0).all()
    # Its residual is that of a row that lies 30 % off.
    assert one.fit.residuals[5] / one.fit.fitted[5] == pytest.approx(0.3, abs=0.02)


def test_redraws_move_it_about_as_far_as_new_studies_do():
    # 32 studies that differ in the noise of their runs alone.
    sd, drawn, spread = 0.005, [], []
    for seed in range(32):
        made = study(sigma=sd, seed=seed, datasets=["one"])
        split = split_of(made.runs, "N<=800k")
        (one,) = try_losses(posterior_entry(), split, made.runs, "yardstick")
        redraws = redraws_of(made.runs, seed, "loss")
        moved = redraws.predictions(one.fitted, Noise(sd, 0.0, 9.0), one.new)
        truth = one.fitted.predict(one.new)
        drawn.append(truth)
        spread.append(moved.std(0) / truth)
    found = np.std(drawn, axis=0) / np.mean(drawn, axis=0)
    ratio = np.sqrt(np.mean(np.square(spread)) / np.mean(np.square(found)))
    # A standard deviation of 32 is known to 13 %.
    assert 0.7 < ratio < 1.4


def test_it_takes_part_and_is_the_study_s_own_by_default(noisy):
    assert [entry for entry in loss_entries() if entry.posterior] == [posterior_entry()]
    rules = Rules(kinds=("loss",), laws=("compute",), draws=200)
    for changes, own in (({}, "sse"), (DEFAULT, POSTERIOR)):
        made = open_tables(noisy.tables, settings(**{"per_task": False} | changes))
        rows = run_tournament(made, rules)
        marked = {(row["law"], row["objective"]) for row in rows if row["own"]}
        assert marked == {("chinchilla" if changes else "tied", own)}
        # Named laws and the study's own take part, no others.
        assert any(row["objective"] == POSTERIOR for row in rows) == bool(changes)
        (sentence,) = verdicts(rows, "N")
        assert f"({own})" in sentence
        for row in rows if changes else ():
            if row["objective"] == POSTERIOR:
                assert row["difference"] == 0 and not row["established"]
                assert row["parameters"] == 5 and row["standing"] != REFUSED


def test_a_prior_of_the_study_makes_an_entry_of_its_own(noisy):
    prior = {"priors": {"alpha": [0.5, 0.05]}}
    made = open_tables(noisy.tables, settings(**DEFAULT, loss_options=prior))
    rows = run_tournament(made, Rules(kinds=("loss",), laws=("chinchilla",), draws=200))
    split = [row for row in rows if row["split"] == "design"]
    found = {row["objective"]: row for row in split if row["objective"].startswith(POSTERIOR)}
    assert set(found) == {POSTERIOR, "posterior, the study's options"}
    assert found["posterior, the study's options"]["own"] and not found[POSTERIOR]["own"]
    assert posterior_entry(Options(priors={"alpha": Prior(0.5, 0.05)})).options.priors
    errors = [row["error"] for row in found.values()]
    assert errors[0] != errors[1]


def test_the_result_does_not_depend_on_workers(noisy):
    made = open_tables(noisy.tables, settings(**DEFAULT))
    rules = {"kinds": ("loss",), "laws": ("compute",), "draws": 200}
    assert run_tournament(made, Rules(**rules)) == run_tournament(made, Rules(workers=2, **rules))
