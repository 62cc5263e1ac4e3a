"""Printed numbers beside the same numbers computed from a study's database.

A file of printed numbers is a YAML list of entries with the keys

``item``, ``quantity``
    where the number is printed and what it is; together they name the entry,
``printed``
    the number as printed, in quotes, since its digits say how exact it is,
``sql``
    a query whose one row and one column is the number here; no row or NULL means unknown,
``scale``
    factor from the number here to the unit of the print, 1 if left out,
``digits``
    significant digits of the print, where trailing zeros leave them open,
``note``
    what a reader must know.
"""

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import duckdb
import yaml

from scalebed.core.errors import ScalebedError
from scalebed.core.yaml_text import parse_yaml

Row = dict[str, Any]

_TEXTS = ("item", "quantity", "printed", "sql")
_OPTIONAL = ("scale", "digits", "note")
# Rounding of the binary number must not decide about a value half-way between two prints.
_SLACK = 1e-9


def read_published(path: str | Path) -> list[Row]:
    """Read and check a file of printed numbers.

    Raises
    ------
    ScalebedError
        If the file cannot be read, is no such list, or an entry is not as it should be.
    """
    try:
        entries = parse_yaml(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ScalebedError(f"cannot read the printed numbers {path}: {error}") from error
    except yaml.YAMLError as error:
        raise ScalebedError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(entries, list) or not entries:
        raise ScalebedError(f"{path} holds no list of printed numbers")
    names: set[tuple[str, str]] = set()
    for number, entry in enumerate(entries, start=1):
        if problem := _problem(entry):
            raise ScalebedError(f"{path}: entry {number} {problem}")
        name = (entry["item"], entry["quantity"])
        if name in names:
            raise ScalebedError(f"{path}: entry {number} repeats {_name(entry)}")
        names.add(name)
    return entries


def _problem(entry: Any) -> str | None:
    """Return what is wrong with an entry, as the rest of a sentence."""
    if not isinstance(entry, dict):
        return f"is {entry!r}, expected keys {', '.join(_TEXTS)}"
    if unknown := [key for key in entry if key not in (*_TEXTS, *_OPTIONAL)]:
        return f"has key {unknown[0]!r}, expected {', '.join((*_TEXTS, *_OPTIONAL))}"
    for key in _TEXTS:
        value = entry.get(key)
        if not isinstance(value, str) or not value.strip():
            return f"has {key} {value!r}, expected a text (in quotes if it is a number)"
    number = _decimal(entry["printed"])
    if number is None:
        return f"has printed {entry['printed']!r}, expected a number such as '1.51' or '2.4e19'"
    scale, digits, note = entry.get("scale", 1), entry.get("digits", 1), entry.get("note", "")
    if type(scale) not in (int, float) or not math.isfinite(scale) or scale == 0:
        return f"has scale {scale!r}, expected a number other than 0"
    if type(digits) is not int or digits < 1:
        return f"has digits {digits!r}, expected a whole number above 0"
    return None if isinstance(note, str) else f"has note {note!r}, expected a text"


def _decimal(printed: str) -> Decimal | None:
    try:
        number = Decimal(printed.strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def compare(
    connection: duckdb.DuckDBPyConnection, entries: Sequence[Mapping[str, Any]]
) -> list[Row]:
    """Compute every printed number from the tables of a study.

    Parameters
    ----------
    connection
        A database with the tables of `scalebed.tables.declared.cells`.
    entries
        What `read_published` gives.

    Returns
    -------
    list of dict
        Rows of the table ``comparisons``, in the order of the entries.

    Raises
    ------
    ScalebedError
        If a query fails or gives no single number.
    """
    rows = []
    for entry in entries:
        value = _value(connection, entry)
        scaled = None if value is None else value * entry.get("scale", 1)
        row = {name: entry[name] for name in ("item", "quantity", "printed")}
        agrees = None if scaled is None else agree(scaled, entry["printed"], entry.get("digits"))
        rows.append({**row, "value": scaled, "agrees": agrees, "note": entry.get("note")})
    return rows


def agree(value: float, printed: str, digits: int | None = None) -> bool:
    """Whether a value rounds to a printed number, within half a unit of its last digit.

    Parameters
    ----------
    value
        The number in the unit of the print.
    printed
        The number as printed; "2.40" has three significant digits, "300" too.
    digits
        Significant digits, where they are fewer than that.
    """
    number = Decimal(printed.strip())
    exponent = int(number.as_tuple().exponent)
    if digits is not None:
        exponent = number.adjusted() - digits + 1
    half_unit = 0.5 * 10.0**exponent
    return abs(value - float(number)) <= half_unit * (1 + _SLACK)


def _value(connection: duckdb.DuckDBPyConnection, entry: Mapping[str, Any]) -> float | None:
    try:
        rows = connection.execute(entry["sql"]).fetchall()
    except duckdb.Error as error:
        reason = str(error).strip().splitlines()[0]
        raise ScalebedError(f"the query of {_name(entry)} fails: {reason}") from error
    if not rows:
        return None
    if len(rows) > 1 or len(rows[0]) > 1:
        raise ScalebedError(
            f"the query of {_name(entry)} gives {len(rows)} rows of {len(rows[0])} columns, "
            "expected one number"
        )
    (found,) = rows[0]
    if found is None:
        return None
    try:
        value = float(found)
    except (TypeError, ValueError) as error:
        raise ScalebedError(
            f"the query of {_name(entry)} gives {found!r}, expected a number"
        ) from error
    # A correlation of too few rows is NaN, which is no answer either.
    return value if math.isfinite(value) else None


def _name(entry: Mapping[str, Any]) -> str:
    return f"'{entry['item']}, {entry['quantity']}'"
