"""The frontier and the rises of the loss, on rows that tie."""

import duckdb
import pandas as pd
import pytest

from scalebed.tables.declared.views import FRONTIER
from scalebed.tables.lints.losses import rises


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
