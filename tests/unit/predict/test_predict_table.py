"""`scalebed fit`: laws and predictions from a plain table."""

import json

import numpy as np
import pandas as pd
import pytest

from scalebed.commands.cli import main
from scalebed.fit import fit_law
from scalebed.fit.solvers.profiled import Design
from scalebed.laws import get_law
from scalebed.predict.large import LARGE, BlockDesign, draw_theta, fit_large

LOSS = {"E": 1.84, "A": 166.0, "B": 287.0, "alpha": 0.273}
ERROR = {"eps": 0.86, "k": 2.4, "gamma": 0.7}
TARGET = ("--target", "params=7e9,tokens=140e9")


BOOTSTRAP = ("--interval", "bootstrap")


def loss_of(params, tokens):
    return get_law("tied").predict(np.array([*LOSS.values()]), (params, tokens))


def error_of(loss):
    return get_law("decay").predict(np.array([*ERROR.values()]), (loss,))


def runs(rows, noise=0.0, error_noise=0.0, seed=0):
    rng = np.random.default_rng(seed)
    params = 10 ** rng.uniform(7, 9, rows)
    tokens = params * 10 ** rng.uniform(0.7, 2.7, rows)
    loss = loss_of(params, tokens) * (1 + noise * rng.standard_normal(rows))
    error = error_of(loss) + error_noise * rng.standard_normal(rows)
    return pd.DataFrame({"params": params, "tokens": tokens, "loss": loss, "error": error})


@pytest.fixture
def fitted(tmp_path, monkeypatch):
    """Fit a frame by the command line and return the JSON."""
    monkeypatch.chdir(tmp_path)

    def fit(frame, *words):
        frame.to_parquet("runs.parquet")
        assert main(["fit", *BOOTSTRAP, "runs.parquet", *words]) == 0
        return json.loads((tmp_path / "runs.fit.json").read_text())

    return fit


def values(record, response="loss", dataset="all"):
    (fit,) = (
        fit for fit in record["fits"] if (fit["response"], fit["dataset"]) == (response, dataset)
    )
    return {name: found["value"] for name, found in fit["parameters"].items()}


def test_a_target_may_repeat_its_tokens(fitted):
    law, theta = get_law("constrained"), np.array([1.8, 400.0, 900.0, 0.33, 12.0, 5.0])
    sizes, unique, times = np.meshgrid([1e8, 4e8, 1.6e9], [1e9, 4e9, 2e10], [0.5, 1, 4, 20])
    params, tokens = sizes.ravel(), (unique * times).ravel()
    seen = np.minimum(unique.ravel(), tokens)
    loss = law.value(theta, (params, tokens, seen))
    frame = pd.DataFrame({"params": params, "tokens": tokens, "unique_tokens": seen, "loss": loss})
    words = ["--loss-law", "constrained", "--draws", "100", "--target"]
    record = fitted(
        frame, *words, "params=1B,tokens=40B", "--target", "params=1B,tokens=40B,unique=5B"
    )
    once, again = record["predictions"]
    for row, own in ((once, 4e10), (again, 5e9)):
        truth = law.value(theta, (np.array([1e9]), np.array([4e10]), np.array([own])))[0]
        assert row["predicted"] == pytest.approx(truth, rel=1e-5)
    assert once["unique_tokens"] is None and again["unique_tokens"] == 5e9
    assert again["predicted"] > once["predicted"] + 0.01


@pytest.mark.parametrize("rows", [12, LARGE + 100])
def test_noise_free_runs_give_their_parameters_and_predictions(rows, fitted):
    record = fitted(runs(rows), *TARGET)
    for name, truth in LOSS.items():
        assert values(record)[name] == pytest.approx(truth, rel=1e-6)
    for name, truth in ERROR.items():
        assert values(record, "error")[name] == pytest.approx(truth, rel=1e-6)
    loss, error = record["predictions"]
    truth = loss_of(np.array([7e9]), np.array([1.4e11]))
    assert loss["predicted"] == pytest.approx(truth[0], rel=1e-7)
    assert error["predicted"] == pytest.approx(error_of(truth)[0], rel=1e-6)
    assert loss["flops"] == pytest.approx(6 * 7e9 * 1.4e11)


