"""A corpus on disk: documents in shuffled order, each with its split, and a manifest."""

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow
from pyarrow import compute, parquet

from scalebed.core import verify
from scalebed.core.errors import ScalebedError
from scalebed.core.files import atomic_path, quarantine, read_json, write_json
from scalebed.core.shortage import is_shortage
from scalebed.data.documents import Document
from scalebed.data.readers import check_reader, get_reader, source_digest
from scalebed.data.shuffle import Keyed, Shuffler
from scalebed.data.splits import check_percentages, split_of

logger = logging.getLogger(__name__)

FILE = "documents.parquet"
_SCHEMA = pyarrow.schema(
    [("id", pyarrow.string()), ("split", pyarrow.string()), ("text", pyarrow.large_string())]
)
# Small enough to stream, large enough to compress.
_ROW_GROUP_BYTES = 8 << 20


def extract_corpus(params: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """Read a corpus, split it by document id and write documents and manifest.

    Parameters
    ----------
    params
        ``corpus`` (name), ``reader``, ``options`` of the reader, ``split`` (percentages of
        ``train``, ``val`` and ``tasks``) and ``numerics``.
    out
        Where the manifest goes; the documents go beside it, sorted by the MD5 of their ids, which
        shuffles them.

    Returns
    -------
    dict
        The manifest.

    Raises
    ------
    ScalebedError
        On bad options, unreadable or missing text, an empty corpus or an empty split.
    """
    name = params["corpus"]
    reader = get_reader(params["reader"])
    options = check_reader(params["reader"], params["options"])
    percentages = check_percentages(name, params["split"])
    counts = _extract(name, reader.read(options), percentages, out.parent / FILE)
    description = reader.describe(options)
    manifest = {
        "kind": "corpus",
        "corpus": name,
        "reader": params["reader"],
        **description._asdict(),
        "documents": sum(count["documents"] for count in counts.values()),
        "bytes": sum(count["bytes"] for count in counts.values()),
        "splits": counts,
        "file": verify.entry(out.parent / FILE),
        "source_digest": source_digest(params["reader"], params["options"]),
        "params": dict(params),
    }
    write_json(out, manifest)
    logger.info("corpus %s: %d documents, %d bytes", name, manifest["documents"], manifest["bytes"])
    return manifest


def _extract(
    name: str, documents: Iterator[Document], percentages: Mapping[str, float], path: Path
) -> dict[str, dict[str, int]]:
    """Write the documents, sorted, and return how many and how much each split got."""
    counts = {split: {"documents": 0, "bytes": 0} for split in percentages}
    with atomic_path(path, digest=False) as temporary:
        shuffler = Shuffler(path.parent)
        try:
            for document in documents:
                _check_text(name, document)
                shuffler.add(document)
            _write(shuffler.sorted(), percentages, counts, temporary)
        finally:
            shuffler.close()
        _check_counts(name, percentages, counts)
    return counts


def _check_text(name: str, document: Document) -> None:
    for text in document:
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            # JSON can spell half a character ("\\ud800"), which no file can hold.
            raise ScalebedError(
                f"corpus {name}: document {document.id!r} holds a lone surrogate "
                f"(character {error.start}), which is not text"
            ) from error


def _write(
    entries: Iterator[Keyed],
    percentages: Mapping[str, float],
    counts: dict[str, dict[str, int]],
    path: Path,
) -> None:
    rows: list[tuple[str, str, str]] = []
    held = 0
    with parquet.ParquetWriter(path, _SCHEMA, compression="zstd") as writer:
        for key, document in entries:
            split = split_of(key, percentages)
            size = len(document.text.encode("utf-8"))
            counts[split]["documents"] += 1
            counts[split]["bytes"] += size
            rows.append((document.id, split, document.text))
            held += size
            if held >= _ROW_GROUP_BYTES:
                writer.write_table(_table(rows))
                rows, held = [], 0
        if rows:
            writer.write_table(_table(rows))


def _table(rows: list[tuple[str, str, str]]) -> pyarrow.Table:
    columns = [list(column) for column in zip(*rows, strict=True)]
    return pyarrow.Table.from_arrays(
        [pyarrow.array(column, field.type) for column, field in zip(columns, _SCHEMA, strict=True)],
        schema=_SCHEMA,
    )


def _check_counts(
    name: str, percentages: Mapping[str, float], counts: Mapping[str, Mapping[str, int]]
) -> None:
    total = sum(count["documents"] for count in counts.values())
    if not total:
        raise ScalebedError(f"corpus {name} is empty: its source holds no document with text")
    for split, count in counts.items():
        if not count["documents"]:
            raise ScalebedError(
                f"corpus {name}: split {split} ({percentages[split]:g} %) got none of the "
                f"{total} documents; raise its percentage or bring more documents"
            )


def read_manifest(path: Path, kind: str) -> dict[str, Any]:
    """Return a manifest of the data stage.

    Raises
    ------
    ScalebedError
        If it is missing, broken or of another kind.
    """
    manifest = read_json(path)
    found = manifest.get("kind") if isinstance(manifest, dict) else None
    if found != kind:
        raise ScalebedError(f"{path} is a manifest of kind {found!r}, expected {kind!r}")
    return dict(manifest)


def iter_documents(manifest_path: Path, split: str) -> Iterator[Document]:
    """Yield the documents of one split in their order, a row group in memory at a time.

    Raises
    ------
    ScalebedError
        If the manifest has no such split, or if the documents are missing, truncated or corrupt
        (the manifest is then set aside).
    """
    manifest = read_manifest(manifest_path, "corpus")
    if split not in manifest["splits"]:
        raise ScalebedError(
            f"corpus {manifest['corpus']} has no split {split!r}, "
            f"its splits are: {', '.join(manifest['splits'])}"
        )
    path = verify.verified(manifest_path, manifest["file"])
    try:
        with parquet.ParquetFile(path, pre_buffer=False) as file:
            for group in range(file.num_row_groups):
                table = file.read_row_group(group, use_threads=False)
                # To filter by an expression Arrow starts threads, and waits for them for ever where
                # memory is short.
                for row in table.filter(compute.equal(table["split"], split)).to_pylist():
                    yield Document(row["id"], row["text"])
    except (OSError, pyarrow.ArrowException) as error:
        if is_shortage(error):
            raise
        quarantine(manifest_path, f"{path} cannot be read as parquet: {error}")
