"""Public tables that nothing was chosen on: the tenth of the runs with most compute is left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.covered.measure import At, Part, Scores, Way, in_order, record_of
from scalebed.predict.study import fit_study

CONSTRAINED = Way("bootstrap", "constrained")
ASKED = "asked >= 80 %"


def sardana(folder: Path) -> pd.DataFrame:
    """Return the 47 runs of Sardana et al. (arXiv 2401.00448)."""
    runs = pd.read_csv(folder / "sardana.csv")
    names = {"Parameters": "params", "Tokens": "tokens", "Smoothed Loss": "loss"}
    return runs.rename(columns=names)[[*names.values()]]


def repeated(folder: Path) -> pd.DataFrame:
    """Return the 182 runs of Muennighoff et al. (arXiv 2305.16264), with their unique tokens."""
    files = [folder / f"data_constrained_{part}.csv" for part in ("train", "test")]
    return pd.concat([pd.read_csv(file) for file in files], ignore_index=True)


def left_out(runs: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split off the tenth of the runs with most compute."""
    order = np.argsort(-runs["params"] * runs["tokens"], kind="stable")
    count = round(0.1 * len(runs))
    return runs.iloc[np.sort(order[count:])], runs.iloc[order[:count]]


def as_table(read: Callable[[Path], pd.DataFrame], folder: Path, way: Way, draws: int) -> Scores:
    """Predict what was left out, as `scalebed fit` does."""
    used, asked = left_out(read(folder))
    targets: list[At] = [(None, float(row.params), float(row.tokens)) for row in asked.itertuples()]
    columns = {name: column.tolist() for name, column in used.items()}
    record = record_of(columns, targets, way.settings(draws))
    return Scores.of(in_order(record, targets), asked["loss"].tolist())


def as_study(read: Callable[[Path], pd.DataFrame], folder: Path, way: Way, draws: int) -> Scores:
    """Predict what was left out, as a study does: its targets may repeat their data."""
    used, asked = left_out(read(folder))
    tables: dict[str, list[dict[str, Any]]] = {"cells": [], "losses": [], "tasks": []}
    for part, target in ((used, False), (asked, True)):
        for row in part.itertuples():
            name = str(row.Index)
            tables["cells"].append(
                {
                    **{"cell": name, "dataset": "all", "recipe": "table", "seed": 0},
                    **{"status": "done", "params": row.params, "tokens": row.tokens},
                    **{"flops": 6 * row.params * row.tokens, "target": target},
                    **{"fit_loss": not target, "fit_error": not target},
                    "epochs": row.tokens / row.unique_tokens,
                }
            )
            tables["losses"].append({"cell": name, "validation": "loss", "loss": row.loss})
    rows = fit_study(tables, way.settings(draws))["predictions"].to_pylist()
    found = {row["cell"]: row for row in rows}
    refused = dict.fromkeys(("predicted", "lower", "upper"))
    names = map(str, asked.index)
    return Scores.of([found.get(name, refused) for name in names], asked["loss"].tolist())


def lines(name: str, ways: list[Way], found: Mapping[Any, Scores]) -> Iterator[str]:
    """Say what was measured on one table."""
    yield from (f"{name:28} {way!s:22} {found[way]}  ({ASKED})" for way in ways)


def parts(folder: Path, ways: list[Way], draws: int) -> Iterator[Part]:
    """Both tables."""
    jobs: dict[Way, Callable[[], Scores]]
    jobs = {way: partial(as_table, sardana, folder, way, draws) for way in ways}
    yield Part("zoo, Sardana's 47 runs", jobs, partial(lines, "Sardana's 47 runs", ways))
    jobs = {way: partial(as_table, repeated, folder, way, draws) for way in ways}
    # Without unique tokens a law takes repeated data for new.
    jobs[CONSTRAINED] = partial(as_study, repeated, folder, CONSTRAINED, draws)
    yield Part("zoo, repeated data", jobs, partial(lines, "repeated data, 182 runs", [*jobs]))
