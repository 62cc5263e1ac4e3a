"""Local files of your own: txt, jsonl or parquet, plain or compressed, found by glob.

The format follows from the extension (``.jsonl``, ``.json`` and ``.ndjson`` hold one JSON object a
line) or from the option ``format``. A txt file is one document unless ``separator`` cuts it.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from scalebed.core.errors import ScalebedError
from scalebed.data import localfiles
from scalebed.data.documents import REQUIRED, Description, Document, Option
from scalebed.data.text import normalise_prose

OPTIONS = {
    "paths": Option((str, list), REQUIRED, "a glob pattern or a list of them"),
    "format": Option((str,), None, "when the extension does not tell", ("txt", "jsonl", "parquet")),
    "field": Option((str,), "text", "the field (jsonl) or column (parquet) with the text"),
    "id_field": Option((str,), None, "a field with a distinct id; default: file name and row"),
    "separator": Option((str,), None, "what separates the documents inside a txt file"),
    "normalise": Option((bool,), False, "straighten quotes, dashes and blanks of prose"),
    "licence": Option((str,), "not stated", "terms of the text"),
    "credit": Option((str,), "not stated", "whom to name"),
}
_FORMATS = {
    "txt": "txt",
    "jsonl": "jsonl",
    "json": "jsonl",
    "ndjson": "jsonl",
    "parquet": "parquet",
}


def pin(options: Mapping[str, Any]) -> Any:
    """Return names, sizes and contents (or times) of the files."""
    return [list(fact) for fact in localfiles.fingerprint(localfiles.expand(_patterns(options)))]


def describe(options: Mapping[str, Any]) -> Description:
    """Return source, licence and credit."""
    source = {"paths": _patterns(options), "files": len(localfiles.expand(_patterns(options)))}
    return Description(source, options["licence"], options["credit"])


def read(options: Mapping[str, Any]) -> Iterator[Document]:
    """Yield the documents of all files, in the order of their names and rows."""
    readers = {"txt": _read_txt, "jsonl": _read_jsonl, "parquet": _read_parquet}
    for name, path in localfiles.expand(_patterns(options)):
        for document in readers[_format(path, options)](name, path, options):
            text = normalise_prose(document.text) if options["normalise"] else document.text
            if text.strip():
                yield Document(document.id, text)


def _patterns(options: Mapping[str, Any]) -> list[str]:
    paths = options["paths"]
    patterns = [paths] if isinstance(paths, str) else paths
    for pattern in patterns:
        if not isinstance(pattern, str) or not pattern:
            raise ScalebedError(f"reader files: paths holds {pattern!r}, expected a glob pattern")
    return list(patterns)


def _format(path: Path, options: Mapping[str, Any]) -> str:
    if options["format"]:
        return str(options["format"])
    extension = localfiles.file_format(path)
    if extension not in _FORMATS:
        raise ScalebedError(
            f"{path} has the extension {extension!r}, expected {', '.join(_FORMATS)}, "
            "or name it by the option format"
        )
    return _FORMATS[extension]


def _read_txt(name: str, path: Path, options: Mapping[str, Any]) -> Iterator[Document]:
    separator = options["separator"]
    cut = separator.encode("utf-8") if separator else None
    with localfiles.open_bytes(path) as stream:
        for number, (offset, raw) in enumerate(localfiles.pieces(stream, cut)):
            text = localfiles.decode(path, offset, raw)
            yield Document(f"{name}#{number}" if cut else name, text)


def _read_jsonl(name: str, path: Path, options: Mapping[str, Any]) -> Iterator[Document]:
    with localfiles.open_bytes(path) as stream:
        for number, (offset, raw) in enumerate(localfiles.pieces(stream, b"\n"), start=1):
            line = localfiles.decode(path, offset, raw, number)
            if line.strip():
                yield _row(
                    f"{path}:{number}", f"{name}:{number}", _parse(path, number, line), options
                )


def _parse(path: Path, number: int, line: str) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise ScalebedError(f"{path}:{number} is not JSON: {error.msg}") from error
    except (ValueError, RecursionError) as error:
        raise ScalebedError(f"{path}:{number} is not JSON that can be read: {error}") from error


def _row(where: str, default_id: str, row: Any, options: Mapping[str, Any]) -> Document:
    field, id_field = options["field"], options["id_field"]
    if not isinstance(row, dict):
        raise ScalebedError(f"{where} holds a {type(row).__name__}, expected an object")
    for name in filter(None, (field, id_field)):
        if name not in row:
            raise ScalebedError(f"{where} has no field {name!r}, its fields are: {', '.join(row)}")
    text = row[field]
    if not isinstance(text, str):
        raise ScalebedError(f"{where}: field {field!r} is {_kind(text)}, expected a string")
    if id_field is None:
        return Document(default_id, text)
    identifier = row[id_field]
    if isinstance(identifier, bool) or not isinstance(identifier, str | int):
        raise ScalebedError(
            f"{where}: field {id_field!r} is {_kind(identifier)}, expected a string or an integer"
        )
    return Document(str(identifier), text)


def _kind(value: Any) -> str:
    return "null" if value is None else f"a {type(value).__name__}"


def _read_parquet(name: str, path: Path, options: Mapping[str, Any]) -> Iterator[Document]:
    import pyarrow
    from pyarrow import parquet

    columns = list(filter(None, (options["field"], options["id_field"])))
    try:
        with parquet.ParquetFile(path, pre_buffer=False) as file:
            missing = [column for column in columns if column not in file.schema_arrow.names]
            if missing:
                raise ScalebedError(
                    f"{path} has no column {missing[0]!r}, "
                    f"its columns are: {', '.join(file.schema_arrow.names)}"
                )
            number = 0
            for batch in file.iter_batches(1024, columns=columns, use_threads=False):
                for row in batch.to_pylist():
                    number += 1
                    yield _row(f"{path} row {number}", f"{name}:{number}", row, options)
    except (OSError, pyarrow.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise ScalebedError(f"cannot read {path} as parquet: {reason}") from error
