"""Rows of runs as a format gives them, before anything is checked.

A format is a module beside this one with ``read_rows(path, options)``, which returns `Rows`, and
``recognises(path, columns)``, which says whether a path is surely of the format; `columns` are
those of a table, none of a folder or another file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, cast, get_args

from scalebed.core.errors import ScalebedError
from scalebed.core.values import RunFormat
from scalebed.tables.runs_columns import column_names, is_table, read_file

if TYPE_CHECKING:
    import pyarrow

FORMATS: Final = get_args(RunFormat)


class Rows(NamedTuple):
    """A table with a row a run or checkpoint.

    Its columns are called as `scalebed.tables.runs_names` has them, or as `columns` says by key;
    `notes` are sentences on what was made of the source.
    """

    table: pyarrow.Table
    columns: Mapping[str, str] = {}
    notes: tuple[str, ...] = ()


class Format(Protocol):
    """The module of a format."""

    def recognises(self, path: Path, columns: Sequence[str]) -> bool:
        """Whether `path` is surely of the format."""
        ...

    def read_rows(self, path: Path, options: Mapping[str, Any]) -> Rows:
        """Read everything at `path`."""
        ...


def get_format(name: str) -> Format:
    """Return the module of a format."""
    return cast(Format, import_module(f"scalebed.tables.formats.{name}"))


def read_rows(
    path: Path, form: str | None, options: Mapping[str, Any], columns: Mapping[str, str]
) -> Rows:
    """Read rows of a format; a format that is recognised is said.

    Parameters
    ----------
    path
        File or folder.
    form
        Name of the format, ``table`` for a plain table; recognised if None.
    options
        Of the format.
    columns
        Columns that were asked for by key; where any are, no table is taken for another format.

    Raises
    ------
    ScalebedError
        If nothing can be read, or there is no such option.
    """
    notes: tuple[str, ...] = ()
    if form is None:
        form = recognised(path, columns)
        if form != "table":
            notes = (f"{path} is read as --format {form}",)
    if form == "table":
        if options:
            raise ScalebedError(f"{path}: a plain table has no option {min(options)!r}")
        return Rows(read_file(path, columns))
    found = get_format(form).read_rows(path, options)
    return found._replace(notes=(*notes, *found.notes))


def recognised(path: Path, columns: Mapping[str, str]) -> str:
    """Return the name of the format that a path is surely of, else ``table``.

    Raises
    ------
    ScalebedError
        If it is a folder of no format.
    """
    names: Sequence[str] = ()
    if is_table(path) and path.is_file():
        names = column_names(path)
    # Where columns are given, only a format that leaves their names as they are.
    for form in ("wandb",) if columns else FORMATS:
        if path.exists() and get_format(form).recognises(path, names):
            return form
    if path.is_dir():
        raise ScalebedError(
            f"{path} is a folder of no format that is recognised, expected a table of runs or "
            f"--format with one of {', '.join(FORMATS)}"
        )
    return "table"
