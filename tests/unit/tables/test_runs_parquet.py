"""Tables of runs in parquet, with columns that no CSV has."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scalebed.core.errors import ScalebedError
from scalebed.tables.repeats import first_equal
from scalebed.tables.runs_file import read_runs

COLUMNS = {
    "params": [1e7, 2e7, 4e7],
    "tokens": [2e8, 4e8, 8e8],
    "loss": [3.0, 2.9, 2.8],
}


def written(folder: Path, columns: dict[str, object]) -> Path:
    """Write a table."""
    path = folder / "runs.parquet"
    pq.write_table(pa.table(columns), path)
    return path


def test_rows_with_lists_and_records_are_compared() -> None:
    table = pa.table(
        {"tags": [["a"], ["b"], ["a"], ["a"]], "config": [{"lr": x} for x in (1, 1, 1, 2)]}
    )
    np.testing.assert_array_equal(first_equal(table, {}), [0, 1, 0, 3])


@pytest.mark.parametrize("more", [[["a"], ["b"], []], [{"lr": 1}, {"lr": 1}, None]])
def test_runs_may_have_a_column_of_lists_or_records(tmp_path: Path, more: list[object]) -> None:
    found = read_runs(written(tmp_path, COLUMNS | {"more": more}))
    assert found.losses["loss"].tolist() == [3.0, 2.9, 2.8]


def test_bytes_that_are_numbers_are_read_and_others_refused(tmp_path: Path) -> None:
    found = read_runs(written(tmp_path, COLUMNS | {"loss": [b"3.0", b"2.9", b"2.8"]}))
    assert found.losses["loss"].tolist() == [3.0, 2.9, 2.8]
    path = written(tmp_path, COLUMNS | {"loss": [b"3.0", b"\xff", b"2.8"]})
    with pytest.raises(ScalebedError, match="column loss holds bytes, expected numbers"):
        read_runs(path)
