"""Relative prediction error as a heat map over model size N and token multiplier M."""

from typing import Any

import altair as alt
import pandas as pd

from scalebed.core.errors import ScalebedError
from scalebed.report.figures.style import INK, MUTED, Style, message
from scalebed.report.numbers import compact
from scalebed.tables.reader import StudyDatabase

TITLE = "Relative error of the prediction"
CAPTION = (
    "(predicted - measured) / measured in per cent; blue is too low, orange too high. Framed "
    "cells were fitted to, a diamond marks a target, and grey says why there is no number. Cells "
    "that differ only in recipe or seed are averaged."
)
OPTIONS: dict[str, Any] = {
    "kind": "loss",
    "response": "",
    "dataset": "",
    "absolute": False,
    "min_ratio": 0.0,
}
_QUERY = """
SELECT c.dataset, c.size, c.params, c.ratio AS M,
       100 * avg(p.predicted / p.measured - 1) AS error, avg(p.predicted) AS predicted,
       avg(p.measured) AS measured, avg(p.lower) AS lower, avg(p.upper) AS upper,
       bool_or(p.role = 'fit') AS fitted, bool_or(c.target) AS target, min(c.status) AS status,
       bool_and(p.predicted IS NULL) AS unpredicted
FROM cells c LEFT JOIN predictions p
    ON p.cell = c.cell AND p.kind = $kind AND p.response = $response
WHERE c.ratio >= $min_ratio AND ($dataset = '' OR c.dataset = $dataset)
GROUP BY c.dataset, c.size, c.params, c.ratio ORDER BY c.dataset, c.params, M
"""
# Below this the colours would exaggerate what is noise.
_SMALLEST_REACH = 1.0
_LARGEST_REACH = 30.0
_MOST_LABELLED = 12
# Light enough at both ends for dark text.
_COLORS = ["#5aa5d6", "#f5f5f3", "#f0984e"]


def chart(study: StudyDatabase, style: Style) -> alt.TopLevelMixin:
    """Return one heat map per data set, or per pair of data set and response.

    `response` is the name of one response, a list of them with commas, or of pairs
    ``dataset:response``; '' stands for the yardstick loss or the average error.
    """
    options = OPTIONS | dict(style.options)
    kind = options["kind"]
    response = options["response"] or (study.yardstick if kind == "loss" else "average")
    pairs = [_pair(part.strip()) for part in response.split(",")]
    frame = pd.concat(
        [_panel(study, options, *pair, several=len(pairs) > 1) for pair in pairs],
        ignore_index=True,
    )
    title = _title(options, pairs)
    if frame["error"].isna().all():
        return message("Nothing was both predicted and measured.", title)
    if options["absolute"]:
        frame["error"] = frame["error"].abs()
    frame["N"] = _size_labels(frame)
    frame["label"] = [_label(row, options["absolute"]) for row in frame.itertuples()]
    reach = float(frame["error"].abs().max())
    reach = min(max(reach, _SMALLEST_REACH), _LARGEST_REACH)
    return _draw(frame, _color(reach, options["absolute"]), title, style)


def _pair(text: str) -> tuple[str, str]:
    dataset, mark, response = text.rpartition(":")
    if not response or (mark and not dataset):
        raise ScalebedError(
            f"figure relative_error: option 'response' has the part {text!r}, expected the name "
            "of a response or dataset:response"
        )
    return dataset, response


def _panel(
    study: StudyDatabase, options: dict[str, Any], dataset: str, response: str, several: bool
) -> pd.DataFrame:
    values = {
        "kind": options["kind"],
        "response": response,
        "dataset": dataset or options["dataset"],
        "min_ratio": options["min_ratio"],
    }
    frame = study.frame(_QUERY, values)
    heading = frame["dataset"] + (f" on {response}" if several else "")
    return frame.assign(panel=heading, response=response)


def _title(options: dict[str, Any], pairs: list[tuple[str, str]]) -> str:
    if len(pairs) > 1:
        return TITLE
    response = pairs[0][1]
    if options["kind"] == "loss":
        return f"{TITLE}: loss on {response}"
    return f"{TITLE}: {'mean task error' if response == 'average' else f'error, {response}'}"


def _color(reach: float, absolute: bool) -> alt.Color:
    if absolute:
        scale = alt.Scale(range=_COLORS[1:], domain=[0, reach], clamp=True, interpolate="rgb")
        return alt.Color("error:Q", scale=scale, title="|error| (%)")
    scale = alt.Scale(range=_COLORS, domain=[-reach, 0, reach], clamp=True, interpolate="rgb")
    return alt.Color("error:Q", scale=scale, title="error (%)")


def _size_labels(frame: pd.DataFrame) -> pd.Series:
    """Return N in short form; the name is added where two sizes look the same."""
    labels = frame["params"].map(compact)
    shared = frame.groupby(labels)["size"].transform("nunique") > 1
    return labels.where(~shared, labels + " " + frame["size"])


def _label(row: Any, absolute: bool) -> str:
    if pd.notna(row.error):
        # Adding zero turns -0.0 into 0.0.
        value = round(row.error, 1) + 0.0
        text = f"{value:.1f}" if absolute else f"{value:+.1f}".replace("-", "−")
        return text + (" ◆" if row.target else "")
    if row.status != "done":
        return str(row.status)
    return "no law" if row.unpredicted else ""


def _draw(frame: pd.DataFrame, color: alt.Color, title: str, style: Style) -> alt.TopLevelMixin:
    sizes = list(dict.fromkeys(frame.sort_values("params", ascending=False)["N"]))
    columns = frame["M"].nunique()
    panels = frame["panel"].nunique()
    size = style.panel(panels)
    if style.height is None:
        size["height"] = min(600, 30 * len(sizes))
    base = alt.Chart().encode(
        x=alt.X("M:O", title="token multiplier M = D/N", axis=alt.Axis(labelAngle=0)),
        y=alt.Y("N:O", sort=sizes, title="parameters N"),
    )
    tooltip = [
        *(alt.Tooltip(name) for name in ("dataset:N", "response:N", "size:N", "M:O", "status:N")),
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
        .encode(color=color, tooltip=tooltip)
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
        .facet(
            facet=alt.Facet("panel:N", title=None, sort=list(dict.fromkeys(frame["panel"]))),
            columns=3,
        )
        .properties(title=title)
    )
