"""Tables where memory or threads are short: an error, and no wait for ever."""

import subprocess
import sys

import pyarrow
import pytest

from scalebed.core.files import write_parquet
from scalebed.core.shortage import is_shortage
from scalebed.predict.open_study import COLUMNS
from scalebed.tables import arrow

READ = """
import resource, sys
from pathlib import Path
from scalebed.core.shortage import is_shortage
from scalebed.predict.open_study import read_tables
from scalebed.tables.arrow import read_parquet
folder = Path(sys.argv[1])
most = 4096 * int(Path("/proc/self/statm").read_text().split()[0]) + (1 << 20)
resource.setrlimit(resource.RLIMIT_AS, (most, most))
try:
    read_tables(folder)
except Exception as error:
    print("short" if is_shortage(error) else repr(error))
"""


def test_no_thread_is_waited_for_that_cannot_start(tmp_path):
    for name, columns in COLUMNS.items():
        rows = {column: list(range(50_000)) for column in columns}
        write_parquet(tmp_path / f"{name}.parquet", pyarrow.table(rows))
    words = [sys.executable, "-c", READ, str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=100)
    assert (done.stdout, done.returncode) == ("short\n", 0), done.stderr


def test_a_shortage_is_not_taken_for_a_broken_table(tmp_path, monkeypatch):
    def short(*_: object, **__: object) -> None:
        raise pyarrow.ArrowException("Unknown error: Failed to launch worker thread: Resource")

    monkeypatch.setattr(pyarrow.parquet, "ParquetFile", short)
    with pytest.raises(pyarrow.ArrowException) as caught:
        arrow.read_parquet(tmp_path / "a.parquet")
    assert is_shortage(caught.value)
