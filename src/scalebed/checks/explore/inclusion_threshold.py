"""Error of the predicted average as a function of which tasks the average takes in.

For every threshold the error law is fitted anew to the same cells and predicts the largest target
from its predicted loss.
"""

from typing import Any

import numpy as np
import pandas as pd

from scalebed.checks.explore.task_threshold import best_gain, sweep
from scalebed.tables.declared.columns import Table, count, number, text
from scalebed.tables.frames import points
from scalebed.tables.reader import StudyDatabase

CAPPED, FREE = "eps ≤ 1", "without bound"
TABLE = Table(
    "inclusion_threshold",
    "Error at the largest target when tasks count that beat chance by more than a threshold.",
    ("dataset", "law", "threshold"),
    (
        text("dataset", "Training set"),
        text("law", f"Error law: {CAPPED}, or {FREE}"),
        number("threshold", "Gain over chance that a task must exceed", "points"),
        count("kept", "Tasks that do"),
        count("excluded", "Tasks that do not"),
        number("error", "Relative error of the predicted average", "%"),
        number("predicted", "Predicted average error", "fraction"),
        number("measured", "Measured average error", "fraction"),
    ),
)


def rows(study: StudyDatabase, options: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of the table; none without a target, fit cells and a reference size.

    `reference` is the size that decides about tasks, by default the second largest without a
    target; `size` is that of the target, by default the largest. Thresholds are in points.
    """
    cells = points(study)
    cells = cells[cells["loss"].notna() & cells["error"].notna()].reset_index(drop=True)
    names = list(study.frame("SELECT DISTINCT task FROM tasks ORDER BY task")["task"])
    reference = options["reference"] or _second_largest(cells)
    errors, chance = _errors(study, names)
    judged = [key for key in _keys(cells[cells["size"] == reference]) if key in errors]
    found: list[dict[str, Any]] = []
    if not judged:
        return found
    gain = best_gain(np.array([errors[key] for key in judged]), chance)
    # Nothing changes between the gains of two tasks.
    ends = np.array([options["least"], options["most"]]) / 100
    inside = gain[(gain > ends[0]) & (gain < ends[1])]
    thresholds = np.unique(np.concatenate([ends, inside]).round(9))
    for dataset, own in cells.groupby("dataset"):
        target = _target(own, options["size"])
        fit = own[own["fit_error"]]
        if target is None or fit.empty:
            continue
        known = np.array([errors[key] for key in _keys(fit)])
        arguments = (
            (fit["loss"].to_numpy(), known),
            (float(target["predicted_loss"]), errors[_key(target)]),
        )
        for capped, law in ((True, CAPPED), (False, FREE)):
            for point in sweep(gain, thresholds.tolist(), *arguments, capped=capped):
                found.append(
                    {
                        "dataset": dataset,
                        "law": law,
                        "threshold": 100 * point.threshold,
                        "kept": point.kept,
                        "excluded": len(names) - point.kept,
                        "error": 100 * point.relative_error,
                        "predicted": point.predicted,
                        "measured": point.measured,
                    }
                )
    return [row for row in found if np.isfinite(row["error"])]


def _key(row: Any) -> tuple[Any, ...]:
    return row["dataset"], row["size"], row["M"]


def _keys(frame: pd.DataFrame) -> list[tuple[Any, ...]]:
    return list(frame[["dataset", "size", "M"]].itertuples(index=False, name=None))


def _errors(
    study: StudyDatabase, names: list[str]
) -> tuple[dict[tuple[Any, ...], np.ndarray], np.ndarray]:
    """Return task errors by data set, size and M, cells that differ in seed or recipe averaged."""
    query = """
        SELECT c.dataset, c.size, c.ratio AS M, t.task, avg(t.error) AS error,
               avg(t.chance_error) AS chance
        FROM tasks t JOIN cells c USING (cell) GROUP BY ALL ORDER BY ALL
    """
    frame = study.frame(query)
    wide = frame.pivot_table("error", ["dataset", "size", "M"], "task")
    wide = wide.reindex(columns=names).dropna()
    chance = frame.groupby("task")["chance"].mean().reindex(names).to_numpy()
    return dict(zip(wide.index, wide.to_numpy(), strict=True)), chance


def _second_largest(cells: pd.DataFrame) -> str:
    small = cells[~cells["size"].isin(cells.loc[cells["target"], "size"])]
    order = list(small.sort_values("params", ascending=False)["size"].drop_duplicates())
    return order[min(1, len(order) - 1)] if order else ""


def _target(own: pd.DataFrame, size: str) -> Any:
    found = own[own["target"] & own["predicted_loss"].notna()]
    if size:
        found = found[found["size"] == size]
    return None if found.empty else found.sort_values(["params", "M"]).iloc[-1]
