"""What a run that was predicted gave, from the table or study that has it now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from scalebed.core.errors import ScalebedError
from scalebed.decide.sources import is_table
from scalebed.predict.open_database import open_any
from scalebed.tables.runs_units import read_counted
from scalebed.watch.seals import target_text

_SAME: Final = 1e-2
"""Relative difference of N and D up to which a run is the one that was predicted."""


def measured_of(source: str, seal: Mapping[str, Any]) -> float:
    """Return the response of the run that a seal is about.

    Parameters
    ----------
    source : str
        Table of runs, or a study.
    seal : mapping

    Raises
    ------
    ScalebedError
        If the source has no such run, or several.
    """
    rows = _table(source, seal) if is_table(source) else _study(source, seal)
    target = seal["target"]
    wanted = np.log([target["params"], target["tokens"]])
    found = [
        value
        for params, tokens, value in rows
        if np.isfinite(value) and np.all(np.abs(np.log([params, tokens]) - wanted) < _SAME)
    ]
    if len(found) != 1:
        said = f"{len(found)} runs" if found else "no finished run"
        raise ScalebedError(
            f"{source} has {said} of {seal['dataset']} with {target_text(seal)} and "
            f"{seal['prediction']['response']}, expected one (or give --loss)"
        )
    return found[0]


def _table(source: str, seal: Mapping[str, Any]) -> Iterator[tuple[float, float, float]]:
    table, response = read_counted(Path(source)), seal["prediction"]["response"]
    values = {**table.losses, **table.errors}.get(response)
    if values is None:
        raise ScalebedError(f"{source} has no column {response}")
    used = table.finished & (table.dataset == seal["dataset"])
    for row in np.flatnonzero(used).tolist():
        yield float(table.params[row]), float(table.tokens[row]), float(values[row])


def _study(source: str, seal: Mapping[str, Any]) -> Iterator[tuple[float, float, float]]:
    said = seal["prediction"]
    for runs in open_any(source).runs:
        if runs.dataset != seal["dataset"]:
            continue
        values = runs.losses if said["kind"] == "loss" else runs.errors
        column = values.get(said["response"], np.full(len(runs.cells), np.nan))
        used = runs.same_recipe
        yield from zip(
            runs.params[used].tolist(),
            runs.tokens[used].tolist(),
            column[used].tolist(),
            strict=True,
        )
