"""Error of the predicted average as a function of which tasks the average takes in."""

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from scalebed.checks.explore.task_threshold import best_gain, sweep
from scalebed.report.figures.frames import points
from scalebed.report.figures.style import CATEGORIES, INK, Style, message
from scalebed.tables.reader import StudyDatabase

TITLE = "Which tasks the average takes in"
CAPTION = (
    "A task counts if some model of the reference size beats chance by more than the threshold. "
    "For every threshold the error law is fitted anew to the same cells and predicts the largest "
    "target from its predicted loss. Solid lines keep the law's bound eps <= 1; dashed lines do "
    "without it, as published fits did. The bound binds when only easy tasks are left."
)
OPTIONS: dict[str, Any] = {"reference": "", "least": -5.0, "most": 40.0, "size": ""}
_CAPPED, _FREE = "eps ≤ 1", "without bound"


def chart(study: StudyDatabase, style: Style) -> alt.TopLevelMixin:
    """Return the chart; thresholds are in points, '' for a size chooses one.

    `reference` is the size that decides about tasks, by default the second largest without a
    target; `size` is that of the target, by default the largest.
    """
    options = OPTIONS | dict(style.options)
    cells = points(study)
    cells = cells[cells["loss"].notna() & cells["error"].notna()].reset_index(drop=True)
    names = study.frame("SELECT DISTINCT task FROM tasks ORDER BY task")["task"]
    frame = _sweeps(study, cells, list(names), options)
    if frame.empty:
        return message("No target with task errors, fit cells and a reference size.", TITLE)
    return _draw(frame, style)


def _sweeps(
    study: StudyDatabase, cells: pd.DataFrame, names: list[str], options: dict[str, Any]
) -> pd.DataFrame:
    reference = options["reference"] or _second_largest(cells)
    errors, chance = _errors(study, names)
    judged = [key for key in _keys(cells[cells["size"] == reference]) if key in errors]
    rows: list[dict[str, Any]] = []
    if not judged:
        return pd.DataFrame(rows)
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
        for capped, law in ((True, _CAPPED), (False, _FREE)):
            for point in sweep(gain, thresholds.tolist(), *arguments, capped=capped):
                rows.append(
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
    frame = pd.DataFrame(rows)
    return frame[np.isfinite(frame["error"])] if len(frame) else frame


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


def _draw(frame: pd.DataFrame, style: Style) -> alt.TopLevelMixin:
    base = alt.Chart(frame).encode(
        y=alt.Y("error:Q", title="relative error of the mean task error (%)"),
        color=alt.Color("dataset:N", scale=alt.Scale(range=list(CATEGORIES)), title="data set"),
        strokeDash=alt.StrokeDash(
            "law:N",
            scale=alt.Scale(domain=[_CAPPED, _FREE], range=[[1, 0], [4, 3]]),
            title="error law",
            legend=alt.Legend(symbolType="stroke", symbolSize=400, symbolStrokeColor=INK),
        ),
        tooltip=[
            *(alt.Tooltip(name) for name in ("dataset:N", "law:N", "threshold:Q", "kept:Q")),
            *(
                alt.Tooltip(f"{name}:Q", format=".4f")
                for name in ("predicted", "measured", "error")
            ),
        ],
    )
    size = style.panel(2)
    left = base.mark_line(interpolate="step-after").encode(
        x=alt.X("threshold:Q", title="threshold t (points above chance)")
    )
    right = base.mark_line().encode(x=alt.X("excluded:Q", title="tasks left out"))
    return alt.hconcat(left.properties(**size), right.properties(**size)).properties(title=TITLE)
