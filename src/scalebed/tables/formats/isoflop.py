"""Tables of isoFLOP runs: C, N and the loss; D = C / (6 N), whatever a table says of tokens."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scalebed.tables.formats.histories import check_options
from scalebed.tables.formats.rows import Rows
from scalebed.tables.runs_columns import read_file
from scalebed.tables.runs_names import candidates


def recognises(path: Path, columns: Sequence[str]) -> bool:
    """Whether a table has C, N and a loss, and nothing that says D."""
    here = all(candidates(columns, key) for key in ("flops", "params", "loss"))
    return here and not any(candidates(columns, key) for key in ("tokens", "ratio"))


def read_rows(path: Path, options: Mapping[str, Any]) -> Rows:
    """Read a table without its columns of tokens and ratios, if it has any.

    Raises
    ------
    ScalebedError
        If it cannot be read, or an option is given.
    """
    check_options("isoflop", options, ())
    table = read_file(path, {})
    said = {name for key in ("tokens", "ratio") for name in candidates(table.column_names, key)}
    return Rows(table.drop_columns(sorted(said)))
