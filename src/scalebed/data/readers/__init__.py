"""Readers of corpora, one module each.

A reader is a module of this package whose name is the reader's name, with

- ``OPTIONS``: its options by name (`scalebed.data.documents.Option`);
- ``pin(options)``: builtin values that change when the text does, cheap to get;
- ``describe(options)``: a `scalebed.data.documents.Description`;
- ``read(options)``: an iterator of `scalebed.data.documents.Document` with distinct ids.

All three are called with options that were checked and completed. To add a reader, add a module:
nothing else names the readers. Modules must import nothing heavy at their top, since the workflow
asks for `source_digest` each time it is parsed.
"""

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from typing import Any, Protocol, cast

from scalebed.core.errors import ScalebedError
from scalebed.core.provenance import digest
from scalebed.data.documents import Description, Document, Option, check_options


class Reader(Protocol):
    """The interface of a reader module."""

    OPTIONS: Mapping[str, Option]

    def pin(self, options: Mapping[str, Any]) -> Any:
        """Return builtin values that change when the text does."""

    def describe(self, options: Mapping[str, Any]) -> Description:
        """Return source, licence and credit."""

    def read(self, options: Mapping[str, Any]) -> Iterator[Document]:
        """Yield the documents."""


def reader_names() -> list[str]:
    """Return the names of all readers, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def get_reader(name: str) -> Reader:
    """Return the reader called `name`.

    Raises
    ------
    ScalebedError
        If there is none.
    """
    if name not in reader_names():
        raise ScalebedError(
            f"reader {name!r} is unknown, the readers are: {', '.join(reader_names())}"
        )
    return cast(Reader, importlib.import_module(f"{__name__}.{name}"))


def check_reader(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a reader with defaults filled in; raise `ScalebedError` if bad."""
    return check_options(name, get_reader(name).OPTIONS, options)


def source_digest(name: str, options: Mapping[str, Any]) -> str:
    """Return a short digest that changes when the text a reader would read changes.

    Local files count by content (by size and time when they are large), packages by their pinned
    version, hub data sets by name and revision. Nothing heavy is imported.

    Raises
    ------
    ScalebedError
        On an unknown reader or bad options, or if local files are missing.
    """
    return digest([name, get_reader(name).pin(check_reader(name, options))])