def test_a_million_runs(fitted):
    record = fitted(runs(1_000_000, 0.01, 0.005), *TARGET)
    loss, error = record["fits"]
    assert loss["points"] == error["points"] == 1_000_000
    assert loss["method"].startswith("delta method")
    for fit, truths in ((loss, LOSS), (error, ERROR)):
        assert fit["numbers"] == "found"
        for name, truth in truths.items():
            found = fit["parameters"][name]
            assert found["value"] == pytest.approx(truth, rel=0.01)
            # Four standard errors each way, from the width of a 90 % interval.
            assert abs(found["value"] - truth) < 4 * (found["upper"] - found["lower"]) / 3.29
    assert loss["sigma"] == pytest.approx(0.01, rel=0.01)
    assert error["sigma"] == pytest.approx(0.005, rel=0.01)


def test_blocks_of_points_have_the_objective_of_all_points():
    # Sorted, so that the blocks differ as much as they can.
    frame = runs(40_000, 0.01).sort_values("loss")
    x, y = (frame["params"].to_numpy(), frame["tokens"].to_numpy()), frame["loss"].to_numpy()
    index = np.arange(1)
    blocks, whole = (
        kind(get_law("tied"), x).scan(index, y[None]) for kind in (BlockDesign, Design)
    )
    np.testing.assert_allclose(blocks, whole, rtol=1e-8)


def test_large_and_exact_fit_agree():
    frame = runs(40_000, 0.01)
    x, y = (frame["params"].to_numpy(), frame["tokens"].to_numpy()), frame["loss"].to_numpy()
    law = get_law("tied")
    np.testing.assert_allclose(fit_large(law, x, y).theta, fit_law(law, x, y).theta, rtol=1e-8)


def test_delta_draws_have_the_spread_of_repeated_fits():
    law, thetas = get_law("tied"), []
    for seed in range(60):
        frame = runs(3000, 0.01, seed=seed)
        x = frame["params"].to_numpy(), frame["tokens"].to_numpy()
        fit = fit_large(law, x, frame["loss"].to_numpy())
        thetas.append(fit.theta)
    draws = draw_theta(fit, x, 4000, 0, "test")
    # A standard deviation from 60 fits is known to 9 %.
    np.testing.assert_allclose(np.std(thetas, axis=0), np.std(draws, axis=0), rtol=0.36)
    np.testing.assert_allclose(np.median(draws, axis=0), fit.theta, rtol=0.02)


@pytest.mark.parametrize("rows", [30, LARGE + 1])
def test_intervals_cover_new_runs(rows, fitted):
    covered = []
    rng = np.random.default_rng(7)
    for seed in range(20):
        words, truths = [], []
        for _ in range(10):
            N = 10 ** rng.uniform(7, 9.5)
            D = N * 10 ** rng.uniform(1, 2.5)
            loss = loss_of(np.array([N]), np.array([D])) * (1 + 0.01 * rng.standard_normal())
            truths.append((loss[0], error_of(loss)[0] + 0.005 * rng.standard_normal()))
            words += ["--target", f"params={N!r},tokens={D!r}"]
        frame = runs(rows, 0.01, 0.005, seed=seed)
        record = fitted(frame, *words, "--draws", "400")
        rows_ = record["predictions"]
        for i, truth in enumerate(truths):
            pair = zip((rows_[i], rows_[i + 10]), truth, strict=True)
            covered += [row["lower"] <= value <= row["upper"] for row, value in pair]
    assert len(covered) == 400
    assert 0.84 < np.mean(covered) < 0.96


