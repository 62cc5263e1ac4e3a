"""Relative prediction error as a heat map over model size N and token multiplier M."""

from typing import Any

import altair as alt
import pandas as pd

from scalebed.figures.style import INK, MUTED, Style, compact, message
from scalebed.store.reader import StudyDatabase

TITLE = "Relative error of the prediction"
CAPTION = (
    "(predicted - measured) / measured in per cent; blue is too low, orange too high. Framed "
    "cells were fitted to, a diamond marks a target, and grey says why there is no number. Cells "
    "that differ only in recipe or seed are averaged."
)
OPTIONS = {"kind": "loss"}
_QUERY = """
SELECT c.dataset, c.size, c.params, c.ratio AS M,
       100 * avg(p.predicted / p.measured - 1) AS error, avg(p.predicted) AS predicted,
       avg(p.measured) AS measured, avg(p.lower) AS lower, avg(p.upper) AS upper,
       bool_or(p.role = 'fit') AS fitted, bool_or(c.target) AS target, min(c.status) AS status,
       bool_and(p.predicted IS NULL) AS unpredicted
FROM cells c LEFT JOIN predictions p
    ON p.cell = c.cell AND p.kind = $kind AND p.response = $response
GROUP BY c.dataset, c.size, c.params, c.ratio ORDER BY c.dataset, c.params, M
"""
# Below this the colours would exaggerate what is noise.
_SMALLEST_REACH = 1.0
_LARGEST_REACH = 30.0
_MOST_LABELLED = 12
# Light enough at both ends for dark text.
_COLORS = ["#5aa5d6", "#f5f5f3", "#f0984e"]


def chart(study: StudyDatabase, style: Style) -> alt.TopLevelMixin:
    """Return one heat map per data set."""
    kind = style.options.get("kind", "loss")
    response = study.yardstick if kind == "loss" else "average"
    frame = study.frame(_QUERY, {"kind": kind, "response": response})
    title = f"{TITLE}: {f'loss on {response}' if kind == 'loss' else 'mean task error'}"
    if frame["error"].isna().all():
        return message("Nothing was both predicted and measured.", title)
    frame["N"] = _size_labels(frame)
    frame["label"] = [_label(row) for row in frame.itertuples()]
    reach = float(frame["error"].abs().max())
    return _draw(frame, min(max(reach, _SMALLEST_REACH), _LARGEST_REACH), title, style)


def _size_labels(frame: pd.DataFrame) -> pd.Series:
    """Return N in short form; the name is added where two sizes look the same."""
    labels = frame["params"].map(compact)
    shared = frame.groupby(labels)["size"].transform("nunique") > 1
    return labels.where(~shared, labels + " " + frame["size"])


def _label(row: Any) -> str:
    if pd.notna(row.error):
        # Adding zero turns -0.0 into 0.0.
        text = f"{round(row.error, 1) + 0.0:+.1f}".replace("-", "−")
        return text + (" ◆" if row.target else "")
    if row.status != "done":
        return str(row.status)
    return "no law" if row.unpredicted else ""


def _draw(frame: pd.DataFrame, reach: float, title: str, style: Style) -> alt.TopLevelMixin:
    sizes = list(dict.fromkeys(frame.sort_values("params", ascending=False)["N"]))
    columns = frame["M"].nunique()
    panels = frame["dataset"].nunique()
    size = style.panel(panels)
    if style.height is None:
        size["height"] = min(600, 30 * len(sizes))
    base = alt.Chart().encode(
        x=alt.X("M:O", title="token multiplier M = D/N", axis=alt.Axis(labelAngle=0)),
        y=alt.Y("N:O", sort=sizes, title="parameters N"),
    )
    tooltip = [
        *(alt.Tooltip(name) for name in ("dataset:N", "size:N", "M:O", "status:N")),
        alt.Tooltip("params:Q", title="N", format=",d"),
        *(
            alt.Tooltip(f"{name}:Q", format=".4f")
            for name in ("measured", "predicted", "lower", "upper")
        ),
        alt.Tooltip("error:Q", title="relative error %", format="+.2f"),
    ]
    missing = (
        base.transform_filter("!isValid(datum.error)")
        .mark_rect(color="#eef0f2")
        .encode(tooltip=tooltip)
    )
    colored = (
        base.transform_filter("isValid(datum.error)")
        .mark_rect()
        .encode(
            color=alt.Color(
                "error:Q",
                scale=alt.Scale(
                    range=_COLORS, domain=[-reach, 0, reach], clamp=True, interpolate="rgb"
                ),
                title="error (%)",
            ),
            tooltip=tooltip,
        )
    )
    framed = base.transform_filter("datum.fitted").mark_rect(
        filled=False, stroke=INK, strokeWidth=1.6
    )
    layers = [missing, colored, framed]
    if columns * min(panels, 3) <= 2 * _MOST_LABELLED and len(sizes) <= 2 * _MOST_LABELLED:
        layers.append(
            base.mark_text(fontSize=10).encode(
                text="label:N",
                color=alt.condition("isValid(datum.error)", alt.value(INK), alt.value(MUTED)),
            )
        )
    return (
        alt.layer(*layers, data=frame)
        .properties(**size)
        .facet(facet=alt.Facet("dataset:N", title=None), columns=3)
        .properties(title=title)
    )
