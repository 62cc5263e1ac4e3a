"""A table of runs: what its authors fitted, and how well the largest runs were foretold."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.compared.entry import Authors, Entry, File
from benchmarks.covered.measure import Array, Scores
from benchmarks.covered.zoo import left_out
from scalebed.core.errors import ScalebedError
from scalebed.fit.solvers.objectives import terms
from scalebed.laws import get_law
from scalebed.predict.ask import table_settings
from scalebed.predict.table import fit_table
from scalebed.predict.table_runs import Target
from scalebed.tables.published_numbers import agree
from scalebed.tables.runs_file import read_runs

Record = dict[str, Any]


def compare(entry: Entry, files: Sequence[tuple[File, Path]], draws: int) -> Record:
    """Put our numbers beside the authors'.

    Returns
    -------
    dict
        ``fit``: objective and parameters, theirs and ours; ``forward``: what each way to predict
        made of the runs it was not shown, in per cent of what was measured, with how many are
        inside of how many by the first word of the evidence that each prediction came with.

    Raises
    ------
    ScalebedError
        If the files lack a column, or have another number of rows than the authors fitted.
    """
    parts = [_read(entry, path).assign(held_out=file.held_out) for file, path in files]
    runs = pd.concat(parts, ignore_index=True)
    authors = entry.authors
    if authors.drop_highest_losses:
        order = np.argsort(-runs["loss"].to_numpy(), kind="stable")
        runs = runs.drop(runs.index[order[: authors.drop_highest_losses]])
    if len(runs) != authors.points:
        raise ScalebedError(f"there are {len(runs)} rows to fit, expected {authors.points}")
    return {
        "points": len(runs),
        "fit": _fit(runs, authors, draws),
        **_forward(runs, authors, draws),
    }


def _read(entry: Entry, path: Path) -> pd.DataFrame:
    table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    missing = [name for name in entry.columns.values() if name not in table]
    if missing:
        raise ScalebedError(
            f"{path} has no column {', '.join(missing)}, expected one of {', '.join(table)}"
        )
    found = pd.DataFrame({key: table[name].astype(float) for key, name in entry.columns.items()})
    if "flops" in found:
        found["tokens"] = found.pop("flops") / 6 / found["params"]
    return found


def _fit(runs: pd.DataFrame, authors: Authors, draws: int) -> Record:
    """Fit what the authors fitted, and take the objective at their numbers and at ours."""
    (fit,) = _record(runs, [], draws, authors)["fits"]
    if fit["points"] != len(runs):
        raise ScalebedError(f"the fit took {fit['points']} of {len(runs)} rows, expected all")
    said = authors.printed
    rows, ours, theirs = {}, dict(authors.fixed), dict(authors.fixed)
    for name in (parameter.name for parameter in get_law(authors.law).parameters):
        found = fit["parameters"][name]
        ours[name] = found["value"]
        rows[name] = {key: found[key] for key in ("value", "lower", "upper")}
        rows[name] |= {"fixed": name in authors.fixed, "printed": None}
        if said and name in said.parameters:
            theirs[name] = float(said.parameters[name])
            rows[name] |= beside(found["value"], said.parameters[name])
            rows[name]["printed_interval"] = said.intervals.get(name)
    at_printed = None
    if said and said.parameters:
        at_printed = objective(runs, authors, theirs)
    return {
        "objective": objective(runs, authors, ours),
        "objective_at_printed": at_printed,
        "objective_printed": said.objective if said else None,
        "objective_agrees": agree(at_printed, said.objective)
        if said and said.objective and at_printed is not None
        else None,
        "parameters": rows,
        "numbers": fit["numbers"],
        "evidence": fit["evidence"],
    }


def beside(value: float, printed: str) -> Record:
    """Return a printed number, and whether ours is the same to its digits."""
    return {"printed": printed, "agrees": agree(value, printed)}


def objective(runs: pd.DataFrame, authors: Authors, theta: Mapping[str, float]) -> float:
    """Return what the authors minimised, at some parameters by name."""
    law = get_law(authors.law, "loss")
    at = np.array([theta[parameter.name] for parameter in law.parameters])
    x = tuple(runs[name].to_numpy(float) for name in law.inputs)
    return float(terms(authors.options, law.value(at, x), runs["loss"].to_numpy(float)).cost.sum())


def _forward(runs: pd.DataFrame, authors: Authors, draws: int) -> Record:
    """Predict the runs that are held out: by default, and with the authors' law drawn."""
    if runs["held_out"].any():
        used, asked = runs[~runs["held_out"]], runs[runs["held_out"]]
    else:
        used, asked = left_out(runs)
    largest = [float((part["params"] * part["tokens"]).max()) for part in (used, asked)]
    measured = asked["loss"].to_numpy(float)
    ways = {}
    for name, law in (("default", None), (f"{authors.law}, theirs", authors)):
        record = _record(used, _targets(asked), draws, law)
        (fit,) = record["fits"]
        ways[name] = {
            "law": fit["law"].partition("@")[0],
            "method": fit["method"],
            "numbers": fit["numbers"],
            "evidence": fit["evidence"],
            **_scores(record["predictions"], measured),
        }
    return {
        "held_out": len(asked),
        "times_largest": largest[1] / largest[0],
        "forward": ways,
    }


def _scores(rows: Sequence[Mapping[str, Any]], measured: Array) -> Record:
    found = Scores.of(rows, measured.tolist())
    known = found.width[np.isfinite(found.width)]
    error = found.error[np.isfinite(found.error)]
    said: dict[str, list[int]] = {}
    for row, inside in zip(rows, found.inside.tolist(), strict=True):
        # "held to 2x of 10x the compute: ..." and "missed along M: ..." differ from run to run.
        word = (row["evidence"] or "none").split()[0].rstrip(":,;")
        counts = said.setdefault(word, [0, 0])
        counts[0] += inside
        counts[1] += 1
    return {
        "by_evidence": said,
        "inside": int(found.inside.sum()),
        "of": int(found.inside.size),
        "mean_error": float(error.mean()) if error.size else None,
        "median_width": float(np.median(known)) if known.size else None,
    }


def _targets(asked: pd.DataFrame) -> list[Target]:
    unique = asked["unique_tokens"] if "unique_tokens" in asked else [None] * len(asked)
    return [
        Target(params, tokens, None, seen)
        for params, tokens, seen in zip(asked["params"], asked["tokens"], unique, strict=True)
    ]


def _record(
    runs: pd.DataFrame, targets: Sequence[Target], draws: int, authors: Authors | None
) -> Record:
    """Fit a table as `scalebed fit` does: as the authors did, or by default."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "runs.csv"
        runs.drop(columns="held_out").to_csv(path, index=False)
        table = read_runs(path)
    if authors is None:
        settings = table_settings(table, draws=draws)
    else:
        law, options = authors.law, authors.options
        settings = table_settings(
            table, loss_law=law, interval="bootstrap", options=options, draws=draws
        )
    return fit_table(table, tuple(targets), settings)
