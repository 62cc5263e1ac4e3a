"""`scalebed suggest` on a table, on a study and on constants."""

import json

import pytest

from scalebed.commands.cli import main

TARGET = ("--target", "params=7B,tokens=140B")


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("suggest") / "runs.csv"
    rows = ["params,tokens,loss"]
    for i, params in enumerate((2e7, 8e7, 1.6e8, 4e8)):
        for j, ratio in enumerate((20, 80, 320)):
            loss = 1.8 + 170 * params**-0.27 + 290 * (ratio * params) ** -0.27
            rows.append(f"{params:g},{ratio * params:g},{loss * (1 + 0.004 * (-1) ** (i + j)):.5f}")
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def said(capsys, *words):
    status = main(["suggest", *map(str, words), "--draws", "500"])
    out = capsys.readouterr()
    return status, out.out, out.err


def test_rows_for_the_table_end_the_text(table, capsys):
    status, out, _ = said(capsys, table, *TARGET, "--count", "2")
    assert status == 0
    assert "are expected to narrow the law from" in out
    assert "laws counted" in out or "law counted" in out
    *_, header, first, second = out.strip().splitlines()
    assert header == "params,tokens"
    assert float(first.split(",")[0]) > 0
    assert second.count(",") == 1


def test_json_has_the_runs_and_the_widths(table, tmp_path, capsys):
    site = tmp_path / "site.yaml"
    site.write_text("gpu: {name: A100, memory_gb: 80, flops: 3.12e14}\n", encoding="utf-8")
    words = (table, "--compute", "1e22", "--budget", "1e20", "--json", "--hardware", site)
    status, out, _ = said(capsys, *words)
    found = json.loads(out)
    assert status == 0
    assert 0 < found["flops"] <= 1e20
    assert sum(run["flops"] for run in found["runs"]) == pytest.approx(found["flops"])
    assert found["runs"][-1]["half_widths"][0] < found["targets"][0]["half_width"]
    hours = found["runs"][0]["flops"] / (3.12e14 * 0.4) / 3600
    assert found["runs"][0]["gpu_hours"] == pytest.approx(hours)
    (target,) = found["targets"]
    assert 6 * target["params"] * target["tokens"] == pytest.approx(1e22)


def test_goals_that_are_met_or_out_of_reach_are_said(table, capsys):
    assert "no run is needed" in said(capsys, table, *TARGET, "--until", "40%")[1]
    out = said(capsys, table, *TARGET, "--until", "0.01%")[1]
    assert "0.01 % cannot be reached within these candidates" in out
    out = said(capsys, table, *TARGET, "--until", "0.0001", "--count", "1")[1]
    assert "cannot be reached with --count 1" in out


def test_candidates_are_those_that_are_named(table, capsys):
    words = ("--sizes", "100M,200M", "--multipliers", "20,40", "--max-flops", "1e19", "--json")
    runs = json.loads(said(capsys, table, *TARGET, *words)[1])["runs"]
    assert {run["params"] for run in runs} <= {1e8, 2e8}
    assert all(run["flops"] <= 1e19 for run in runs)


def test_a_cool_down_prices_branches(table, capsys):
    words = ("--sizes", "400M", "--multipliers", "160", "--count", "1", "--json")
    (alone,) = json.loads(said(capsys, table, *TARGET, *words)[1])["runs"]
    found = json.loads(said(capsys, table, *TARGET, *words, "--cooldown", "20%")[1])
    (run,) = found["runs"]
    assert (found["cooldown"], run["trunk"], alone["trunk"]) == (0.2, True, None)
    assert 0.2 * alone["flops"] < run["flops"] < alone["flops"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((*TARGET, "--cooldown", "20"), "--cooldown is 20, expected a share of the steps"),
        ((), "expected a --target or --compute, and not both"),
        ((*TARGET, "--compute", "1e22"), "expected a --target or --compute, and not both"),
        ((*TARGET, "--budget", "1e10"), "no candidate costs 1e+10 FLOPs or less"),
        ((*TARGET, "--budget", "7"), "is a unit missing"),
        ((*TARGET, "--until", "1"), "--until is 1, which is 1 x the loss"),
        ((*TARGET, "--until", "nan%"), "--until is 'nan'"),
        ((*TARGET, "--kappa", "-1"), "--kappa is -1, expected 0 .. 2"),
    ],
)
def test_bad_input_is_one_sentence(table, capsys, words, message):
    status, out, err = said(capsys, table, *words)
    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


def test_constants_have_nothing_to_narrow(capsys):
    constants = "E=1.69,A=406.4,B=410.7,alpha=.336,beta=.283"
    words = ("--law", "chinchilla", "--params", constants, "--compute", "1e22")
    status, _, err = said(capsys, *words)
    assert status == 2
    assert "there are no draws, so nothing to narrow" in err
