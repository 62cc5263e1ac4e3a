"""Compute, data, recipe and provenance of a study."""

from typing import Any

from scalebed.report.numbers import count, duration, plural, scientific
from scalebed.tables.reader import StudyDatabase

_COMPUTE = """
SELECT dataset,
       count(*) FILTER (fit_loss OR fit_error) AS fit_cells,
       coalesce(sum(flops) FILTER (fit_loss AND status = 'done'), 0) AS fit_loss_flops,
       coalesce(sum(flops) FILTER ((fit_loss OR fit_error) AND status = 'done'), 0) AS fit_flops,
       coalesce(max(flops) FILTER ((fit_loss OR fit_error) AND status = 'done'), 0) AS largest,
       coalesce(sum(seconds) FILTER (fit_loss OR fit_error), 0) AS fit_seconds,
       count(*) FILTER (target) AS targets,
       coalesce(sum(flops) FILTER (target), 0) AS target_flops,
       coalesce(sum(seconds) FILTER (target), 0) AS target_seconds,
       count(*) FILTER (NOT (target OR fit_loss OR fit_error)) AS other_cells,
       coalesce(sum(flops) FILTER (NOT (target OR fit_loss OR fit_error)), 0) AS other_flops
FROM cells GROUP BY dataset ORDER BY dataset
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
    "train_device_seconds": "Time in training steps, all devices",
    "train_wall_seconds": "Wall time of training jobs",
    "evaluate_losses_seconds": "Time evaluating losses",
    "evaluate_tasks_seconds": "Time evaluating tasks",
}


def compute(study: StudyDatabase) -> list[dict[str, Any]]:
    """Return, by data set, what the fit cost, what the targets cost, and the difference."""
    rows = study.rows(_COMPUTE)
    for row in rows:
        row["saved"] = row["target_flops"] - row["fit_flops"]
        row["ratio"] = row["target_flops"] / row["fit_flops"] if row["fit_flops"] else None
    return rows


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
