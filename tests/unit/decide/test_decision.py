"""Decisions: caps, demand, regret, and what a page says."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from scalebed.commands.cli import main
from scalebed.core.errors import ScalebedError
from scalebed.decide.costs import Demand, Prices
from scalebed.decide.decision import decide
from scalebed.decide.optimum import Caps, at_compute, at_loss
from scalebed.decide.page import lines
from scalebed.decide.question import Question
from scalebed.decide.record import record
from scalebed.decide.regret import compute_regret, cost_regret, valley
from scalebed.decide.repetition import as_if_new, repetition_of
from scalebed.decide.sources import constant_curve
from scalebed.decide.surface import WORTH, Surface
from scalebed.laws import get_law
from scalebed.study.hardware import Hardware

GIVEN = {"E": 1.69, "A": 406.4, "B": 410.7, "alpha": 0.336, "beta": 0.283}
WORDS = ",".join(f"{name}={value}" for name, value in GIVEN.items())
HOFFMANN = ["--law", "chinchilla", "--params", WORDS]


@pytest.fixture
def surface() -> Surface:
    theta = np.array([list(GIVEN.values()), [1.8, 300.0, 500.0, 0.32, 0.3]])
    return Surface(get_law("chinchilla"), theta)


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """Sixteen runs of Hoffmann's law with half a percent of scatter."""
    rng = np.random.default_rng(3)
    rows = ["params,tokens,loss"]
    for params in np.geomspace(2e7, 4e8, 4):
        for ratio in (5, 20, 80, 320):
            tokens = ratio * params
            loss = 1.69 + 406.4 * params**-0.336 + 410.7 * tokens**-0.283
            rows.append(f"{params:.6g},{tokens:.6g},{loss * (1 + 0.005 * rng.normal()):.6f}")
    path = tmp_path_factory.mktemp("runs") / "runs.csv"
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def test_a_numeric_optimum_is_the_closed_one(surface):
    closed = at_compute(surface, 1e22)
    numeric = at_compute(surface, 1e22, most=1e16)
    np.testing.assert_allclose(numeric.params, closed.params, rtol=1e-6)
    np.testing.assert_allclose(numeric.loss, closed.loss, rtol=1e-12)


def test_a_capped_size_gets_the_rest_of_the_compute(surface):
    capped = at_compute(surface, 1e22, most=1e9)
    np.testing.assert_allclose(capped.params, 1e9)
    np.testing.assert_allclose(capped.tokens, 1e22 / 6e9)


def test_a_lifetime_pays_for_training_and_serving(surface):
    best = at_compute(surface, 1e22, served=1e12)
    np.testing.assert_allclose(best.lifetime(1e12), 1e22, rtol=1e-12)
    for moved in (0.98, 1.02):
        params = best.params * moved
        tokens = (1e22 - 2 * params * 1e12) / (6 * params)
        other = surface.loss(params[:, None], tokens[:, None])[:, 0]
        assert (other > best.loss).all()


def test_the_cheapest_run_of_a_loss_reaches_it_and_nothing_is_cheaper(surface):
    best = at_loss(surface, 2.1, demand=1e12)
    reached = surface.loss(best.params[:, None], best.tokens[:, None])[:, 0]
    np.testing.assert_allclose(reached, 2.1, rtol=1e-12)
    for moved in (0.97, 1.03):
        params = (best.params * moved)[:, None]
        tokens = surface.tokens_for(params, np.full((2, 1), 2.1))
        cost = (6 * params * tokens + 2 * params * 1e12)[:, 0]
        assert (cost > best.lifetime(1e12)).all()


def test_repeated_tokens_are_worth_less_and_the_inverse_says_how_many(surface):
    scarce = Surface(surface.law, surface.theta, 1e11)
    params, tokens = np.array([7e9]), np.array([4e11])
    worth = 1e11 * (1 + WORTH * (1 - np.exp(-3 / WORTH)))
    np.testing.assert_allclose(scarce.loss(params, tokens), surface.loss(params, worth))
    back = scarce.tokens_for(np.full((2, 1), 7e9), scarce.loss(params, tokens))
    np.testing.assert_allclose(back, 4e11, rtol=1e-9)
    # More than 1 + R_D times the tokens there are is never reached.
    assert np.isinf(scarce.tokens_for(np.full((2, 1), 7e9), np.full((2, 1), 1.9))).all()


def test_tokens_of_a_law_without_an_inverse_are_bisected():
    """Kaplan's law with both exponents .5: (1e8 / N + 1e8 / D)^.5 over 1, of 1e9 parameters."""
    theta = np.array([[1.0, 1e4, 1e4, 0.5, 0.5]])
    kaplan = Surface(get_law("kaplan"), theta)
    params = np.full((1, 1), 1e9)
    # .5^2 = .1 + .15; no tokens make up for the size below 1 + .1^.5.
    assert kaplan.tokens_for(params, np.full((1, 1), 1.5)) == pytest.approx(1e8 / 0.15)
    assert np.isinf(kaplan.tokens_for(params, np.full((1, 1), 1 + 0.099**0.5)))


