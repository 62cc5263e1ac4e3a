"""A run against a ladder, and against a law of schedules."""

import json
from dataclasses import replace

import duckdb
import numpy as np
import pandas as pd
import pytest

from scalebed.commands.cli import main
from scalebed.core.errors import ScalebedError
from scalebed.watch.follow import others, watch_ladder
from scalebed.watch.forecast import AHEAD, BEHIND, ON, Prior, forecast
from scalebed.watch.ladder import Mean, Rung, ratio_at, window
from scalebed.watch.live import LiveCurve
from scalebed.watch.schedules import read_constants
from scalebed.watch.shapes import alike
from scalebed.watch.trend import Ratio, regress

LEVEL = 0.9
FRACTION = np.linspace(0.005, 1, 200)


def end(params, tokens):
    return 1.5 + 30 * params**-0.3 + 60 * tokens**-0.3


def course(final, params, tokens, noise, rng):
    """A loss that comes down to 0.95 of the final held-out one, the slower the larger N."""
    shape = (
        0.95
        + 0.02 * np.log10(params / 1e6) * (1 - FRACTION)
        - 0.15 * np.log(FRACTION) * (1 - FRACTION)
    )
    return final * shape * (1 + noise * rng.standard_normal(FRACTION.size))


def ladder(noise=0.01, seed=0):
    rng = np.random.default_rng(seed)
    rungs = []
    for params in (1e6, 2e6, 4e6, 8e6):
        for ratio in (10, 20, 40):
            tokens = params * ratio
            final = end(params, tokens) * (1 + 0.003 * rng.standard_normal())
            loss = course(final, params, tokens, noise, rng)
            lr = np.cos(FRACTION * 1.5)
            rungs.append(Rung(f"{params:g}/{ratio}", params, tokens, final, FRACTION, loss, lr))
    return rungs


TARGET = (1.6e7, 3.2e8)


def live(until, factor=1.0, seed=9, lr=None):
    rng = np.random.default_rng(seed)
    final = end(*TARGET)
    loss = factor * course(final, *TARGET, 0.01, rng)
    seen = until + 1e-9 >= FRACTION
    rate = np.full(FRACTION.size, np.nan) if lr is None else lr
    nothing = np.zeros(0)
    tokens = FRACTION * TARGET[1]
    columns = (tokens[seen] / 512, tokens[seen], loss[seen], rate[seen])
    return LiveCurve("live.csv", *columns, nothing, nothing)


def sealed(sd=0.01):
    return Prior(float(np.log(end(*TARGET))), sd, "sealed")


def test_a_healthy_run_is_on_its_curve_and_its_interval_narrows():
    widths = []
    for at in (0.1, 0.5, 0.95):
        found = watch_ladder(live(at), ladder(), TARGET, prior=sealed(), level=LEVEL).forecast
        assert found.verdict == ON
        assert found.end[1] < end(*TARGET) < found.end[2]
        assert found.end[2] - found.end[1] < found.alone[2] - found.alone[1]
        widths.append(found.end[2] - found.end[1])
    prior = 2 * 1.645 * 0.01 * end(*TARGET)
    assert prior > widths[0]
    assert widths[-1] < prior


@pytest.mark.parametrize(("factor", "verdict"), [(1.06, BEHIND), (0.94, AHEAD)])
def test_a_run_that_left_its_curve_is_told_and_forecast_by_itself(factor, verdict):
    watched = watch_ladder(live(0.5, factor), ladder(), TARGET, prior=sealed(), level=LEVEL)
    found = watched.forecast
    assert found.verdict == verdict
    assert np.exp(found.off) == pytest.approx(factor, abs=0.02)
    assert found.on < 0.01
    assert found.end == pytest.approx(found.alone, rel=1e-3)
    assert found.end[1] < factor * end(*TARGET) < found.end[2]
    assert verdict in "\n".join(watched.lines())


def test_without_a_seal_a_run_is_compared_with_the_trend_of_the_ladder():
    watched = watch_ladder(live(0.5, 1.3), ladder(), TARGET, prior=None, level=LEVEL)
    assert watched.forecast.verdict == BEHIND
    assert "trend of the ladder's ends" in "\n".join(watched.lines())


def test_forecasts_of_healthy_runs_cover():
    inside = []
    for seed in range(60):
        curve = live(0.5, seed=1000 + seed)
        found = watch_ladder(curve, ladder(seed=seed), TARGET, prior=sealed(), level=LEVEL).forecast
        inside.append(found.alone[1] < end(*TARGET) < found.alone[2])
    assert np.mean(inside) > 0.8


def test_the_prior_is_averaged_by_precision(monkeypatch):
    monkeypatch.setattr("scalebed.watch.forecast.LEFT", 0.0)
    ratio, now = Ratio(0.0, 0.02, "x"), Mean(np.exp(0.02), np.nan, 9)
    found = forecast(0.5, now, ratio, Prior(0.0, 0.01, "sealed"), LEVEL)
    assert np.log(found.end[0]) == pytest.approx(0.02 * 0.01**2 / (0.01**2 + 0.02**2))
    sd = (0.01**-2 + 0.02**-2) ** -0.5
    assert np.log(found.end[2] / found.end[0]) == pytest.approx(1.6449 * sd, rel=1e-4)


