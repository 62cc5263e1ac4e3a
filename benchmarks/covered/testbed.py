"""The published testbed: each data set alone on seven splits, and the paper's cells as a study."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.covered.measure import TIED, At, Part, Scores, Way, in_order, record_of
from scalebed.core.errors import ScalebedError
from scalebed.core.provenance import canonical_json
from scalebed.plan import rule_params
from scalebed.predict.open_study import read_tables
from scalebed.predict.runs import Runs
from scalebed.predict.settings import parse_settings
from scalebed.predict.study import fit_study
from scalebed.study.load import load_any
from scalebed.tables.imports.base import import_any
from scalebed.tables.imports.tabulate import tabulate_import

STUDY = Path(__file__).resolve().parents[2] / "config" / "studies" / "testbed.yaml"
LOSSES = (
    "c4_val",
    "openlm",
    "c4_german",
    "paloma_c4_en",
    "paloma_redpajama",
    "paloma_refinedweb",
    "paloma_programming_languages",
    "paloma_ptb",
)
# What is fitted, by N, M and C = 6 N D; all else is predicted. Each leaves 6 degrees of freedom.
SPLITS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "N <= 154M": lambda N, M, C: N < 2e8,
    "N <= 411M": lambda N, M, C: N < 1e9,
    "C <= 3e18": lambda N, M, C: C <= 3e18,
    "C <= 1e19": lambda N, M, C: C <= 1e19,
    "C <= 1e20": lambda N, M, C: C <= 1e20,
    "C <= 1e21": lambda N, M, C: C <= 1e21,
    "M <= 80, N <= 411M": lambda N, M, C: (M < 90) & (N < 1e9),
}
# At M = 5 and 10 the small models lie off the law: with them, and without.
POOLS = {"all runs": 0.0, "M >= 20": 19.0}
_COLUMNS = ["params", "tokens", "loss"]
_OF_A_WAY = ("loss_law", "loss_options", "interval", "draws")


def runs_of(folder: Path, loss: str) -> pd.DataFrame:
    """Return all runs with one loss: data set, N, D, M and the loss in nats."""
    found = import_any("testbed", folder, {})
    losses = pd.DataFrame(found.losses)
    losses = losses.loc[losses["validation"] == loss, ["cell", "loss"]]
    runs = pd.DataFrame(found.cells).merge(losses, on="cell", validate="1:1")
    # Whole numbers of 64 bits do not hold 6 N D.
    return runs[["dataset", *_COLUMNS, "token_multiplier"]].astype(dict.fromkeys(_COLUMNS, float))


def alone(fitted: pd.DataFrame, asked: pd.DataFrame, way: Way, draws: int) -> Scores:
    """Predict runs from others of their data set, and nothing else."""
    columns = {name: fitted[name].tolist() for name in _COLUMNS}
    targets: list[At] = [(None, float(row.params), float(row.tokens)) for row in asked.itertuples()]
    record = record_of(columns, targets, way.settings(draws))
    return Scores.of(in_order(record, targets), asked["loss"].tolist())


def splits(folder: Path, loss: str, least: float, way: Way, draws: int) -> dict[str, Scores]:
    """Scores of all splits of the runs of one loss above an M, the data sets in a row."""
    runs = runs_of(folder, loss)
    runs = runs[runs["token_multiplier"] > least]
    result = {}
    for name, inside in SPLITS.items():
        found = []
        for _, own in runs.groupby("dataset"):
            N, M = own["params"], own["token_multiplier"]
            used = inside(N, M, 6 * N * own["tokens"])
            found.append(alone(own[used], own[~used], way, draws))
        result[name] = Scores.joined(found)
    return result


def split_lines(
    pool: str, ways: list[Way], found: Mapping[Any, dict[str, Scores]]
) -> Iterator[str]:
    """Say what was measured: over all, by loss and by split."""
    asked = "asked >= 86 % over all, no loss under 80 %, score below today's on 6 of 8 losses"
    yield f"testbed, eight losses, seven splits, {pool} ({asked})"
    by_loss = {
        way: {loss: Scores.joined([*found[way, loss].values()]) for loss in LOSSES} for way in ways
    }
    for way in ways:
        yield f"  {'over all':28} {way!s:22} {Scores.joined([*by_loss[way].values()])}"
    for loss in LOSSES:
        yield from (f"  {loss:28} {way!s:22} {by_loss[way][loss]}" for way in ways)
    for split in SPLITS:
        for way in ways:
            joined = Scores.joined([found[way, loss][split] for loss in LOSSES])
            yield f"  {split:28} {way!s:22} {joined}"
    for way in ways:
        if TIED in ways and way != TIED:
            yield f"  {way}: score below that of {TIED} on {_better(by_loss, way)} of eight losses"


def _better(by_loss: Mapping[Way, Mapping[str, Scores]], way: Way) -> int:
    """Count the losses on which a way has a lower mean score than the tied law."""
    scores = [[np.nanmean(by_loss[one][loss].score) for loss in LOSSES] for one in (way, TIED)]
    return int(np.sum(np.less(*scores)))


def with_tasks(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the tables of the shipped study, as the workflow imports them."""
    with tempfile.TemporaryDirectory() as out:
        tabulate_import(rule_params.imported(load_any(STUDY)), folder, Path(out))
        return read_tables(Path(out))