def test_regret_follows_from_the_exponents(surface):
    sizes = at_compute(surface, 1e22).params[0] * np.array([0.5, 1.0, 2.0])
    found = compute_regret(surface, sizes, 1e22)[0]
    floor, _, _, alpha, beta = surface.theta[0]
    best = at_compute(surface, 1e22).loss[0]
    loss = surface.loss(sizes, 1e22 / 6 / sizes)[0]
    slope = alpha * beta / (alpha + beta)
    np.testing.assert_allclose(
        found, 1 - ((loss - floor) / (best - floor)) ** (-1 / slope), atol=2e-5
    )
    assert found[1] == pytest.approx(0, abs=1e-6)


def test_the_regret_at_a_loss_is_the_cost_that_could_be_saved(surface):
    best = at_loss(surface, 2.1, 1e12)
    sizes = np.array([best.params[0], 2 * best.params[0]])
    found = cost_regret(surface, sizes, 2.1, 1e12)[0]
    tokens = surface.tokens_for(np.full((2, 1), sizes[1]), np.full((2, 1), 2.1))[0, 0]
    cost = 6 * sizes[1] * tokens + 2 * sizes[1] * 1e12
    assert found[0] == pytest.approx(0, abs=1e-9)
    assert found[1] == pytest.approx(1 - best.lifetime(1e12)[0] / cost, rel=1e-9)


def test_nine_of_ten_draws_have_to_agree():
    regret = np.full((10, 3), 0.002)
    regret[0, 0] = regret[:2, 1] = 0.5
    found = valley(np.array([1e9, 2e9, 3e9]), regret)
    np.testing.assert_allclose(found.share, [0.9, 0.8, 1.0])
    assert found.range == (1e9, 3e9)
    assert found.most[1] == 0.5


def test_prices_of_both_make_a_served_token_what_it_costs():
    gpu = {"name": "A", "memory_gb": 80, "flops": 100.0, "utilization": 0.5, "price_per_hour": 2}
    serving = {"name": "B", "flops": 200.0, "price_per_hour": 1}
    serving |= {"utilization_input": 0.5, "utilization_output": 0.25}
    prices = Prices(Hardware.model_validate({"gpu": gpu, "serving": serving}))
    # Training: 2 / 50 a FLOP; reading 1 / 100, writing 1 / 50.
    assert prices.equivalent(Demand(read=100.0, written=100.0)) == pytest.approx(25 + 50)
    assert prices.flops(2.0) == pytest.approx(50 * 3600)
    assert prices.most_flops(1.0, 3) == pytest.approx(86400 * 50 * 3)


def test_a_page_says_what_was_asked_in_its_order(runs, capsys):
    words = [str(runs), "--compute", "1e21", "--serve-tokens", "2T", "--max-params", "2B"]
    assert main(["decide", *words, "--unique-tokens", "100B", "--size", "1B"]) == 0
    page = capsys.readouterr().out
    heads = (
        "What to train",
        "What it gives",
        "How wrong you may be",
        "The alternatives",
        "What it rests on",
    )
    places = [page.index(f"\n{head}\n") for head in heads]
    assert places == sorted(places)
    for name in ("compute-optimal", "served", "memory-capped", "data-capped"):
        assert f"\n  {name}" in page
    assert "N 1B wastes" in page
    assert "nothing of how uncertain it is" in page
    assert "Law chinchilla knows no repetitions" in page[places[1] : places[2]]


def test_what_repetitions_are_worth_has_the_interval_of_its_draws():
    law = get_law("constrained")
    given = {"E": 1.7, "A": 400.0, "B": 400.0, "alpha": 0.35, "R_D": 15.0, "R_N": 5.0}
    curve = constant_curve("constrained", given)
    draws = np.tile(curve.theta, (1001, 1))
    draws[:, 4] = np.linspace(10, 20, 1001)
    found = repetition_of(replace(curve, theta=draws), 1e10)
    assert found == (pytest.approx(15), (pytest.approx(10.5), pytest.approx(19.5)), False)
    assert found.words == "Repeated tokens are worth R_D 15 (10.5 .. 19.5), drawn with the law."
    assert repetition_of(curve, 1e10).words == "Repeated tokens are worth R_D 15."
    assert repetition_of(curve, None) is None
    assert as_if_new(curve, 1e11, 1e10) is None
    assert "unique_tokens" in law.inputs


