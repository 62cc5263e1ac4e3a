"""Configurations of a search as rows, worked out by hand."""

import json

import pytest

from scalebed.core.errors import ScalebedError
from scalebed.tables.imports.search_grid import read_grid

KEY = "d=96_l=2_h=4-4-0.003-0.033-4-{tokens}-100-3e-05"


def test_configurations_are_rows_by_compute_and_then_loss(tmp_path):
    """Width 96 has feed-forward layers of 256, and a vocabulary of 50,432 twice.

    2 * 50,432 * 96 + 2 * (4 * 96^2 + 3 * 96 * 256 + 2 * 96) + 96 parameters. Steps have 8 * 4
    sequences of 2048 tokens.
    """
    path = tmp_path / "grid.json"
    long, short = KEY.format(tokens=100_000_000), KEY.format(tokens=65_536_000)
    worse = short.replace("0.003", "0.01")
    path.write_text(json.dumps({long: 3.25, worse: 4, short: 3.5}), encoding="utf-8")
    rows = read_grid(path)
    assert [(row["configuration"], row["loss"]) for row in rows] == [
        (short, 3.5),
        (worse, 4.0),
        (long, 3.25),
    ]
    assert {row["params"] for row in rows} == {9_682_944 + 221_568 + 96}
    assert [row["lr"] for row in rows] == [0.003, 0.01, 0.003]
    assert [row["ratio"] for row in rows] == [6, 6, 10]
    assert [row["steps"] for row in rows] == [1000.0, 1000.0, 1525.87890625]
    assert rows[2]["flops"] == pytest.approx(6e8 * 9_904_608)
    assert {row["batch_sequences"] for row in rows} == {32}


@pytest.mark.parametrize("text", ["{}", "[]", "[1]", "3"])
def test_what_has_no_configurations_is_no_search(tmp_path, text):
    path = tmp_path / "grid.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ScalebedError, match=r"grid.json is no search: expected a JSON object"):
        read_grid(path)
