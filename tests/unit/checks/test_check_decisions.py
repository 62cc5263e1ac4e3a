"""Decisions of a study: the best run of a known law, what other wishes cost, and the words."""

import numpy as np
import pytest
import synthetic_study as synthetic
from extrapolation_study import open_tables, study

from scalebed.checks.decisions import section, text
from scalebed.checks.decisions.check import lines, measure
from scalebed.checks.decisions.decisions import CAPPED, SERVED, TIMES
from scalebed.laws import get_law


@pytest.fixture(scope="module")
def rows():
    return measure(study(), 1)


def of(rows, choice, times=10.0):
    return [
        row
        for row in rows
        if row["choice"] == choice and row["times_largest"] == pytest.approx(times)
    ]


def test_every_data_set_is_asked_at_every_compute(rows):
    sets = {row["dataset"] for row in rows}
    assert len(sets) > 1
    for times in TIMES:
        for choice in ("optimum", "served", "memory", "data"):
            assert {row["dataset"] for row in of(rows, choice, times)} == sets


def test_the_best_run_is_that_of_the_law(rows):
    for row in of(rows, "optimum"):
        theta = np.asarray(synthetic.TRUTH[row["dataset"]])
        best = get_law("tied").compute_optimal(theta, np.array(row["flops"]))
        assert row["params"] == pytest.approx(float(best.params), rel=0.02)
        assert row["training_flops"] == pytest.approx(row["flops"])


def test_other_wishes_keep_what_they_assume(rows):
    for best in of(rows, "optimum"):
        served, memory, data = (
            next(row for row in of(rows, name) if row["dataset"] == best["dataset"])
            for name in ("served", "memory", "data")
        )
        assert served["params"] < best["params"]
        assert served["predicted"] == pytest.approx(best["predicted"], rel=1e-3)
        demand = SERVED * best["tokens"]
        life = [row["training_flops"] + 2 * row["params"] * demand for row in (served, best)]
        assert life[0] < life[1]
        assert memory["params"] == pytest.approx(best["params"] / CAPPED)
        assert memory["predicted"] > best["predicted"]
        assert data["predicted"] > best["predicted"]


def test_sizes_waste_nothing_at_the_best_one_and_more_on_both_sides(rows):
    best = of(rows, "optimum")[0]
    sizes = [row for row in of(rows, "size") if row["dataset"] == best["dataset"]]
    regret = np.array([row["regret"] for row in sizes])
    least = int(np.argmin(regret))
    assert regret[least] < 1e-3
    assert (np.diff(regret[: least + 1]) <= 0).all() and (np.diff(regret[least:]) >= 0).all()
    assert (regret <= [row["regret_most"] + 1e-12 for row in sizes]).all()


def test_words_name_n_and_d_with_their_intervals(rows):
    said = list(lines(study(), rows))
    assert len(said) == len([row for row in rows if row["choice"] == "optimum"])
    row = of(rows, "optimum")[0]
    assert text.best(row) in said[2]
    assert text.best(row).count(" .. ") == 2
    assert text.best(row | {"params_lower": None}).count(" .. ") == 1


def test_a_study_without_a_loss_law_decides_nothing():
    tables = synthetic.tables()
    for row in tables["cells"]:
        row["fit_loss"] = row["fit_error"] = False
    assert measure(open_tables(tables), 1) == []


def test_the_section_says_which_sizes_cost_little():
    sizes = [
        {"params": 1e9, "share_small": 0.95, "regret_most": 0.004},
        {"params": 2e9, "share_small": 0.91, "regret_most": 0.009},
        {"params": 3e9, "share_small": 0.2, "regret_most": 0.2},
    ]
    assert "N from 1B to 2B wastes under 1 %" in section._wrong(sizes)
    assert "the safest, 3B, wastes up to 20%" in section._wrong(sizes[2:])
