"""Loss curves of one model: the Multi-Power Law fitted to some of them, and held against others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.compared.entry import Entry, File
from benchmarks.compared.runs import beside
from scalebed.core.errors import ScalebedError
from scalebed.watch.multi_power import HUBER, Constants, Reference, fit, loss_at, scores
from scalebed.watch.schedules import read_reference


def compare(entry: Entry, files: Sequence[tuple[File, Path]]) -> dict[str, Any]:
    """Put our numbers beside the authors'; the learning rate of every step is that of the rows.

    Returns
    -------
    dict
        ``fit``: objective over the curves that were fitted, and constants; ``scores``: means over
        those held out, printed, at the printed constants and at ours.

    Raises
    ------
    ScalebedError
        If another number of curves is fitted than the authors fitted.
    """
    curves = {file.name: read_reference(path, entry.warmup) for file, path in files}
    fitted = [curves[file.name] for file, _ in files if not file.held_out]
    asked = [curves[file.name] for file, _ in files if file.held_out]
    if len(fitted) != entry.authors.points:
        raise ScalebedError(
            f"there are {len(fitted)} curves to fit, expected {entry.authors.points}"
        )
    said, ours = entry.authors.printed, fit(fitted)
    rows = {name: {"value": value} for name, value in ours._asdict().items()}
    found: dict[str, Any] = {"objective": objective(ours, fitted), "parameters": rows}
    means: dict[str, Any] = {"ours": mean_scores(ours, asked)}
    if said and said.parameters:
        theirs = Constants(**{name: float(text) for name, text in said.parameters.items()})
        found["objective_at_printed"] = objective(theirs, fitted)
        means["at_printed"] = mean_scores(theirs, asked)
        means["printed"] = {
            name: beside(means["at_printed"][name], text) for name, text in said.scores.items()
        }
        for name, row in rows.items():
            row |= beside(row["value"], said.parameters[name])
    return {"points": len(fitted), "held_out": len(asked), "fit": found, "scores": means}


def objective(constants: Constants, curves: Sequence[Reference]) -> float:
    """Return the sum of Huber's loss of the residuals of log loss, step by step."""
    off = np.concatenate(
        [np.log(loss_at(constants, one.schedule, one.steps)) - np.log(one.loss) for one in curves]
    )
    size = np.abs(off)
    return float(np.where(size <= HUBER, off**2 / 2, HUBER * (size - HUBER / 2)).sum())


def mean_scores(constants: Constants, curves: Sequence[Reference]) -> dict[str, float]:
    """Return the means of the paper's five scores over some curves."""
    found = [scores(one.loss, loss_at(constants, one.schedule, one.steps)) for one in curves]
    return {key: float(np.mean([row[key] for row in found])) for key in found[0]}
