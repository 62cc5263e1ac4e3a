"""The frontier and the rises of the loss, on rows that tie."""

import duckdb
import numpy as np
import pandas as pd
import pytest

from scalebed.tables.declared.views import FRONTIER
from scalebed.tables.formats import tensorboard
from scalebed.tables.lints import tasks
from scalebed.tables.lints.arguments import batch_implausible, samples_contradict_tokens
from scalebed.tables.lints.losses import rises
from scalebed.tables.published_numbers import agree
from scalebed.tables.runs_rows import _clash, no_runs


def test_a_cell_that_only_equals_a_cheaper_one_is_not_on_the_frontier():
    rows = [
        ("worse than a of the same compute", 1.0, 3.1),
        ("a", 1.0, 3.0),
        ("equals a for more compute", 2.0, 3.0),
        ("b", 3.0, 2.9),
        ("equals b for the same compute", 3.0, 2.9),
        ("worse", 4.0, 2.95),
        ("c", 5.0, 2.8),
    ]
    database = duckdb.connect()
    database.execute(
        "CREATE TABLE cells (cell VARCHAR, dataset VARCHAR, flops DOUBLE, params BIGINT, "
        "tokens BIGINT, token_multiplier DOUBLE)"
    )
    database.execute("CREATE TABLE losses (cell VARCHAR, validation VARCHAR, loss DOUBLE)")
    for cell, flops, loss in rows:
        database.execute("INSERT INTO cells VALUES (?, 'd', ?, 1, 1, 1)", [cell, flops])
        for text in ("one", "two"):
            database.execute("INSERT INTO losses VALUES (?, ?, ?)", [cell, text, loss])
    found = database.execute(FRONTIER.query).fetchall()
    assert [row[-1] for row in found] == ["a", "b", "c"] * 2
    assert [row[1] for row in found] == ["one"] * 3 + ["two"] * 3


def cells(*rows):
    """Cells of one data set: size, parameters, multiplier, loss, and its interval."""
    names = ["size", "params", "ratio", "loss", "loss_sequences_lower", "loss_sequences_upper"]
    frame = pd.DataFrame(rows, columns=names).assign(dataset="d", recipe="r", seed=0)
    return frame.assign(cell=[f"{size}/{ratio}" for size, _, ratio, *_ in rows])


@pytest.mark.parametrize(
    ("loss", "lower", "apart"),
    # The interval of the better cell ends at 3.1; one that begins there is not apart from it.
    [(3.0, 2.9, False), (3.2, 3.1, False), (3.2, 3.15, True), (3.2, None, None)],
)
def test_a_loss_that_stays_the_same_counts_as_one_that_rises(loss, lower, apart):
    frame = cells(("s", 10, 20, 3.0, 2.9, 3.1), ("s", 10, 40, loss, lower, 3.3))
    found, compared = rises(frame, "M")
    assert compared == 1
    assert [(one.better["ratio"], one.worse["ratio"], one.apart) for one in found] == [
        (20, 40, apart)
    ]


def test_cells_of_equal_order_are_no_pair():
    """Two sizes of as many parameters are compared with larger ones only."""
    frame = cells(
        ("a", 10, 20, 3.0, None, None),
        ("b", 10, 20, 3.2, None, None),
        ("c", 30, 20, 3.1, None, None),
    )
    found, compared = rises(frame, "N")
    assert (found, compared) == ([], 1)
    found, compared = rises(frame.assign(params=[10, 10, 5]), "N")
    assert compared == 1
    assert [(one.better["size"], one.worse["size"]) for one in found] == []


def stated(**values):
    """Cells of 1e6 tokens each and a context of 100; what each says under a key."""
    names = list(next(iter(values.values())))
    fixed = {"status": "done", "tokens": 1e6, "context": 100.0}
    arguments = [
        {"cell": cell, "source": "args", "key": key, "value": value}
        for key, said in values.items()
        for cell, value in said.items()
    ]
    return {
        "cells": pd.DataFrame([{"cell": cell, **fixed} for cell in names]),
        "arguments": pd.DataFrame(arguments),
    }


@pytest.mark.parametrize(
    ("samples", "found"), [(504_000, 0), (496_000, 0), (510_000, 1), (490_000, 1)]
)
def test_samples_may_be_a_hundredth_off(samples, found):
    tables = stated(train_num_samples={"a": str(samples)}, epochs={"a": "2"})
    assert len(list(samples_contradict_tokens(tables, "val"))) == found


@pytest.mark.parametrize(("batch", "found"), [("1.01", 0), ("0.99", 1), ("12", 0)])
def test_a_batch_is_implausible_where_it_means_ten_times_the_steps(batch, found):
    """Of 1e6 tokens 1,000 steps with batches of 10; with 0.99 more than ten times as many."""
    tables = stated(batch_sequences={"a": "10", "b": "10", "c": batch})
    rows = list(batch_implausible(tables, "val"))
    assert [row["cell"] for row in rows] == ["c"] * found


@pytest.mark.parametrize(
    ("value", "printed", "digits", "agrees"),
    [
        (2.4049, "2.40", None, True),
        (2.3951, "2.40", None, True),
        (2.406, "2.40", None, False),
        (2.394, "2.40", None, False),
        (314.9, "300", 1, True),
        (340.0, "300", 2, False),
        (-0.2, "0.3", None, False),
    ],
)
def test_a_value_agrees_within_half_a_unit_of_the_last_digit(value, printed, digits, agrees):
    assert agree(value, printed, digits) == agrees


@pytest.mark.parametrize(
    ("names", "counts"),
    [
        (["1", "2", "3"], True),
        (["0", "1"], True),
        (["2", "3", "4"], False),
        (["1", "3", "4"], False),
        (["3", "1", "2"], False),
        (["1"], False),
    ],
)
def test_a_column_that_counts_from_0_or_1_names_no_runs(names, counts):
    numbers = tuple(np.arange(1.0, len(names) + 1) for _ in range(3))
    why = no_runs("name", {"run": np.array(names, dtype=object)}, numbers)
    assert why == ("it only counts the rows" if counts else "")


@pytest.mark.parametrize(("tests", "limit"), [(0, 2.3263), (1, 2.3263), (10, 3.0902)])
def test_a_model_beats_guessing_beyond_one_per_cent_of_all_tests(tests, limit):
    assert tasks._limit(tests) == pytest.approx(limit, abs=5e-5)


def test_rows_of_one_run_without_a_step_may_not_have_their_tokens_twice():
    runs, params, tokens = np.array([0, 1, 1, 1]), np.full(4, 1e8), np.array([1e9, 1e9, 2e9, 1e9])
    none, steps = np.full(4, np.nan), np.array([1.0, 1.0, 2.0, 3.0])
    assert _clash(runs, (params, tokens, None)) == (3, 1, "tokens")
    assert _clash(runs, (params, tokens, none)) == (3, 1, "tokens")
    assert _clash(runs, (params, tokens, steps)) is None


def test_an_event_file_is_known_by_its_name(tmp_path):
    assert tensorboard.recognises(tmp_path / "events.out.tfevents.17.host", [])
    assert not tensorboard.recognises(tmp_path / "runs.csv", [])
