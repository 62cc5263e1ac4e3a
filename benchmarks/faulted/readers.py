"""What reads each kind of file of a study, as the rules and commands do."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scalebed.core.errors import ScalebedError
from scalebed.core.files import read_json, read_text
from scalebed.data.corpus import iter_documents
from scalebed.data.sequences import TokenStream
from scalebed.data.tokenizer import load_tokenizer
from scalebed.evaluate import encoding, loading
from scalebed.evaluate.cells import load_cell, read_cell_record
from scalebed.evaluate.tasks import read_cached
from scalebed.tables.arrow import read_parquet
from scalebed.tables.reader import StudyDatabase
from scalebed.train.checkpoint import StateFolder
from scalebed.watch.sealed_study import read_study_seal

UNREAD = (".html", ".png", ".tsv", ".yaml")
"""What people look at and nothing reads."""


def reader(path: Path, original: Path) -> Callable[[], Any] | None:
    """Return what reads a file and tells it in a value; None where only people do.

    Parameters
    ----------
    path
        A file that may be damaged.
    original
        The same one before.

    Notes
    -----
    The value is `AgainError` where the reader sees the damage and computes anew.
    """
    place = path.parts
    if path.suffix in UNREAD or path.name.startswith(".") or path.suffix == ".sha256":
        return None
    if "evaluations" in place:
        return lambda: _kept(path, original)
    if path.suffix == ".duckdb":
        return lambda: _database(path)
    if path.name == "documents.parquet":
        return lambda: _documents(path)
    if path.suffix == ".parquet":
        return lambda: _table(path)
    if path.suffix == ".bin":
        return lambda: _tokens(path)
    if path.name == "tokenizer.json":
        return lambda: _ids(path)
    if path.suffix == ".jsonl":
        return lambda: loading.read_items(path.with_name("manifest.json"), path.stem)[0]
    if path.suffix == ".safetensors":
        return lambda: _weights(path)
    if path.name in ("sealed.json", "sealed.kept"):
        return lambda: read_study_seal(path)
    if path.suffix == ".json" and "figures" not in place:
        return lambda: read_json(path)
    return lambda: read_text(path)


class AgainError(ScalebedError):
    """The reader saw the damage and does without the file."""


def _kept(path: Path, original: Path) -> Any:
    if path.suffix == ".npz":
        with encoding.np.load(original) as arrays:
            found: Any = encoding._read(path, len(arrays["lengths"]))
    else:
        found = read_cached(path, read_json(original)["key"])
    if found is None:
        raise AgainError(f"{path} is not used")
    return found


def _database(path: Path) -> str:
    """Return a digest of all tables but the draws."""
    hasher = hashlib.sha256()
    with StudyDatabase(path) as database:
        names = [row["name"] for row in database.rows("SHOW TABLES")]
        for name in names:
            if name != "draws":
                hasher.update(repr(database.rows(f'SELECT * FROM "{name}"')).encode())
    return hasher.hexdigest()


def _documents(path: Path) -> str:
    manifest = path.with_name("manifest.json")
    hasher = hashlib.sha256()
    for split in read_json(manifest)["splits"]:
        for document in iter_documents(manifest, split):
            hasher.update(repr(document).encode())
    return hasher.hexdigest()


def _table(path: Path) -> tuple[list[Any], Any]:
    table = read_parquet(path)
    return table.to_pylist(), table.schema.metadata


def _tokens(path: Path) -> str:
    manifest = path.with_name("manifest.json")
    stream = TokenStream(manifest, path.name.partition("-")[0])
    return hashlib.sha256(stream.read(0, stream.tokens).tobytes()).hexdigest()


def _ids(path: Path) -> list[int]:
    tokenizer = load_tokenizer(path.with_name("manifest.json"))
    found: list[int] = tokenizer.encode_batch(["one two three"])[0].tolist()
    return found


def _weights(path: Path) -> Any:
    if path.name.startswith("step-"):
        newest = StateFolder(path.parent).newest()
        if newest is None:
            raise AgainError(f"{path} is not used")
        return newest.facts, hashlib.sha256(path.read_bytes()).hexdigest()
    metrics = path.with_name("metrics.json")
    model = load_cell(metrics, read_cell_record(metrics), 1)
    return {name: value.tolist() for name, value in model.state_dict().items()}
