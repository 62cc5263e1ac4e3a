"""Classes of tasks, and the tests they rest on."""

import numpy as np
import pytest
from extrapolation_study import losses, open_tables, task_tables

from scalebed.checks.reliability.classes import CLASSES, classify_tasks
from scalebed.checks.reliability.evidence import (
    Stratum,
    above_chance,
    noise,
    trend,
    turning,
)
from scalebed.checks.reliability.table import TABLE
from scalebed.tables.arrow import read_table, write_rows

SETS = ("one", "two")
CHANCE = 0.75
ITEMS = 2000


def measured(truth, rng, items=ITEMS):
    """Error rates of `items` items each."""
    return rng.binomial(items, np.clip(truth, 0, 1)) / items


def truths():
    """True errors by class; the losses fall from 4 to 2."""
    loss = losses()
    share = (4 - loss) / 2
    return {
        "predictable": 0.75 - 0.5 * share,
        "at chance": np.full(loss.size, 0.75),
        "inverse": 0.70 + 0.08 * share,
        "non-monotone": 0.70 - 0.3 * np.sin(np.pi * share),
        "noisy": 0.66 + 0.12 * np.where(np.arange(loss.size) % 2, 1, -1) - 0.06 * share,
    }


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(3)
    errors = {name: {k: measured(v, rng) for k, v in truths().items()} for name in SETS}
    return classify_tasks(open_tables(task_tables(errors, ITEMS, CHANCE)))


def row_of(rows, task, dataset="all"):
    return next(row for row in rows if (row["task"], row["dataset"]) == (task, dataset))


@pytest.mark.parametrize("name", CLASSES)
def test_every_class_is_found(rows, name):
    row = row_of(rows, name)
    assert row["class"] == name
    assert row["runs"] == 48
    assert row["sentence"].startswith(f"{name}: {name}: ")
    told = "cannot be predicted from the loss" in row["sentence"]
    assert told == (name != "predictable")


def test_a_lone_data_set_may_be_called_all():
    errors = {"all": {k: measured(v, np.random.default_rng(3)) for k, v in truths().items()}}
    found = classify_tasks(open_tables(task_tables(errors, ITEMS, CHANCE)))
    assert [row["dataset"] for row in found] == ["all"] * 5


def test_rows_are_for_all_data_sets_and_for_each(rows):
    assert [row["dataset"] for row in rows] == ["all"] * 5 + ["one"] * 5 + ["two"] * 5
    assert all(list(row) == TABLE.names for row in rows)
    assert row_of(rows, "predictable", "one")["class"] == "predictable"
    assert row_of(rows, "predictable")["gain"] == pytest.approx(0.25 + 0.5 / 3, abs=0.04)
    assert row_of(rows, "predictable")["range"] == pytest.approx(0.5, abs=0.03)
    assert row_of(rows, "at chance")["q_chance"] > 0.05


def test_q_values_are_those_of_benjamini_and_hochberg(rows):
    own = [row for row in rows if row["dataset"] == "all"]
    for test in ("trend", "chance", "turn"):
        p = np.array([row[f"p_{test}"] for row in own])
        order = np.argsort(p)
        scaled = p[order] * p.size / np.arange(1, p.size + 1)
        expected = np.minimum.accumulate(scaled[::-1])[::-1].clip(max=1)
        found = np.array([row[f"q_{test}"] for row in own])[order]
        np.testing.assert_allclose(found, expected)


def test_columns_of_the_parquet(tmp_path, rows):
    write_rows(TABLE, rows, tmp_path / "reliability.parquet")
    read = read_table(TABLE, tmp_path / "reliability.parquet").to_pylist()
    assert sorted(read, key=str) == sorted(rows, key=str)


def test_tasks_without_a_trend_are_rarely_called_anything_else():
    # 150 studies of 20 tasks at chance: any class but "at chance" is a false discovery.
    rng = np.random.default_rng(11)
    studies, wrong = 150, 0
    for _ in range(studies):
        errors = {"one": {f"t{i}": measured(truths()["at chance"], rng) for i in range(20)}}
        found = classify_tasks(open_tables(task_tables(errors, ITEMS, CHANCE)))
        wrong += any(row["class"] != "at chance" for row in found)
    # Three tests, each with a false discovery rate of 5 %, of which two cannot err alone.
    assert wrong / studies <= 0.15


def test_a_plateau_is_no_turn():
    # Errors that fall, then stay: at the floor and at chance alike.
    rng = np.random.default_rng(5)
    share = (4 - losses()) / 2
    false = 0
    for _ in range(300):
        truth = 0.75 - 0.4 * np.minimum(share, 0.5)
        error = measured(truth, rng)
        false += turning([Stratum(losses(), error, np.zeros(24))]) < 0.05
    assert false / 300 <= 0.05


