"""Which tasks can be predicted from the loss: a class for every task, with its evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from scalebed.checks.reliability.evidence import (
    Stratum,
    above_chance,
    noise,
    trend,
    turning,
)
from scalebed.checks.reliability.table import TABLE
from scalebed.core.cells import ALL
from scalebed.predict.open_study import StudyFit
from scalebed.predict.runs import Runs

Row = dict[str, Any]

PREDICTABLE, AT_CHANCE, NON_MONOTONE, NOISY, INVERSE = (
    "predictable",
    "at chance",
    "non-monotone",
    "noisy",
    "inverse",
)
CLASSES = (PREDICTABLE, AT_CHANCE, NON_MONOTONE, NOISY, INVERSE)
"""Names of the classes."""

"""Stands for all data sets together in column ``dataset``."""

# A 90 % band of single runs, 3.29 noise wide, fills half of the range.
_MOST_NOISE = 0.5 / 3.29
_LEAST_RUNS = 6


def classify_tasks(
    study: StudyFit, tournament: Sequence[Mapping[str, Any]] = (), level: float = 0.05
) -> list[Row]:
    """Class of every task, over all data sets and for each.

    Parameters
    ----------
    study : StudyFit
    tournament : sequence of mapping
        Rows of `scalebed.checks.tournament.play.run_tournament`, for the error law to use for each
        task.
    level : float
        False discovery rate of each test over the tasks (Benjamini and Hochberg 1995).

    Returns
    -------
    list of dict
        Rows of table ``reliability``, see `scalebed.checks.reliability.table`.
    """
    tasks = sorted({row["task"] for row in study.tables["tasks"]})
    chance = _chances(study.runs)
    laws = _laws(tournament)
    sets = {runs.dataset: [runs] for runs in study.runs}
    if len(sets) > 1:
        sets = {ALL: list(study.runs)} | sets
    rows: list[Row] = []
    for dataset, runs in sets.items():
        found = []
        for task in tasks:
            strata = _strata(runs, study.settings.loss, task)
            row = {"task": task, "dataset": dataset, "error_law": laws.get(task)}
            found.append(row | _evidence(strata, chance.get(task)))
        rows += _judged(found, level)
    return rows


def _chances(sets: Sequence[Runs]) -> dict[str, float]:
    """Error of guessing by task, where it is known."""
    found = {}
    for runs in sets:
        for task, values in runs.chance.items():
            known = values[np.isfinite(values)]
            if known.size:
                found[task] = float(known[0])
    return found


def _strata(sets: Sequence[Runs], loss: str, task: str) -> list[Stratum]:
    found = []
    for runs in sets:
        x, y = runs.loss(loss), runs.errors[task]
        use = runs.same_recipe & np.isfinite(x) & np.isfinite(y)
        trunk = None if runs.trunk is None else runs.trunk[use]
        found.append(Stratum(x[use], y[use], np.nan_to_num(runs.sampling[task][use]), trunk))
    return [stratum for stratum in found if stratum.loss.size]


def _evidence(strata: list[Stratum], chance: float | None) -> Row:
    runs = sum(stratum.loss.size for stratum in strata)
    row: Row = dict.fromkeys(TABLE.names) | {"runs": runs, "chance_error": chance}
    del row["task"], row["dataset"], row["error_law"]
    if max((stratum.loss.size for stratum in strata), default=0) < _LEAST_RUNS:
        return row
    tested = trend(strata)
    found = noise(strata, tested.tau >= 0)
    row |= {
        "tau": tested.tau,
        "p_trend": tested.p,
        "p_turn": turning(strata),
        "range": found.range,
        "scatter": found.scatter,
        "sampling": found.sampling,
        "noise_share": found.total / found.range if found.range > 0 else None,
    }
    if chance is not None:
        row["gain"], row["p_chance"] = above_chance(strata, chance)
    return row


def _judged(rows: list[Row], level: float) -> list[Row]:
    """Correct the p values over the tasks, then classify."""
    for test in ("trend", "chance", "turn"):
        known = [row for row in rows if row[f"p_{test}"] is not None]
        for row, q in zip(known, _adjusted([row[f"p_{test}"] for row in known]), strict=True):
            row[f"q_{test}"] = q
    judged = (row | _class(row, level) for row in rows)
    return [{name: row[name] for name in TABLE.names} for row in judged]


def _adjusted(p: list[float]) -> list[float]:
    from statsmodels.stats.multitest import multipletests

    if not p:
        return []
    found: list[float] = multipletests(p, method="fdr_bh")[1].tolist()
    return found


def _class(row: Row, level: float) -> Row:
    """Class and sentence of one task from its corrected tests."""
    head = f"{row['task']}: "
    if row["q_trend"] is None:
        said = f"cannot be judged, as there are {row['runs']} runs; expect no prediction"
        return {"class": NOISY, "sentence": f"{head}{said}."}
    beats = row["q_chance"] is None or row["q_chance"] < level
    trending, falls = row["q_trend"] < level, row["tau"] > 0
    amount = f"tau {row['tau']:.2f}, q {row['q_trend']:.2g}"
    span = f"{100 * row['range']:.1f} points"
    if row["q_turn"] < level:
        found = NON_MONOTONE
        said = f"error turns within the range of losses (q {row['q_turn']:.2g})"
    elif trending and not falls:
        found, said = INVERSE, f"error rises as the loss falls ({amount})"
    elif not beats:
        found = AT_CHANCE
        said = f"the best third of runs does not beat guessing (q {row['q_chance']:.2g})"
    elif not trending:
        found, said = NOISY, f"error shows no trend with the loss ({amount})"
    elif row["noise_share"] is None or row["noise_share"] > _MOST_NOISE:
        found = NOISY
        said = f"error falls with the loss ({amount}), but noise is {_share(row)} of its {span}"
    else:
        found = PREDICTABLE
        said = f"error falls with the loss ({amount}), noise is {_share(row)} of its {span}"
    tail = "" if found == PREDICTABLE else "; it cannot be predicted from the loss"
    return {"class": found, "sentence": f"{head}{found}: {said}{tail}."}


def _share(row: Row) -> str:
    return "all" if row["noise_share"] is None else f"{row['noise_share']:.0%}"


def _laws(tournament: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Error law with the least mean error over the splits by N (else all), for every task."""
    found: dict[str, dict[str, list[float]]] = {}
    rows = [row for row in tournament if row["kind"] == "error" and row["scope"] == "response"]
    for row in rows:
        if row["route"] != "two-step" or row["split"].startswith("mean"):
            continue
        if row["refused"] or row["family"] != "N":
            continue
        laws = found.setdefault(row["response"], {})
        laws.setdefault(row["law"], []).append(row["error"])
    best = {}
    for response, laws in found.items():
        most = max(len(errors) for errors in laws.values())
        complete = {law: errors for law, errors in laws.items() if len(errors) == most}
        best[response] = min(complete, key=lambda law: float(np.mean(complete[law])))
    return best
