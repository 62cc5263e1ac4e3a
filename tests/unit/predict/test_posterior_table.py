"""`scalebed fit --interval posterior`: tables, two data sets, errors, refusals, evidence."""

import json

import numpy as np
import pytest

from scalebed.commands.cli import main
from scalebed.fit.posterior import Points
from scalebed.predict.forward import HELD, MISSED, UNTRIED, Forward, Rung, forward


def law(params, tokens):
    return 1.84 + 166 * params**-0.273 + 287 * tokens**-0.273


def write(path, sets, errors=False):
    lines = ["dataset,params,tokens,loss" + (",error" if errors else "")]
    for name, (params, tokens, loss) in sets.items():
        for row in zip(params.tolist(), tokens.tolist(), loss.tolist(), strict=True):
            error = f",{0.85 - 2 * np.exp(-0.75 * row[2]):.6f}" if errors else ""
            lines.append(",".join([name, *map(repr, row)]) + error)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def runs(seed=0, sd=0.003, sizes=(2e7, 4e7, 8e7, 1.6e8, 4e8)):
    draw = np.random.default_rng(seed)
    params = np.repeat(sizes, 3)
    tokens = params * np.tile([20.0, 60.0, 180.0], len(sizes))
    return params, tokens, law(params, tokens) * (1 + sd * draw.standard_normal(params.size))


def fit(path, *words):
    out = path.with_suffix(".json")
    target = "params=2e9,tokens=4e10"
    assert (
        main(
            [
                "fit",
                str(path),
                "--interval",
                "posterior",
                "--target",
                target,
                "--out",
                str(out),
                *words,
            ]
        )
        == 0
    )
    return json.loads(out.read_text(encoding="utf-8"))


def test_two_data_sets_with_errors(tmp_path, capsys):
    path = write(tmp_path / "runs.csv", {"a": runs(0), "b": runs(1, 0.001)}, errors=True)
    found = fit(path, "--level", "0.98")
    said = capsys.readouterr().out
    by = {(row["dataset"], row["kind"]): row for row in found["fits"]}
    assert by["a", "loss"]["sigma_source"].endswith("with the scatter of b")
    assert by["a", "loss"]["evidence"].startswith(f"{HELD}: of 2 sizes predicted")
    assert by["a", "loss"]["numbers"] == "found"
    assert by["a", "loss"]["outlying"] == []
    assert "certified" not in by["a", "loss"]["verdict"]
    assert by["a", "loss"]["verdict"] != by["b", "loss"]["verdict"]
    assert "evidence: held: of 2 sizes predicted from the smaller ones, 2 inside 98%" in said
    truth = law(2e9, 4e10)
    for row in found["predictions"]:
        wanted = truth if row["kind"] == "loss" else 0.85 - 2 * np.exp(-0.75 * truth)
        assert row["lower"] < wanted < row["upper"]
    widths = {
        row["dataset"]: row["upper"] - row["lower"]
        for row in found["predictions"]
        if row["kind"] == "loss"
    }
    assert widths["b"] < widths["a"]


def test_a_prior_of_alpha_replaces_the_usual_one(tmp_path):
    path = write(tmp_path / "runs.csv", {"a": tuple(c[:4] for c in runs())})
    loose, tight = fit(path), fit(path, "--prior", "alpha=0.5,0.01")
    alpha = [found["fits"][0]["parameters"]["alpha"]["value"] for found in (loose, tight)]
    assert alpha[1] == pytest.approx(0.5, abs=0.03)
    assert abs(alpha[0] - 0.5) > 0.1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--loss-law", "tied"], "interval posterior is for law chinchilla, not tied"),
        (["--fix", "E=1.8"], "takes a prior of alpha and no more"),
        (["--prior", "E=1.8,0.1"], "takes a prior of alpha and no more, not E"),
        (["--objective", "huber_log"], "no more, not objective huber_log"),
    ],
)
def test_what_a_posterior_has_no_place_for_is_refused(tmp_path, capsys, words, said):
    path = write(tmp_path / "runs.csv", {"a": runs()})
    assert main(["fit", str(path), "--interval", "posterior", *words]) == 2
    assert said in capsys.readouterr().err


def test_a_data_set_of_two_runs_is_refused_and_the_other_is_fitted(tmp_path):
    few = tuple(column[:2] for column in runs(1))
    found = fit(write(tmp_path / "runs.csv", {"a": runs(), "few": few}))
    by = {row["dataset"]: row for row in found["fits"]}
    assert by["few"]["reason"] == "2 runs, expected at least 3"
    assert by["a"]["status"] == "fitted"


def test_a_law_that_stops_holding_is_missed_where_the_data_show_it():
    params, tokens, loss = runs(sd=0.001, sizes=(1e7, 2e7, 4e7, 8e7, 1.6e8, 3.2e8))
    assert forward(Points(params, tokens, loss)).verdict == HELD
    off = np.where(params > 3e8, 1.06, 1.0)
    found = forward(Points(params, tokens, loss * off))
    assert found.verdict == MISSED
    assert found.rungs[-1].deviation == pytest.approx(0.06, abs=0.01)
    assert "the largest is +" in found.words
    few = params < 5e7
    assert forward(Points(params[few], tokens[few], loss[few])).verdict == UNTRIED


def test_one_small_size_outside_in_ten_is_what_ninety_per_cent_means():
    inside, outside = Rung(1e8, 3, 0.0, True), Rung(1e8, 3, 0.01, False)
    assert Forward((outside, inside, inside, inside), 0.9).verdict == HELD
    assert Forward((outside, outside, inside, inside), 0.9).verdict == HELD
    # P(2 or more of 3 outside) = 3 * .01 * .9 + .001 = 2.8 %.
    assert Forward((outside, outside, inside), 0.9).verdict == MISSED
    assert Forward((inside, inside, outside), 0.9).verdict == MISSED
