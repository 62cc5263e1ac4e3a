"""Compute, data, recipe and provenance of a study."""

import itertools
from typing import Any

from scalebed.report.numbers import count, duration, plural, scientific, significant
from scalebed.tables.reader import StudyDatabase
from scalebed.tables.trunks import spent, trunk_ends

_COMPUTE = """
SELECT dataset, fit_loss, fit_loss OR fit_error AS fit, target, status = 'done' AS done,
       flops, steps, coalesce(seconds, 0) AS seconds, trunk, trunk_steps
FROM cells ORDER BY dataset, cell
"""
_SIZES = """
SELECT DISTINCT size, params, params_no_input_embedding, params_no_embeddings, width, layers,
       heads, vocab, context, batch_tokens, precision
FROM cells ORDER BY params, size
"""
_DATA = """
SELECT dataset, count(*) AS cells, max(tokens) AS tokens, max(epochs) AS epochs,
       max(tokens / nullif(epochs, 0)) AS available
FROM cells GROUP BY dataset ORDER BY dataset
"""
_LABELS = {
    "study": "Study",
    "config_digest": "Configuration digest",
    "git_commit": "Git commit of the jobs",
    "scalebed": "scalebed that ran the jobs",
    "scalebed_gathered_with": "scalebed that gathered",
    "python": "Python",
    "platform": "Platform",
    "first_job_started": "First job started",
    "last_job_started": "Last job started",
    "yardstick": "Yardstick loss",
    "cells": "Cells",
    "tokens_trained": "Tokens trained on",
    "flops_trained": "Training compute, 6ND",
    "flops_exact_trained": "Training compute with attention",
    "trunks": "Trunks, each counted once",
    "trunks_of_unknown_time": "Trunks whose time is not known any more",
    "train_device_seconds": "Time in training steps, all devices",
    "train_wall_seconds": "Wall time of training jobs",
    "evaluate_losses_seconds": "Time evaluating losses",
    "evaluate_tasks_seconds": "Time evaluating tasks",
}


def compute(study: StudyDatabase) -> list[dict[str, Any]]:
    """Return, by data set, what the fit cost, what the targets cost, and the difference.

    Of each of these a trunk counts once.
    """
    cells = study.rows(_COMPUTE)
    return [
        _computed(name, list(rows))
        for name, rows in itertools.groupby(cells, key=lambda row: row["dataset"])
    ]


def _computed(dataset: str, cells: list[dict[str, Any]]) -> dict[str, Any]:
    fit = [row for row in cells if row["fit"]]
    targets = [row for row in cells if row["target"]]
    others = [row for row in cells if not (row["fit"] or row["target"])]
    finished = [row for row in fit if row["done"]]
    row: dict[str, Any] = {
        "dataset": dataset,
        "fit_cells": len(fit),
        "fit_loss_flops": spent([row for row in finished if row["fit_loss"]]),
        "fit_flops": spent(finished),
        "largest": max((row["flops"] for row in finished), default=0),
        "fit_seconds": sum(row["seconds"] for row in fit),
        "targets": len(targets),
        "target_flops": spent(targets),
        "target_seconds": sum(row["seconds"] for row in targets),
        "other_cells": len(others),
        "other_flops": spent(others),
        "trunks": len(trunk_ends(cells)),
    }
    row["saved"] = row["target_flops"] - row["fit_flops"]
    row["ratio"] = row["target_flops"] / row["fit_flops"] if row["fit_flops"] else None
    return row


_BEST_OF_LAW = """
SELECT f.dataset, p.value AS best FROM fit_parameters p JOIN fits f USING (fit)
WHERE p.parameter = 'M_star' AND f.kind = 'loss' AND f.response = $yardstick AND p.value > 0
ORDER BY f.dataset
"""
_BEST_OF_RUN = """
SELECT dataset, tokens / params AS best FROM decisions
WHERE choice = 'optimum' AND params > 0 AND abs(times_largest / 10 - 1) < 0.01 ORDER BY dataset
"""


def costs(study: StudyDatabase) -> dict[str, Any]:
    """Return the compute of all data sets together, and M* = D/N of the best run of each.

    M* is a number of the law where the law has one, else that of the best run at ten times the
    compute of the largest fitted one.
    """
    rows = compute(study)
    fit, target = (sum(row[name] for row in rows) for name in ("fit_flops", "target_flops"))
    by_law = study.rows(_BEST_OF_LAW, {"yardstick": study.yardstick})
    best = by_law or study.rows(_BEST_OF_RUN)
    return {
        "fit": fit,
        "target": target,
        "ratio": target / fit if fit and target else None,
        "best": [(row["dataset"], significant(row["best"], 3)) for row in best],
        "where": "" if by_law else " at ten times the largest fitted compute",
    }


def sizes(study: StudyDatabase) -> list[dict[str, Any]]:
    """Return the architectures of the study."""
    return study.rows(_SIZES)


def data(study: StudyDatabase) -> list[dict[str, Any]]:
    """Return the training sets: longest run, unique tokens and epochs of that run."""
    return study.rows(_DATA)


def corpora(facts: dict[str, str]) -> dict[str, dict[str, str]]:
    """Return what is known of the corpora, by name, from keys like ``corpus/<name>/licence``."""
    found: dict[str, dict[str, str]] = {}
    for key, value in facts.items():
        if key.startswith("corpus/"):
            _, name, fact = key.split("/", 2)
            found.setdefault(name, {})[fact] = value
    return found


def provenance(facts: dict[str, str]) -> list[tuple[str, str]]:
    """Return labelled facts in reading order; package versions last."""
    rows = []
    for key, label in _LABELS.items():
        if key in facts:
            rows.append((label, _readable(key, facts[key])))
    states = [key for key in facts if key.startswith("cells_")]
    if states:
        text = ", ".join(f"{facts[key]} {key.removeprefix('cells_')}" for key in sorted(states))
        rows.append(("Cells by status", text))
    versions = [
        f"{key.removeprefix('version_')} {value}"
        for key, value in sorted(facts.items())
        if key.startswith("version_")
    ]
    if versions:
        rows.append(("Packages", ", ".join(versions)))
    return rows


def _readable(key: str, value: str) -> str:
    if key.endswith("_seconds"):
        return duration(float(value))
    if key.startswith("flops"):
        return f"{scientific(float(value))} FLOPs"
    if key == "tokens_trained":
        return f"{count(float(value))} ({plural(int(value), 'token')})"
    return value