def test_a_law_that_knows_no_repetitions_says_so_where_it_predicts_some(runs, capsys):
    curve = constant_curve("chinchilla", GIVEN)
    assert repetition_of(curve, 1e10).record() == {
        "value": WORTH,
        "interval": None,
        "borrowed": True,
    }
    assert as_if_new(curve, 1e11, None) is None
    assert as_if_new(curve, 1e10, 1e10) is None
    said = "law chinchilla knows no repetitions, so this is predicted as if all 100B tokens were"
    assert as_if_new(curve, 1e11, 1e10).startswith(said)
    words = ["--params", WORDS, "--law", "chinchilla", "--target"]
    assert main(["predict", *words, "params=1B,tokens=100B,unique=10B"]) == 0
    assert f"    note: {said}" in capsys.readouterr().out
    assert main(["predict", *words, "params=1B,tokens=100B"]) == 0
    assert "note" not in capsys.readouterr().out
    both = "params=1B,tokens=100B,unique=10B", "--target", "params=1B,tokens=100B"
    assert main(["predict", *words, *both, "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    repeated, fresh = found["predictions"]
    assert repeated["note"].startswith(said)
    assert fresh["note"] is None
    assert main(["decide", *words[:-1], "--compute", "1e22", "--unique-tokens", "10B"]) == 0
    assert "Law chinchilla knows no repetitions" in capsys.readouterr().out


def test_json_has_the_same_answer(runs, capsys):
    assert main(["decide", str(runs), "--compute", "1e21", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    answer = found["answer"]
    low, high = answer["params_interval"]
    assert low < answer["params"] < high
    assert answer["training_flops"] == pytest.approx(1e21)
    # The truth of the runs: N* = G (C / 6)^a.
    best = at_compute(Surface(get_law("chinchilla"), np.array([list(GIVEN.values())])), 1e21)
    assert low < best.params[0] < high
    assert found["gives"][0]["response"] == "loss"
    assert len(found["regret"]["valley"]) > 50


def test_constants_have_no_interval_and_say_so(capsys):
    assert main(["decide", *HOFFMANN, "--compute", "1e24"]) == 0
    page = capsys.readouterr().out
    assert "N 53.7B on D 3.1T tokens, M 57.8." in page
    assert "if these constants are true" in page


def test_a_dear_answer_says_how_far_it_exceeds_the_budget(surface):
    curve = constant_curve("chinchilla", GIVEN)
    found = decide(curve, Question(flops=1e22, demand=2e12))
    text = "\n".join(lines(found, Prices()))
    times = found.answer.flops / 1e22
    assert times > 1.1
    assert f"{times:.3g} times the training compute asked about" in text
    assert record(found, Prices())["answer"]["gpu_hours"] is None


def test_time_that_does_not_suffice_is_refused():
    curve = constant_curve("chinchilla", GIVEN)
    with pytest.raises(ScalebedError, match="--max-days allows 1e\\+22"):
        decide(curve, Question(loss=1.9, caps=Caps(flops=1e22)))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--loss", "1.6"], "the law's least loss is"),
        (["--compute", "1e22", "--serve-tokens", "-5"], "--serve-tokens is '-5'"),
        (["--compute", "22"], "is a unit missing"),
        (["--compute", "1e22", "--loss", "2"], "not --compute and --loss"),
        ([], "not none of them"),
        (["--money", "1000"], "needs --hardware"),
        (["--compute", "1e22", "--max-days", "3"], "--max-days needs --hardware"),
        (["--loss", "2", "--lifetime"], "--lifetime is about a budget"),
        (["--compute", "1e22", "--requests", "5"], "needs --input-tokens"),
        (["--compute", "1e22", "--input-tokens", "5"], "are of --requests"),
        (["--compute", "1e22", "--size", "7"], "as in 7B"),
    ],
)
def test_bad_questions_are_one_sentence(words, said, capsys):
    assert main(["decide", *HOFFMANN, *words]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert said in error


def test_a_budget_below_the_smallest_run_and_laws_without_optimum(runs, capsys):
    assert main(["decide", str(runs), "--compute", "1e12"]) == 2
    assert "below the smallest run of" in capsys.readouterr().err
    assert main(["decide", str(runs), "--compute", "1e20", "--law", "log_linear"]) == 2
    assert "it has no optimum there" in capsys.readouterr().err


def test_constants_that_are_not_the_laws_are_named(capsys):
    assert main(["decide", "--law", "tied", "--params", "E=1", "--compute", "1e20"]) == 2
    assert "--params has E, expected E, A, B, alpha of law tied" in capsys.readouterr().err


def test_predictions_say_how_far_and_what_they_contain(runs, capsys):
    assert main(["predict", str(runs), "--target", "params=1B,tokens=20B"]) == 0
    page = capsys.readouterr().out
    assert "N 1B, D 20B, " in page and "x the largest compute of the data" in page
    assert "contains: 90% prediction interval" in page
    assert main(["predict", str(runs), "--target", "params=1B,tokens=20B", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    (row,) = found["predictions"]
    assert row["lower"] < 1.69 + 406.4 * 1e9**-0.336 + 410.7 * 2e10**-0.283 < row["upper"]
    assert main(["predict", str(runs), "--target", "params=7,tokens=20B"]) == 2
    assert "as in 7B" in capsys.readouterr().err


def test_neither_torch_nor_snakemake_is_needed(runs):
    code = (
        "import sys; from scalebed.commands.cli import main; "
        f"main(['decide', {str(runs)!r}, '--compute', '1e21']); "
        "assert not {'torch', 'snakemake'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