def test_data_sets_have_laws_and_targets_of_their_own(fitted):
    first, second = runs(12, 0.01, 0.01), runs(13, 0.01, 0.01, seed=1)
    both = pd.concat([first.assign(dataset="a"), second.assign(dataset="b")])
    record = fitted(both, *TARGET, "--target", "params=1e9,tokens=2e10,dataset=b")
    alone = fitted(first)
    assert values(record, dataset="a") == values(alone)
    assert [row["dataset"] for row in record["predictions"]] == ["a", "b", "b"] * 2
    # Eight degrees of freedom are enough for a scatter of its own, three are not.
    assert record["fits"][0]["sigma_source"].startswith("this fit's own residuals, 8 degrees")
    few = pd.concat([runs(7, 0.01, 0.01).assign(dataset="a"), second.assign(dataset="b")])
    assert "other data sets (b)" in fitted(few)["fits"][0]["sigma_source"]


def test_order_of_rows_means_nothing(fitted):
    frame = runs(15, 0.01, 0.01)
    first = fitted(frame, *TARGET)
    assert fitted(frame.iloc[::-1], *TARGET) == first
    assert fitted(frame, *TARGET, "--seed", "1")["predictions"] != first["predictions"]


@pytest.mark.parametrize("rows", [15, LARGE + 50])
def test_unfinished_runs_are_counted_and_never_fitted(rows, fitted, capsys):
    frame = runs(rows)
    lost = frame.copy()
    lost.loc[6, ["loss", "error"]] = [np.nan, 0.9]
    record = fitted(lost)
    assert f"1 of {rows} runs has no finite loss: row 7" in capsys.readouterr().out
    assert record["table"]["unfinished"] == 1
    assert [fit["points"] for fit in record["fits"]] == [rows - 1, rows - 1]
    assert values(record) == values(fitted(frame.drop(index=6)))


def test_further_losses_and_errors_have_laws(fitted):
    frame = runs(15).assign(loss_c4=lambda f: f["loss"] + 0.5, error_arc=lambda f: f["error"] / 2)
    record = fitted(frame)
    assert values(record, "loss_c4")["E"] == pytest.approx(LOSS["E"] + 0.5, rel=1e-6)
    assert values(record, "error_arc")["k"] == pytest.approx(ERROR["k"] / 2, rel=1e-6)


def test_one_data_set_that_refuses_does_not_stop_the_others(fitted, capsys):
    few = runs(2, seed=3).assign(dataset="few")
    record = fitted(pd.concat([runs(12).assign(dataset="many"), few]), *TARGET)
    assert record["fits"][0]["verdict"].startswith("refused: fewer points than parameters: 2")
    row = record["predictions"][0]
    assert (row["dataset"], row["predicted"], row["lower"]) == ("few", None, None)
    assert "fewer points" in row["reason"]
    assert "few, N 7e+09, D 1.4e+11, loss: none, fewer points" in capsys.readouterr().out


def test_output_is_documented_and_readable(fitted, capsys):
    record = fitted(runs(15, 0.01, 0.01), *TARGET, "--level", "0.5")
    text = capsys.readouterr().out
    assert "L = E + A N^-alpha + B D^-alpha" in text
    assert "numbers: found; evidence: " in text and "; 15 points, rmse" in text
    assert (record["schema"], record["version"]) == ("scalebed.fit", 1)
    assert record["settings"]["level"] == 0.5


@pytest.mark.parametrize("rows", [12, LARGE + 100])
def test_rows_that_repeat_others_change_nothing_but_a_warning(rows, fitted, capsys):
    frame = runs(rows, 0.01, 0.005)
    expected = fitted(frame, *TARGET, "--draws", "200")
    before = capsys.readouterr()
    assert before.err == ""
    frame = pd.concat([frame, frame.iloc[[3, 0]]], ignore_index=True)
    again = fitted(frame, *TARGET, "--draws", "200")
    after = capsys.readouterr()
    # The second fit is written over the first, and says so.
    assert after.out == before.out.replace(
        "written: runs.fit.json",
        "written: runs.fit.json, in place of the fit of runs.parquet that was there",
    )
    (sentence,) = again.pop("warnings")
    assert expected.pop("warnings") == []
    assert again == expected
    assert after.err == f"scalebed fit: warning: {sentence}\n"
    assert f"row {rows + 1} repeats row 4, row {rows + 2} repeats row 1" in sentence