def test_noise_of_a_sparse_live_curve_counts_beyond_that_of_the_ladder():
    ratio, prior = Ratio(0.0, 0.01, "x", 0.005**2), Prior(0.0, 0.01, "sealed")
    quiet = forecast(0.5, Mean(1.0, 0.005, 9), ratio, prior, LEVEL)
    noisy = forecast(0.5, Mean(1.0, 0.05, 9), ratio, prior, LEVEL)
    assert np.log(quiet.alone[2]) == pytest.approx(1.6449 * 0.01, rel=1e-4)
    wide = np.sqrt(0.01**2 + 0.05**2 - 0.005**2)
    assert np.log(noisy.alone[2]) == pytest.approx(1.6449 * wide, rel=1e-4)


def test_a_trend_along_n_and_m_is_found_and_extrapolated():
    x = np.array([(np.log(n), np.log(m)) for n in (1, 2, 4, 8) for m in (10, 20, 40)])
    y = 0.1 + 0.05 * x[:, 0] - 0.03 * x[:, 1] + 1e-4 * np.random.default_rng(0).standard_normal(12)
    found = regress(x, y, np.array([np.log(16), np.log(20)]), LEVEL)
    assert found.value == pytest.approx(0.1 + 0.05 * np.log(16) - 0.03 * np.log(20), abs=5e-4)
    assert found.words == "most of all by ln N and ln M"
    assert found.sd < 1e-3
    # What is known of the noise of a row is the least that an interval contains.
    assert regress(x, y, np.array([np.log(16), np.log(20)]), LEVEL, 0.01**2).sd > 0.01


def test_too_few_rungs_are_refused():
    with pytest.raises(ScalebedError, match="3 finished runs have a curve at 50%"):
        ratio_at(ladder()[:3], 0.5, TARGET, LEVEL)


def test_a_run_is_no_rung_of_its_own_ladder():
    assert len(others(ladder(), 2e6, 4e7)) == len(ladder()) - 1


def test_another_schedule_is_told_by_its_learning_rate():
    same, other = 0.3 * np.cos(FRACTION * 1.5), np.full(FRACTION.size, 0.3)
    assert alike(live(0.8, lr=same), ladder(), TARGET[1]).untold is None
    told = alike(live(0.8, lr=other), ladder(), TARGET[1]).untold
    assert "off that of 1e+06/10 at equal progress (as of 11 more of 12 runs)" in told
    assert "another schedule" in told
    watched = watch_ladder(live(0.8, lr=other), ladder(), TARGET, prior=sealed(), level=LEVEL)
    assert watched.forecast is None
    assert "not compared" in next(watched.lines())


def with_rates(rungs, rates):
    return [replace(rung, lr=rate) for rung, rate in zip(rungs, rates, strict=True)]


def warmed(share):
    return np.minimum(1.0, FRACTION / share)


def test_runs_of_another_schedule_are_left_out_of_the_ladder():
    """Four of twelve have another rate, and curves that would mislead."""
    rungs = ladder()
    odd = [
        replace(rung, loss=2 * rung.loss, lr=np.linspace(1, 0.1, FRACTION.size)) if i < 4 else rung
        for i, rung in enumerate(with_rates(rungs, [warmed(0.02)] * 12))
    ]
    said = {"prior": sealed(), "level": LEVEL}
    found = watch_ladder(live(0.8, lr=warmed(0.03)), odd, TARGET, **said).forecast
    assert "8 runs of the ladder" in found.words
    assert "4 of another schedule left out" in found.words
    alone = watch_ladder(live(0.8, lr=warmed(0.03)), odd[4:], TARGET, **said).forecast
    assert found.end == alone.end


def test_warm_ups_may_be_other_shares_of_runs():
    """Thirty steps are a tenth of a short run and a hundredth of a long one."""
    rungs = with_rates(ladder(), [warmed(share) for share in np.geomspace(0.01, 0.1, 12)])
    found = watch_ladder(live(0.5, lr=warmed(0.05)), rungs, TARGET, prior=sealed(), level=LEVEL)
    assert "12 runs of the ladder" in found.forecast.words


def test_nothing_is_compared_with_a_warm_up():
    rungs = with_rates(ladder(), [warmed(0.2)] * 5 + [warmed(0.02)] * 7)
    assert "7 runs of the ladder" in ratio_at(rungs, 0.3, TARGET, LEVEL).words
    assert "12 runs of the ladder" in ratio_at(rungs, 0.5, TARGET, LEVEL).words
    found = watch_ladder(live(0.3, lr=warmed(0.2)), rungs, TARGET, prior=sealed(), level=LEVEL)
    assert found.untold == (
        "the learning rate rose until 19.0% of the schedule, of which 30.0% are done: a run is "
        "compared from twice its warm-up on, 38.0%"
    )