@pytest.mark.parametrize("n", [2, 3, 15, 33, 34, 60])
def test_trend_of_one_stratum_is_kendall_s(n):
    from scipy.stats import kendalltau

    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((2, n))
    swapped = np.arange(float(n))
    swapped[:2] = 1, 0
    # Exact and normal p values, ties in one and in both, perfect order and one pair less.
    pairs = [(x, y), (y, x), (x, np.round(y)), (np.round(x), np.round(y)), (x, x), (x, -x)]
    pairs += [(np.arange(n), swapped), (np.arange(n), -swapped)]
    for first, second in pairs:
        if np.ptp(first) == 0 or np.ptp(second) == 0:
            continue
        found = trend([Stratum(first, second, np.zeros(n))])
        rising, falling = (
            kendalltau(first, second, alternative=way) for way in ("greater", "less")
        )
        assert found.tau == rising.statistic
        assert (found.rising, found.falling) == (rising.pvalue, falling.pvalue)
    assert trend([Stratum(x, y, np.zeros(n))]).p == pytest.approx(kendalltau(x, y).pvalue)


def test_trend_of_strata_has_its_level_and_agrees_with_one_stratum():
    rng = np.random.default_rng(4)
    p = []
    for _ in range(2000):
        strata = []
        for shift in (0.0, 5.0, -3.0):
            error = np.round(rng.standard_normal(12) + shift, 1)
            strata.append(Stratum(rng.standard_normal(12) + shift, error, np.zeros(12)))
        p.append(trend(strata).p)
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=0.015)
    assert np.mean(np.array(p) < 0.5) == pytest.approx(0.5, abs=0.05)
    x = np.arange(20.0)
    rising = [Stratum(x, x, 0 * x), Stratum(x, x + 9, 0 * x)]
    assert trend(rising).tau == pytest.approx(1.0)
    assert trend(rising).rising < 1e-9
    assert trend([Stratum(x, -x, 0 * x)] * 2).tau == pytest.approx(-1.0)


def test_equal_errors_have_no_trend_and_cannot_be_predicted():
    x = np.arange(8.0)
    assert trend([Stratum(x, np.ones(8), 0 * x)]) == (found := trend([]))
    assert (found.tau, found.p) == (0.0, 1.0)
    errors = {"one": {"flat": np.full(24, 0.75)}}
    (row,) = classify_tasks(open_tables(task_tables(errors, ITEMS, CHANCE)))
    assert row["class"] == "at chance"
    assert row["noise_share"] is None


def test_chance_is_judged_by_runs_of_low_loss_and_no_surer_than_one_of_them():
    loss = np.arange(9.0)
    error = np.array([0.60, 0.62, 0.64, *[0.2] * 6])
    gain, p = above_chance([Stratum(loss, error, np.full(9, 0.1))], 0.75)
    assert gain == pytest.approx(0.13)
    assert p == pytest.approx(0.0968, abs=1e-4)
    assert above_chance([Stratum(loss, error, np.zeros(9))], 0.75)[1] == 0.0


def test_noise_is_the_scatter_about_a_monotone_curve():
    rng = np.random.default_rng(6)
    x = np.linspace(0, 1, 400)
    y = 0.2 + 0.5 * x**3 + 0.01 * rng.standard_normal(400)
    found = noise([Stratum(x, y, np.full(400, 0.002))], increasing=True)
    assert found.scatter == pytest.approx(0.01, rel=0.15)
    assert found.range == pytest.approx(0.5, rel=0.1)
    assert found.total == found.scatter
    assert noise([Stratum(x, y, np.full(400, 0.5))], increasing=True).total == 0.5


def test_without_chance_or_with_few_runs():
    rng = np.random.default_rng(8)
    errors = {"one": {"task": measured(truths()["predictable"], rng)}}
    found = task_tables(errors, ITEMS, CHANCE)
    for row in found["tasks"]:
        row["chance_error"] = None
    (row,) = classify_tasks(open_tables(found))
    assert row["class"] == "predictable"
    assert row["p_chance"] is None
    cells = [row["cell"] for row in found["cells"]][:4]
    few = {name: [row for row in found[name] if row["cell"] in cells] for name in found}
    (row,) = classify_tasks(open_tables(few))
    assert row["class"] == "noisy"
    assert "cannot be judged, as there are 4 runs" in row["sentence"]


def test_the_error_law_is_the_one_that_extrapolates_best(rows):
    base = {"kind": "error", "scope": "response", "route": "two-step", "family": "N", "refused": 0}
    base |= {"split": "N<=1B"}
    table = [
        base | {"response": "noisy", "law": "decay", "error": 9.0},
        base | {"response": "noisy", "law": "sigmoid", "error": 4.0},
        base | {"response": "noisy", "law": "linear", "error": 1.0, "refused": 1},
    ]
    rng = np.random.default_rng(3)
    errors = {"one": {"noisy": measured(truths()["noisy"], rng)}}
    (row,) = classify_tasks(open_tables(task_tables(errors, ITEMS, CHANCE)), table)
    assert row["error_law"] == "sigmoid"
    assert all(row["error_law"] is None for row in rows)
