"""What an importer gives: rows of the tables of a study, before anybody says what they are for.

An importer is a module with ``import_cells(path, options)`` that returns `Imported`, or a format of
runs, see `scalebed.tables.formats.rows`.
"""

from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

from scalebed.tables.formats.rows import FORMATS

Row = dict[str, Any]


@dataclass(frozen=True)
class Imported:
    """Rows by table, with the columns of `scalebed.tables.declared.cells`.

    Attributes
    ----------
    cells
        Rows without the flags of the study (``fit_loss``, …); what is not known may be left out.
        A cell that could not be read is there with status ``failed`` and its reason.
    losses, tasks, arguments, search
        Rows of these tables; tasks without ``in_average`` and ``suite``.
    facts
        What the provenance should say.
    """

    cells: list[Row]
    losses: list[Row] = field(default_factory=list)
    tasks: list[Row] = field(default_factory=list)
    arguments: list[Row] = field(default_factory=list)
    search: list[Row] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)


class Importer(Protocol):
    """The module of an importer."""

    def import_cells(self, path: Path, options: dict[str, Any]) -> Imported:
        """Read everything at `path`."""
        ...


def import_any(name: str, path: Path, options: dict[str, Any]) -> Imported:
    """Import with the importer or format of a name; the study file has checked the name.

    Raises
    ------
    ScalebedError
        If the source cannot be read, or an option is unknown.
    """
    if name in FORMATS:
        from scalebed.tables.imports.table import import_runs

        return import_runs(path, name, options)
    module = cast(Importer, import_module(f"scalebed.tables.imports.{name}"))
    return module.import_cells(path, options)