def refused(capsys, *words):
    assert main(["fit", *BOOTSTRAP, *words]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    return message


def test_too_few_runs_are_refused_by_name(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    runs(1).to_csv("runs.csv", index=False)
    message = refused(capsys, "runs.csv")
    assert "the tied law is refused (all: fewer points than parameters: 1 points" in message
    assert not (tmp_path / "runs.fit.json").exists()
    runs(4).assign(loss=np.nan).to_csv("runs.csv", index=False)
    assert "4 of 4 runs have no finite loss: rows 1, 2, 3, 4" in refused(capsys, "runs.csv")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--target", "7e9"], "cannot read '7e9'"),
        (["--target", "params=7e9"], "tokens is missing"),
        (["--target", "params=7e9,tokens=x"], "tokens is 'x', expected tokens such as 1.4T"),
        (["--target", "params=-1,tokens=1"], "params is '-1'"),
        (["--target", "params=nan,tokens=1"], "params is 'nan'"),
        (["--target", "params=1,params=2,tokens=1"], "params is given twice"),
        (["--target", "params=7,tokens=140B"], "is a unit missing, as in 7B?"),
        (["--target", "params=1,tokens=1,size=7"], "cannot read 'size=7'"),
        (
            ["--target", "params=1M,tokens=1M,dataset=pile"],
            "no data set 'pile', expected one of",
        ),
        (["--level", "1"], "--level is 1.0"),
        (["--draws", "3"], "--draws is 3"),
        (["--loss-law", "decay"], "expected a law of loss"),
        (["--error-law", "none"], "law 'none' is unknown"),
        (["--out", "runs.csv"], "the table itself"),
    ],
)
def test_bad_words_get_one_sentence(words, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    runs(12).to_csv("runs.csv", index=False)
    assert said in refused(capsys, "runs.csv", *words)


def test_large_tables_take_laws_with_two_exponents(fitted):
    frame = runs(800, 0.01, 0.005)
    record = fitted(frame, *TARGET, "--loss-law", "chinchilla")
    fit = record["fits"][0]
    assert fit["method"].startswith("delta method")
    for found in fit["parameters"].values():
        if found["value"] is not None:
            assert found["lower"] <= found["value"] <= found["upper"]
    loss = record["predictions"][0]
    assert loss["lower"] < loss["predicted"] < loss["upper"]
    # The fit is certain: what is left is the scatter of the new run, 3.29 sigma wide.
    width = (loss["upper"] - loss["lower"]) / loss["predicted"]
    assert 0.0329 * 0.93 < width < 0.0329 * 1.6


def test_delta_draws_of_two_exponents_have_the_spread_of_repeated_fits():
    law, thetas = get_law("chinchilla"), []
    for seed in range(60):
        frame = runs(1500, 0.01, seed=seed)
        x = frame["params"].to_numpy(), frame["tokens"].to_numpy()
        fit = fit_large(law, x, frame["loss"].to_numpy())
        thetas.append(fit.theta)
    draws = draw_theta(fit, x, 4000, 0, "test")
    np.testing.assert_allclose(np.std(thetas, axis=0), np.std(draws, axis=0), rtol=0.36)


def test_options_of_the_loss_law(tmp_path, capsys):
    rng = np.random.default_rng(0)
    params = np.tile(np.geomspace(1e7, 1e9, 5), 4)
    tokens = params * np.repeat([20, 40, 80, 160], 5)
    loss = get_law("tied").value(np.array([1.8, 160.0, 290.0, 0.27]), (params, tokens))
    loss = loss * np.exp(0.003 * rng.standard_normal(20))
    loss[3] *= 1.3
    path = tmp_path / "runs.csv"
    rows = zip(params, tokens, loss, strict=True)
    path.write_text("params,tokens,loss\n" + "".join(f"{n},{d},{y}\n" for n, d, y in rows))
    found = {}
    for name, words in {
        "plain": [],
        "huber": ["--objective", "huber_log"],
        "fixed": ["--fix", "E=1.8", "--fix", "alpha=0.27"],
        "prior": ["--prior", "alpha=0.27,0.001", "--objective", "log_sse"],
    }.items():
        out = tmp_path / f"{name}.json"
        assert (
            main(["fit", *BOOTSTRAP, str(path), "--out", str(out), "--draws", "200", *words]) == 0
        )
        found[name] = json.loads(out.read_text())["fits"][0]["parameters"]
    # One bad run hardly moves Huber's fit.
    assert abs(found["huber"]["alpha"]["value"] - 0.27) < 0.01
    assert abs(found["plain"]["alpha"]["value"] - 0.27) > 0.02
    assert found["fixed"]["E"]["value"] == 1.8 == found["fixed"]["E"]["lower"]
    assert found["prior"]["alpha"]["value"] == pytest.approx(0.27, abs=0.003)
    capsys.readouterr()
    for words, told in (
        (["--fix", "gamma=1"], "law tied has no parameter 'gamma'"),
        (["--fix", "E"], "--fix E: expected NAME=VALUE"),
        (["--prior", "alpha=0.3"], "--prior alpha=0.3: expected NAME=MEAN,SD"),
        (["--delta", "0"], "delta is 0.0, expected a number above 0"),
    ):
        assert main(["fit", *BOOTSTRAP, str(path), "--out", str(tmp_path / "no.json"), *words]) == 2
        assert told in capsys.readouterr().err
    assert not (tmp_path / "no.json").exists()


def test_large_tables_are_resampled_for_other_objectives(tmp_path, capsys):
    rng = np.random.default_rng(0)
    params = np.exp(rng.uniform(np.log(1e7), np.log(1e9), 1200))
    tokens = params * np.exp(rng.uniform(np.log(20), np.log(300), 1200))
    loss = get_law("tied").value(np.array([1.8, 160.0, 290.0, 0.27]), (params, tokens))
    loss = loss * np.exp(0.01 * rng.standard_normal(1200))
    path = tmp_path / "runs.csv"
    rows = zip(params, tokens, loss, strict=True)
    path.write_text("params,tokens,loss\n" + "".join(f"{n},{d},{y}\n" for n, d, y in rows))
    widths = {}
    for objective in ("sse", "log_sse", "huber_log"):
        out = tmp_path / f"{objective}.json"
        words = ["--objective", objective, "--draws", "400", "--target", "params=7e9,tokens=1e12"]
        assert main(["fit", *BOOTSTRAP, str(path), "--out", str(out), *words]) == 0
        record = json.loads(out.read_text())
        alpha = record["fits"][0]["parameters"]["alpha"]
        assert alpha["lower"] < 0.27 < alpha["upper"]
        widths[objective] = alpha["upper"] - alpha["lower"]
        assert ("case bootstrap" in record["fits"][0]["method"]) == (objective != "sse")
    # Least squares of normal errors is efficient; absolute values know sqrt(pi / 2) less.
    assert widths["log_sse"] == pytest.approx(widths["sse"], rel=0.35)
    assert 1.0 < widths["huber_log"] / widths["log_sse"] < 1.7
    capsys.readouterr()
    words = ["--fix", "E=1.8", "--out", str(tmp_path / "no.json")]
    assert main(["fit", *BOOTSTRAP, str(path), *words]) == 2
    assert "above 500 runs parameters cannot be fixed" in capsys.readouterr().err