def tables_of(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the same without tasks."""
    return with_tasks(folder) | {"tasks": []}


def alone_on_splits(sets: Sequence[Runs], loss: str) -> Iterator[tuple[str, Runs]]:
    """Yield every data set by itself on every split, with the roles of the split."""
    for split, inside in SPLITS.items():
        for runs in sets:
            N, D = runs.params, runs.tokens
            known = np.isfinite(runs.loss(loss)) & runs.same_recipe
            used = known & inside(N, D / N, 6 * N * D)
            roles = {"fit_loss": used, "fit_error": used, "target": known & ~used}
            yield split, replace(runs, **roles, scatter=used)


def paper(folder: Path, loss: str, way: Way, draws: int) -> dict[str, Scores]:
    """Scores of the shipped study on one loss: held-out cells with M >= 20, targets among them."""
    tables = tables_of(folder)
    settings = parse_settings(canonical_json(rule_params.fit(load_any(STUDY))))
    settings = replace(
        settings,
        **{"loss": loss, "losses": (loss,), "every_loss": False},
        **{"averages": {}, "pool": None, "beside": None},
        **{name: getattr(way.settings(draws), name) for name in _OF_A_WAY},
    )
    fitted = fit_study(tables, settings)
    sources = fitted["fits"].column("sigma_source").to_pylist()
    if any(way.interval == "posterior" and "posterior" not in str(found) for found in sources):
        raise ScalebedError("studies draw no posterior: --interval bootstrap leaves it out")
    ratios = {cell["cell"]: cell["tokens"] / cell["params"] for cell in tables["cells"]}
    rows = [
        row
        for row in fitted["predictions"].to_pylist()
        if row["role"] != "fit" and row["measured"] is not None and ratios[row["cell"]] > 19
    ]
    scores = Scores.of(rows, [row["measured"] for row in rows])
    return {
        "held-out cells": scores,
        "targets": scores.take(np.array([row["role"] == "target" for row in rows])),
    }


def paper_lines(ways: list[Way], found: Mapping[Any, dict[str, Scores]]) -> Iterator[str]:
    """Say what was measured on the paper's cells."""
    asked = {"held-out cells": "88-95 %, score <= 15.0", "targets": "88-95 %, score <= 26"}
    yield "testbed, the paper's cells, eight losses, three data sets"
    for which, wanted in asked.items():
        for way in ways:
            joined = Scores.joined([found[way, loss][which] for loss in LOSSES])
            yield f"  {which:28} {way!s:22} {joined}  (asked {wanted})"


def parts(folder: Path, ways: list[Way], draws: int) -> Iterator[Part]:
    """All splits, with and without the runs at small M; the paper's cells."""
    pairs = [(way, loss) for way in ways for loss in LOSSES]
    for pool, least in POOLS.items():
        jobs = {
            (way, loss): partial(splits, folder, loss, least, way, draws) for way, loss in pairs
        }
        yield Part(f"testbed, splits, {pool}", jobs, partial(split_lines, pool, ways))
    cells = {(way, loss): partial(paper, folder, loss, way, draws) for way, loss in pairs}
    yield Part("testbed, the paper's cells", cells, partial(paper_lines, ways))
