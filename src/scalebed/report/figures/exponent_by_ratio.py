"""Exponent of compute on each ray of constant M, with the floor shared or free."""

import altair as alt
import numpy as np
import pandas as pd

from scalebed.checks.explore import options as explorations
from scalebed.report.figures.style import (
    INK,
    MAX_COLUMNS,
    Style,
    linear_domain,
    log_axis,
    message,
)
from scalebed.tables.reader import StudyDatabase

TITLE = "Exponent of compute at each token multiplier"
CAPTION = (
    "Slope of log(L - E) over log C among the cells of one M, sizes with a target left out. "
    "Filled: E is that of the joint fit, with 90 % of a bootstrap over the cells of that M; the "
    "line is the exponent of the joint fit. Hollow: E is fitted anew at each M, which scatters "
    "the exponent, so a constant exponent is only seen with a shared E. Values beyond the axis "
    "are drawn at its end."
)
EXPLORED = explorations.OPTIONS["exponent_by_ratio"]
OPTIONS = EXPLORED | {"free": True}
_SHARED, _FREE = "E of the joint fit", "E free at each M"


def chart(study: StudyDatabase, style: Style, explored: pd.DataFrame) -> alt.TopLevelMixin:
    """Return the chart, one panel per data set."""
    options = OPTIONS | dict(style.options)
    frame = explored.sort_values(["dataset", "M", "floor"], ascending=[True, True, False])
    if not options["free"]:
        frame = frame[frame["floor"] == _SHARED]
    if frame.empty:
        return message("No token multiplier has three finished cells and a fitted law.", TITLE)
    return _draw(frame, style)


def _draw(frame: pd.DataFrame, style: Style) -> alt.TopLevelMixin:
    x = alt.X("M:Q", **log_axis(list(frame["M"]), "token multiplier M = D/N", count=True))
    shown = frame[["eta", "low", "high", "joint"]].to_numpy(dtype=float).ravel()
    shared = frame.loc[frame["floor"] == _SHARED, "eta"]
    # A free exponent can degenerate to zero or run off; it must not squeeze the rest.
    limits = (0.4 * shared.min(), 1.8 * shared.max())
    shown = shown[np.isfinite(shown)].clip(*limits)
    scale = alt.Scale(domain=linear_domain(list(shown)), zero=False, nice=False, clamp=True)
    axis = alt.Axis(format=".2f")

    def y(name: str) -> alt.Y:
        return alt.Y(f"{name}:Q", scale=scale, axis=axis, title="exponent η")

    base = alt.Chart()
    joint = base.mark_rule(color="#9aa5b1").encode(y=y("joint"))
    bars = (
        base.transform_filter("isValid(datum.low)")
        .mark_rule(color=INK, clip=True)
        .encode(x=x, y=y("low"), y2="high:Q")
    )
    marks = base.mark_point(size=60, strokeWidth=1.6).encode(
        x=x,
        y=y("eta"),
        color=alt.Color(
            "floor:N",
            scale=alt.Scale(domain=[_SHARED, _FREE], range=["#0072B2", "#D55E00"]),
            title="floor",
        ),
        fill=alt.condition(f"datum.floor == '{_SHARED}'", alt.value("#0072B2"), alt.value("white")),
        tooltip=[
            *(alt.Tooltip(name) for name in ("dataset:N", "M:O", "floor:N", "cells:Q")),
            *(alt.Tooltip(f"{name}:Q", format=".4f") for name in ("eta", "low", "high", "E")),
        ],
    )
    return (
        alt.layer(joint, bars, marks, data=frame)
        .properties(**style.panel(frame["dataset"].nunique()))
        .facet(facet=alt.Facet("dataset:N", title=None), columns=MAX_COLUMNS)
        .properties(title=TITLE)
    )
