"""Files that somebody made to have code run when they are read: refused, and not run."""

import os
import pickle
from pathlib import Path

import duckdb
import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from scalebed.core.errors import ScalebedError
from scalebed.evaluate.encoding import _read
from scalebed.tables.declared.database import TABLES
from scalebed.tables.reader import StudyDatabase
from scalebed.tables.runs_file import read_runs


class Payload:
    """An object whose pickle makes a folder when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_kept_tokens_with_a_pickle_are_made_again(tmp_path, caplog):
    ran, path = tmp_path / "ran", tmp_path / "tokens.npz"
    array = np.array([Payload(ran)], dtype=object)
    np.savez(path, lengths=array, tokens=array, allow_pickle=True)
    assert _read(path, 1) is None
    assert "Object arrays cannot be loaded when allow_pickle=False" in caplog.text
    assert not ran.exists()


def test_a_table_with_a_pickled_type_is_refused(tmp_path):
    ran, path = tmp_path / "ran", tmp_path / "runs.parquet"
    metadata = {
        b"ARROW:extension:name": b"arrow.py_extension_type",
        b"ARROW:extension:metadata": pickle.dumps(Payload(ran)),
    }
    fields = [pyarrow.field(name, pyarrow.float64(), metadata=metadata) for name in ("N", "D")]
    schema = pyarrow.schema([*fields, pyarrow.field("loss", pyarrow.string())])
    table = pyarrow.table({"N": [1e7], "D": [1e9], "loss": ["<none>"]}, schema=schema)
    parquet.write_table(table, path)
    with pytest.raises(ScalebedError, match="loss"):
        read_runs(path)
    assert not ran.exists()


def test_a_database_whose_views_read_other_files_does_not(tmp_path):
    secret, path = tmp_path / "secret.csv", tmp_path / 'a"b.duckdb'
    secret.write_text("key,value\nname,secret\n")
    with duckdb.connect(str(path)) as connection:
        for table in TABLES:
            columns = ", ".join(f'NULL AS "{name}"' for name in table.names)
            connection.execute(f"CREATE TABLE {table.name} AS SELECT {columns}")
        connection.execute("DROP TABLE provenance")
        connection.execute(f"CREATE VIEW provenance AS SELECT * FROM read_csv('{secret}')")
    with StudyDatabase(path) as study, pytest.raises(duckdb.Error, match="disabled"):
        study.facts()
