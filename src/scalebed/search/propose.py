"""From the tables of the runs to frontier, laws and the proposed ladder."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow

from scalebed.core import arithmetic
from scalebed.core.errors import ScalebedError
from scalebed.core.files import write_parquet, write_text
from scalebed.search.ladder import ladder_yaml
from scalebed.search.power import Bootstrap
from scalebed.search.rungs import Picked, pick
from scalebed.search.summary import summarise
from scalebed.search.trends import Trend, fit_trend, optima
from scalebed.study.search import SearchStudy
from scalebed.study.search_runs import Expanded
from scalebed.study.search_sections import SEARCHED
from scalebed.tables.arrow import from_rows, read_table
from scalebed.tables.declared.cells import CELLS, LOSSES, SEARCH, SEARCH_FITS, SEARCH_RUNGS
from scalebed.tables.imports.frontier import mark

Row = dict[str, Any]

TRENDS = ("lr", "batch_sequences")
"""Hyper-parameters whose best value may follow a law over N."""


def choose_ladder(params: Mapping[str, Any], tables: Path, out: Path) -> None:
    """Write ``runs``, ``search_fits`` and ``search_rungs`` (parquet) and ``ladder.yaml``.

    Parameters
    ----------
    params
        ``{"study": the search as a study file has it}``.
    tables
        Folder of the tables of its cells.
    out
        Folder to write into.

    Raises
    ------
    ScalebedError
        If a table is missing or is not of this search, or no rung can be had.
    """
    study = SearchStudy.model_validate(params["study"])
    search, expanded = study.search, study.expanded()
    bootstrap = Bootstrap(*study.bootstrap.model_dump().values())
    cells = read_table(CELLS, tables / "cells.parquet")
    losses = read_table(LOSSES, tables / "losses.parquet")
    marked = mark(run_rows(study, expanded, cells, losses), search.filter)
    trends = _trends(marked, bootstrap.level)
    usable = {name: trend for name, trend in trends.items() if isinstance(trend, Trend)}
    rungs = pick(search, expanded.sizes, marked, usable)
    chosen = {rung.run["configuration"] for rung in rungs if rung.run is not None}
    marked = [row | {"chosen": row["configuration"] in chosen} for row in marked]
    targets = {f"loss:{rung.name}": rung.flops(search.ratio) for rung in rungs}
    summary = summarise(marked, targets, bootstrap=bootstrap)
    fits = [*_law_rows(summary, bootstrap.level), *_trend_rows(trends, bootstrap.level)]
    text = ladder_yaml(study, rungs, _facts(marked, summary, trends))
    write_parquet(out / "runs.parquet", from_rows(SEARCH, marked, "runs"))
    write_parquet(out / "search_fits.parquet", from_rows(SEARCH_FITS, fits, "search_fits"))
    rows = [_rung_row(rung, search.ratio, summary) for rung in rungs]
    write_parquet(out / "search_rungs.parquet", from_rows(SEARCH_RUNGS, rows, "search_rungs"))
    write_text(out / "ladder.yaml", text)


def run_rows(
    study: SearchStudy, expanded: Expanded, cells: pyarrow.Table, losses: pyarrow.Table
) -> list[Row]:
    """Return every run of a search with its outcome, in the order of the declaration.

    Raises
    ------
    ScalebedError
        If the tables lack a cell of the search.
    """
    found = {row["cell"]: row for row in cells.to_pylist()}
    measured = {
        row["cell"]: row["loss"]
        for row in losses.to_pylist()
        if row["validation"] == study.search.loss
    }
    rows = []
    for run in expanded.runs:
        path = study.cell(run).path
        if path not in found:
            raise ScalebedError(f"the tables of the search have no cell {path}; run it again")
        cell, ratio = found[path], study.search.ratio
        same = ("status", "reason", "params", "tokens", "ratio", "flops", "steps")
        rows.append(
            run._asdict()
            | {name: cell[name] for name in same}
            | {
                "configuration": f"{run.size} {run.recipe}",
                "cell": path,
                "warmup": run.warmup_steps,
                "nominal_flops": arithmetic.flops(cell["params"], ratio * cell["params"]),
                "loss": measured.get(path) if cell["status"] == "done" else None,
            }
        )
    return rows


def _trends(marked: Sequence[Row], level: float) -> dict[str, Trend | str]:
    found: dict[str, Trend | str] = {}
    for name in TRENDS:
        others = ("size", *(other for other in SEARCHED if other != name))
        found[name] = fit_trend(name, optima(marked, name, others), level)
    return found


def _law_rows(summary: Mapping[str, Any], level: float) -> list[Row]:
    rows = [
        {"fit": one["points"], "points": one["count"], "level": level, "note": None}
        | {name: one[name] for name in ("quantity", "value", "lower", "upper")}
        for one in summary["fits"]
    ]
    for name, reason in summary["refused"].items():
        rows.append(_refused(name, summary[name], level, reason))
    return rows


def _refused(fit: str, points: int, level: float, reason: str) -> Row:
    empty = dict.fromkeys(("value", "lower", "upper"))
    return {"fit": fit, "quantity": "refused", "points": points, "level": level, "note": reason} | (
        empty
    )


def _trend_rows(trends: Mapping[str, Trend | str], level: float) -> list[Row]:
    rows = []
    for name, trend in trends.items():
        if isinstance(trend, str):
            rows.append(_refused(name, 0, level, trend))
            continue
        common = {"fit": name, "points": trend.points, "level": level, "note": None}
        rows.append(
            common
            | {"quantity": "exponent", "value": trend.exponent}
            | {"lower": trend.lower, "upper": trend.upper}
        )
        rows.append(
            common | {"quantity": "scale", "value": trend.scale, "lower": None, "upper": None}
        )
    return rows


def _rung_row(rung: Picked, ratio: int, summary: Mapping[str, Any]) -> Row:
    law = {one["quantity"]: one for one in summary["fits"] if one["points"] == "kept"}.get(
        f"loss:{rung.name}", {}
    )
    run = rung.run or {}
    return {
        "size": rung.name,
        "recipe": rung.recipe,
        "configuration": run.get("configuration"),
        "searched": rung.run is not None,
        "params": rung.params,
        "flops": rung.flops(ratio),
        **{name: getattr(rung.size, name) for name in ("width", "layers", "heads")},
        "batch_sequences": int(rung.values["batch_sequences"]),
        "warmup": int(rung.values["warmup_steps"]),
        "lr": float(rung.values["lr"]),
        "loss": run.get("loss"),
        "predicted": law.get("value"),
        "lower": law.get("lower"),
        "upper": law.get("upper"),
        "source": "; ".join(rung.notes),
    }


def _facts(
    marked: Sequence[Row], summary: Mapping[str, Any], trends: Mapping[str, Trend | str]
) -> list[str]:
    """Return what the head of the ladder says of the search."""
    missing = sum(row["loss"] is None for row in marked)
    facts = [
        f"{len(marked)} runs, {summary['flops']:.4g} FLOPs; {missing} without a loss; "
        f"{summary['frontier']} on the frontier of loss over compute, {summary['kept']} of them "
        "kept by the filter."
    ]
    values = {one["quantity"]: one["value"] for one in summary["fits"] if one["points"] == "kept"}
    if values:
        facts.append(
            f"Law of the kept frontier: L = {values['E']:.4g} + {values['lambda']:.4g} "
            f"C^-{values['eta']:.4g}."
        )
    else:
        facts.append(f"No law of the frontier: {summary['refused']['kept']}.")
    for name, trend in trends.items():
        if isinstance(trend, str):
            facts.append(f"No law of {name} over N: {trend}.")
        else:
            facts.append(
                f"Best {name} = {trend.scale:.4g} N^{trend.exponent:.4g}, {trend.points} sizes, "
                f"exponent within {trend.lower:.3g} to {trend.upper:.3g}."
            )
    return facts
