"""From scores to the rows of table ``tournament``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from scalebed.checks.tournament.differences import (
    Differences,
    cluster_draws,
    differences,
    shared_noise,
)
from scalebed.checks.tournament.entries import Entry
from scalebed.checks.tournament.scores import Score
from scalebed.checks.tournament.table import BEST, EVEN, REFUSED, WORSE
from scalebed.laws.forms.base import Array, Index, Mask
from scalebed.predict.scatter import stream

Row = dict[str, Any]


@dataclass(frozen=True)
class Group:
    """What the entries are compared on: the predictions of one split, or of several.

    Attributes
    ----------
    kind : {"loss", "error"}
    response : str
    scope : {"response", "tasks"}
        Whether the response itself is predicted, or each task of an average by itself.
    family, split, label : str
        As in `scalebed.checks.tournament.splits.Split`.
    weights : array (targets,)
    clusters : int array (targets,)
        Number of the (N, M) of each prediction.
    """

    kind: str
    response: str
    scope: str
    family: str
    split: str
    label: str
    weights: Array
    clusters: Index


def group_rows(
    group: Group,
    scores: Sequence[tuple[Entry, Score]],
    own: int,
    seed: int,
    draws: int,
    level: float,
) -> list[Row]:
    """Rows of one group, one an entry.

    Parameters
    ----------
    group : Group
    scores : sequence of (Entry, Score)
    own : int
        Which entry is the study's own.
    seed, draws : int
        Of the bootstrap.
    level : float
        Probability content of the intervals.
    """
    errors = np.stack([score.errors for _, score in scores])
    if not errors.shape[1]:
        return []
    _, clusters = np.unique(group.clusters, return_inverse=True)
    count = int(clusters.max()) + 1
    names = ("tournament", group.kind, group.split)
    counts = cluster_draws(count, draws, stream(seed, *names))
    means = _means(errors, group.weights)
    complete: Mask = np.asarray(np.isfinite(errors).all(1))
    redrawn = np.stack([score.redrawn for _, score in scores])
    dof = np.array([score.dof for _, score in scores])

    def compared(row: int) -> Differences:
        shared = shared_noise(errors, redrawn, row, group.weights, clusters, dof)
        return differences(errors, errors[row], group.weights, clusters, counts, level, shared)

    against = compared(own)
    best = int(np.argmin(np.where(complete, means, np.inf))) if complete.any() else None
    behind = None if best is None else compared(best)
    rows = []
    for i, (entry, score) in enumerate(scores):
        standing = _standing(i, best, bool(complete[i]), behind)
        row = _row(group, entry, score, count) | {
            "own": i == own,
            "error": _finite(means[i]),
            "established": bool(against.established[i]),
            "standing": standing,
            "level": level,
        }
        row |= _interval(against, i, ("difference", "lower", "upper"))
        row |= _interval(behind, i, ("behind", "behind_lower", "behind_upper"))
        rows.append(row)
    return rows


def _means(errors: Array, weights: Array) -> Array:
    valid = np.isfinite(errors) * weights
    with np.errstate(invalid="ignore"):
        means: Array = (np.where(valid > 0, errors, 0.0) * valid).sum(1) / valid.sum(1)
    return means


def _standing(i: int, best: int | None, complete: bool, behind: Differences | None) -> str:
    if not complete or best is None or behind is None:
        return REFUSED
    if i == best:
        return BEST
    return WORSE if behind.established[i] and behind.mean[i] > 0 else EVEN


def _row(group: Group, entry: Entry, score: Score, clusters: int) -> Row:
    with np.errstate(invalid="ignore"):
        rms = float(np.sqrt(np.mean(score.in_sample**2))) if score.in_sample.size else np.nan
    return {
        "kind": group.kind,
        "response": group.response,
        "scope": group.scope,
        "family": group.family,
        "split": group.split,
        "label": group.label,
        "route": entry.route,
        "law": entry.law,
        "objective": entry.objective,
        "parameters": entry.parameters,
        "cells": int(np.isfinite(score.errors).sum()),
        "clusters": clusters,
        "unit": "%" if group.kind == "loss" else "points",
        "in_sample": _finite(rms),
        "fits": score.fits,
        "refused": len(score.refused),
        "reason": "; ".join(dict.fromkeys(score.refused))[:400],
        "unconverged": score.unconverged,
    }


def _interval(found: Differences | None, i: int, columns: tuple[str, str, str]) -> Row:
    if found is None:
        return dict.fromkeys(columns)
    values = (found.mean[i], found.lower[i], found.upper[i])
    return {name: _finite(value) for name, value in zip(columns, values, strict=True)}


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
