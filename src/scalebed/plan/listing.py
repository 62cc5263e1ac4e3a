"""The expanded grid as a table for people, ``cells.tsv``.

Apart from `render`, so that the rule that writes it follows no edit of the plan.
"""

from typing import Any

_COLUMNS = ("dataset", "size", "ratio", "recipe", "seed", "params", "tokens", "steps", "flops")
_ROLES = ("fit_loss", "fit_error", "target")


def cells_tsv(params: dict[str, Any]) -> str:
    """Return one tab-separated line a cell, below a line of column names.

    Parameters
    ----------
    params
        The parameters of ``list_cells``: ``{"study", "cells": [row, …]}``, each row with the five
        coordinates, ``params`` (N), ``tokens`` (D), ``steps``, ``flops`` (C = 6ND) and the
        three roles as booleans.
    """
    lines = ["\t".join((*_COLUMNS, *_ROLES, "cell"))]
    for row in params["cells"]:
        numbers = [_number(row[name]) for name in _COLUMNS]
        roles = ["yes" if row[name] else "no" for name in _ROLES]
        lines.append("\t".join([*numbers, *roles, row["cell"]]))
    return "\n".join(lines) + "\n"


def _number(value: Any) -> str:
    return f"{value:.4e}" if isinstance(value, float) else str(value)
