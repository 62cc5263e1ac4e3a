"""Tables where memory or threads are short: an error, and no wait for ever."""

import os
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


DOCUMENTS = """
import json, os, sys
from pathlib import Path
from scalebed.data.corpus import extract_corpus, iter_documents
from scalebed.tables import arrow
rows = Path("rows.jsonl")
rows.write_text("".join(json.dumps({"text": f"words {i}"}) + "\\n" for i in range(5000)))
params = {"corpus": "words", "reader": "files", "options": {"paths": "rows.jsonl"}, "numerics": 1}
extract_corpus(params | {"split": {"train": 90, "val": 10}}, Path("words/manifest.json"))
before = len(os.listdir("/proc/self/task"))
count = sum(1 for _ in iter_documents(Path("words/manifest.json"), "train"))
print(count > 4000, len(os.listdir("/proc/self/task")) - before)
"""


def test_documents_are_read_without_further_threads(tmp_path):
    words = [sys.executable, "-c", DOCUMENTS]
    # Arrow's allocator may have a thread of its own.
    own = os.environ | {"JE_ARROW_MALLOC_CONF": "background_thread:false"}
    done = subprocess.run(words, cwd=tmp_path, env=own, capture_output=True, text=True, timeout=100)
    assert (done.stdout, done.returncode) == ("True 0\n", 0), done.stderr


def test_a_shortage_is_not_taken_for_a_broken_table(tmp_path, monkeypatch):
    def short(*_: object, **__: object) -> None:
        raise pyarrow.ArrowException("Unknown error: Failed to launch worker thread: Resource")

    monkeypatch.setattr(pyarrow.parquet, "ParquetFile", short)
    with pytest.raises(pyarrow.ArrowException) as caught:
        arrow.read_parquet(tmp_path / "a.parquet")
    assert is_shortage(caught.value)
