"""Tables and columns as data: what a column holds, in which unit, and what it means."""

from dataclasses import dataclass

_SQL_TYPES = {"str": "VARCHAR", "int": "BIGINT", "float": "DOUBLE", "bool": "BOOLEAN"}


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes
    ----------
    name, comment
        What it is called and what it means.
    type
        ``"str"``, ``"int"`` (64 bit), ``"float"`` (64 bit) or ``"bool"``.
    unit
        Unit of the values, empty for names and pure numbers.
    nullable
        Whether a value may be missing.
    """

    name: str
    type: str
    comment: str
    unit: str = ""
    nullable: bool = False

    @property
    def sql_type(self) -> str:
        """The DuckDB type."""
        return _SQL_TYPES[self.type]

    @property
    def description(self) -> str:
        """The comment, with the unit in brackets."""
        return f"{self.comment} [{self.unit}]" if self.unit else self.comment


@dataclass(frozen=True)
class Table:
    """A table with the columns that identify a row (`key`), by which rows are sorted."""

    name: str
    comment: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]

    @property
    def names(self) -> list[str]:
        """Column names in order."""
        return [column.name for column in self.columns]


@dataclass(frozen=True)
class View:
    """A stored query with a comment for itself and for each of its columns, in order."""

    name: str
    comment: str
    query: str
    columns: tuple[Column, ...]


def text(name: str, comment: str, *, nullable: bool = False) -> Column:
    """Return a text column."""
    return Column(name, "str", comment, nullable=nullable)


def count(name: str, comment: str, unit: str = "", *, nullable: bool = False) -> Column:
    """Return a column of 64-bit integers."""
    return Column(name, "int", comment, unit, nullable)


def number(name: str, comment: str, unit: str = "", *, nullable: bool = False) -> Column:
    """Return a column of 64-bit floating-point numbers."""
    return Column(name, "float", comment, unit, nullable)


def flag(name: str, comment: str, *, nullable: bool = False) -> Column:
    """Return a column of truth values."""
    return Column(name, "bool", comment, nullable=nullable)
