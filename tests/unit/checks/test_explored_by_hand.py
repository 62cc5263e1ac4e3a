"""What is explored and judged, on a handful of rows."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from scalebed.checks.contrasts import compare
from scalebed.checks.explore import subset_designs
from scalebed.checks.tournament import verdict


def test_a_target_is_predicted_from_cheaper_cells_alone(monkeypatch):
    """Of seven other cells five are cheaper; one costs as much and one more."""
    flops = [1.0, 2.0, 3.0, 4.0, 5.0, 9.0, 10.0, 9.0]
    cells = pd.DataFrame({"flops": flops, "params": flops, "tokens": flops, "loss": 3.0})
    cells["target"] = [False] * 7 + [True]
    cells = cells.assign(fit_error=False, fit_loss=False, predicted_loss=3.0, error=np.nan, M=20.0)
    seen = []
    monkeypatch.setattr(subset_designs, "fit_designs", lambda law, x, *given: seen.append(given[1]))
    monkeypatch.setattr(subset_designs, "_rows", lambda *given: [])
    laws = SimpleNamespace(parameters=("E", "A", "B")), None
    options = {"size": "", "ratio": 0, "max_ratio": 0, "designs": 5, "seed": 0}
    assert subset_designs._explored(cells, laws, options) == []
    assert seen[0].tolist() == [1.0, 2.0, 3.0, 4.0, 5.0]


def row(kind, response, scope="response"):
    return {"kind": kind, "response": response, "scope": scope, "family": "N", "split": "mean, N"}


@pytest.mark.parametrize("family", ["N", "M", None])
def test_single_tasks_have_no_verdict_and_averages_do(monkeypatch, family):
    monkeypatch.setattr(verdict, "_sentence", lambda rows: rows[0]["response"])
    rows = [
        *(row("loss", "val"), row("error", verdict.AVERAGE), row("error", "one task")),
        *(row("error", "own average"), row("error", "own average", "tasks")),
        row("error", "no responses", "tasks"),
    ]
    assert verdict.verdicts(rows, family) == ["val", verdict.AVERAGE, "own average"]


def test_targets_within_three_per_cent_are_one():
    """Two data sets with the same target but for whole steps, and one that is larger in D alone."""
    one = SimpleNamespace(
        params=np.array([1e8, 1e9, 5e9]),
        tokens=np.array([2e9, 2e10, 1e11]),
        target=np.array([False, True, True]),
    )
    other = SimpleNamespace(
        params=np.array([1e9, 1e9]), tokens=np.array([2.04e10, 9e10]), target=np.ones(2, bool)
    )
    found = compare._targets(SimpleNamespace(runs=[one, other]))
    known = [(target.params, target.tokens) for target in found]
    assert known == [(1e9, 2e10), (1e9, 9e10), (5e9, 1e11)]