def test_training_loss_of_repeated_text_is_not_compared_and_held_out_loss_is():
    curve, unique = live(0.5, 0.9), TARGET[1] / 10
    said = {"prior": sealed(), "level": LEVEL, "unique": unique}
    watched = watch_ladder(curve, ladder(), TARGET, **said)
    assert watched.forecast is None
    assert "5 passes" in "\n".join(watched.lines())
    at = np.array([0.2, 0.35, 0.5]) * TARGET[1]
    columns = (curve.step, curve.tokens, curve.loss, curve.lr)
    held = LiveCurve("live.csv", *columns, at, np.array([1.2, 1.25, 1.3]) * end(*TARGET))
    watched = watch_ladder(held, ladder(), TARGET, **said)
    assert watched.basis == "held-out loss"
    assert watched.forecast.verdict == BEHIND


def test_a_curve_longer_than_the_run_is_refused():
    curve = live(1.0)
    with pytest.raises(ScalebedError, match="more than the"):
        watch_ladder(curve, ladder(), (TARGET[0], TARGET[1] / 2), prior=sealed(), level=LEVEL)


def test_a_window_knows_the_error_of_its_mean_about_a_line():
    loss = 4 - FRACTION + 0.05 * np.random.default_rng(0).standard_normal(FRACTION.size)
    found = window(FRACTION, loss, 0.5)
    assert found.rows == 10
    assert found.value == pytest.approx(3.525, abs=0.05)
    assert 0.005 < found.error < 0.05


def database(folder):
    """The database of a study as far as ladders ask for it."""
    from scalebed.tables.declared.database import TABLES

    with duckdb.connect(str(folder / "study.duckdb")) as found:
        cells, losses, curves = [], [], []
        for rung in ladder():
            cells.append((rung.name, "one", "done", rung.params, rung.tokens))
            losses.append((rung.name, "yard", rung.final, rung.tokens))
            rows = zip(rung.fraction * rung.tokens, rung.loss, rung.lr, strict=True)
            curves += [(rung.name, i, *row) for i, row in enumerate(rows)]
        for name, columns, rows in (
            ("cells", ["cell", "dataset", "status", "params", "tokens"], cells),
            ("losses", ["cell", "validation", "loss", "tokens"], losses),
            ("curves", ["cell", "step", "tokens", "loss", "lr"], curves),
            ("provenance", ["key", "value"], [("yardstick", "yard")]),
        ):
            frame = pd.DataFrame(rows, columns=columns)  # noqa: F841, DuckDB finds it by name
            found.execute(f"CREATE TABLE {name} AS SELECT * FROM frame")
        for table in TABLES:
            found.execute(f"CREATE TABLE IF NOT EXISTS {table.name} (nothing INTEGER)")
    return folder / "study.duckdb"


def test_the_verb_compares_a_csv_with_the_ladder_of_a_study(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    source = str(database(tmp_path))
    curve = live(0.5, 1.07)
    frame = pd.DataFrame({"step": curve.step, "tokens": curve.tokens, "loss": curve.loss})
    frame.to_csv("live.csv", index=False)
    words = ["watch", "live.csv", "--source", source, "--target", "params=16M,tokens=320M"]
    assert main([*words, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["forecast"]["verdict"] == BEHIND
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "50.0% of the schedule" in out
    assert "12 runs of the ladder" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "expected a curve, or --study"),
        (["live.csv"], "expected either --seal or --target"),
        (["live.csv", "--target", "params=7,tokens=1B"], "is a unit missing"),
        (["live.csv", "--target", "params=7B,tokens=1B"], "expected --source"),
        (["live.csv", "--target", "params=7B,tokens=1B", "--source", "no"], "there is no study"),
        (["x.csv", "--target", "params=7B,tokens=1B", "--source", "no"], "no such file"),
        (["live.csv", "--target", "params=7B,tokens=1B", "--multi-power", "A=1"], "--schedule"),
        (["live.csv", "--target", "params=7B,tokens=1B", "--level", "2"], "--level is 2"),
    ],
)
def test_what_cannot_be_watched_is_one_sentence(tmp_path, monkeypatch, capsys, words, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "live.csv").write_text("tokens,loss\n1e6,3\n2e6,2.9\n")
    assert main(["watch", *words]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_constants_are_read_from_words_and_files(tmp_path):
    words = "L0=3,A=.5,alpha=.5,B=300,C=2,beta=.6,gamma=.6"
    path = tmp_path / "law.json"
    path.write_text(json.dumps(read_constants(words)._asdict()))
    assert read_constants(str(path)) == read_constants(words)
    for wrong in ("L0=3", words.replace("C=2", "C=-2"), words.replace("C=2", "C=two")):
        with pytest.raises(ScalebedError, match="--multi-power"):
            read_constants(wrong)
