"""Data sets of the Hugging Face hub, streamed through the `datasets` library.

Name a ``revision`` (a commit) for a study that others shall repeat: without one, a change of the
data set on the hub goes unnoticed.
"""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from scalebed.core.errors import ScalebedError
from scalebed.data.documents import REQUIRED, Description, Document, Option
from scalebed.data.text import normalise_prose

OPTIONS = {
    "path": Option((str,), REQUIRED, "name of the data set, for example allenai/c4"),
    "name": Option((str,), None, "name of its configuration, for example en"),
    "split": Option((str,), "train", "split of the data set to read"),
    "field": Option((str,), "text", "the column with the text"),
    "id_field": Option((str,), None, "a column with a distinct id; default: the row number"),
    "revision": Option((str,), None, "commit, tag or branch"),
    "max_documents": Option((int,), None, "read only the first so many documents"),
    "normalise": Option((bool,), False, "straighten quotes, dashes and blanks of prose"),
    "licence": Option((str,), "see the data set's card", "terms of the text"),
    "credit": Option((str,), "see the data set's card", "whom to name"),
}


def pin(options: Mapping[str, Any]) -> Any:
    """Return what names the rows on the hub; the hub is not asked."""
    return [options[key] for key in ("path", "name", "split", "revision", "max_documents")]


def describe(options: Mapping[str, Any]) -> Description:
    """Return source, licence and credit."""
    source = {key: options[key] for key in ("path", "name", "split", "revision")}
    return Description({"hub": source}, options["licence"], options["credit"])


def read(options: Mapping[str, Any]) -> Iterator[Document]:
    """Yield the documents in the order of the data set."""
    rows = islice(_rows(options), options["max_documents"])
    for number, row in enumerate(rows):
        text = _cell(options, row, options["field"], number)
        if not isinstance(text, str):
            raise ScalebedError(
                f"{options['path']} row {number}: column {options['field']!r} is "
                f"{type(text).__name__}, expected a string"
            )
        identifier = str(number)
        if options["id_field"] is not None:
            identifier = str(_cell(options, row, options["id_field"], number))
        text = normalise_prose(text) if options["normalise"] else text
        if text.strip():
            yield Document(identifier, text)


def _cell(options: Mapping[str, Any], row: Mapping[str, Any], column: str, number: int) -> Any:
    if column not in row:
        raise ScalebedError(
            f"{options['path']} row {number} has no column {column!r}, "
            f"its columns are: {', '.join(row)}"
        )
    return row[column]


def _rows(options: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    import datasets

    try:
        yield from datasets.load_dataset(
            options["path"],
            options["name"],
            split=options["split"],
            revision=options["revision"],
            streaming=True,
        )
    except (OSError, ValueError, RuntimeError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise ScalebedError(
            f"cannot read data set {options['path']!r} of the Hugging Face hub "
            f"(is this machine offline, or the name wrong?): {reason}"
        ) from error
