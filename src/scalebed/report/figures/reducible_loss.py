"""Reducible loss L - E against compute on log axes, one line of the law for each M."""

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from scalebed.report.figures.frames import iso_ratio_curve
from scalebed.report.figures.style import MAX_COLUMNS, SEQUENCE, Style, log_axis, message
from scalebed.tables.frames import FittedLaw, fitted_laws, points
from scalebed.tables.reader import StudyDatabase

TITLE = "Reducible loss against training compute"
CAPTION = (
    "L - E on log axes, where the law is one straight line for each token multiplier M. Filled "
    "points were measured; hollow diamonds with bars are predictions of the targets with their "
    "intervals, E held at its best value. Squares mark the cells that were fitted to."
)
OPTIONS: dict[str, Any] = {
    "dataset": "",
    "min_ratio": 0.0,
    "max_ratio": 0.0,
    "max_params": 0.0,
}
_CURVE_POINTS = 24


def chart(study: StudyDatabase, style: Style) -> alt.TopLevelMixin:
    """Return the chart, one panel per data set; 0 or '' as an option stands for no limit."""
    options = OPTIONS | dict(style.options)
    laws = fitted_laws(study, "loss")
    cells = _selected(points(study), options)
    cells = cells[cells["dataset"].isin(list(laws))]
    finished = cells[cells["loss"].notna()]
    predicted = cells[cells["target"] & cells["predicted_loss"].notna()]
    if finished.empty and predicted.empty:
        return message("No finished cell of a data set with a fitted law was asked for.", TITLE)
    curves = [_curves(own, laws[str(name)]) for name, own in cells.groupby("dataset")]
    frame = pd.concat(
        [
            finished.assign(what="cell", y=finished["loss"]),
            predicted.assign(what="prediction", y=predicted["predicted_loss"]),
            *curves,
        ],
        ignore_index=True,
    )
    floor = frame["dataset"].map({name: law.theta[0] for name, law in laws.items()}).astype(float)
    # The lower end of a wide interval may lie below E, where there is no logarithm.
    low = (frame["loss_lower"] - floor).clip(lower=0.02)
    frame = frame.assign(y=frame["y"] - floor, low=low, high=frame["loss_upper"] - floor)
    return _draw(frame[frame["y"] > 0], study.yardstick, style)


def _selected(cells: pd.DataFrame, options: dict[str, Any]) -> pd.DataFrame:
    keep = cells["M"] >= options["min_ratio"]
    if options["dataset"]:
        keep &= cells["dataset"] == options["dataset"]
    if options["max_ratio"]:
        keep &= cells["M"] <= options["max_ratio"]
    if options["max_params"]:
        keep &= cells["params"] <= options["max_params"]
    return cells[keep]


def _curves(own: pd.DataFrame, fitted: FittedLaw) -> pd.DataFrame:
    """Return the law at each M over the compute of the cells shown."""
    low, high = own["flops"].min() / 1.5, own["flops"].max() * 1.5
    flops = np.geomspace(low, high, _CURVE_POINTS)
    parts = [
        pd.DataFrame({"M": M, "flops": flops, "y": iso_ratio_curve(fitted, float(M), flops)})
        for M in sorted(own["M"].unique())
    ]
    return pd.concat(parts, ignore_index=True).assign(what="law", dataset=own["dataset"].iloc[0])


def _draw(frame: pd.DataFrame, yardstick: str, style: Style) -> alt.TopLevelMixin:
    values = frame[["y", "low", "high"]].to_numpy(dtype=float).ravel()
    label = f"L − E on {yardstick} (nats/token)"
    y = alt.Y("y:Q", **log_axis(list(values[np.isfinite(values)]), label))
    base = alt.Chart().encode(
        x=alt.X("flops:Q", **log_axis(list(frame["flops"]), "training compute C = 6ND (FLOPs)")),
        color=alt.Color("M:O", scale=alt.Scale(scheme=SEQUENCE), title="M = D/N"),
    )
    law = (
        base.transform_filter("datum.what == 'law'")
        .mark_line(strokeWidth=1, opacity=0.7, clip=True)
        .encode(y=y, detail="M:O")
    )
    target = base.transform_filter("datum.what == 'prediction'")
    bar = target.mark_rule(strokeWidth=2).encode(
        y=alt.Y("low:Q", **log_axis(list(values[np.isfinite(values)]), label)), y2="high:Q"
    )
    hollow = target.mark_point(filled=False, shape="diamond", size=120, strokeWidth=1.8).encode(y=y)
    measured = (
        base.transform_filter("datum.what == 'cell'")
        .mark_point(filled=True, size=50, opacity=1, stroke="white", strokeWidth=0.6)
        .encode(
            y=y,
            shape=alt.Shape(
                "fit_loss:N",
                scale=alt.Scale(domain=[True, False], range=["square", "circle"]),
                legend=alt.Legend(title="fitted to", labelExpr="datum.value ? 'yes' : 'no'"),
            ),
            tooltip=[
                *(alt.Tooltip(name) for name in ("dataset:N", "size:N", "M:O")),
                alt.Tooltip("flops:Q", title="C", format=".3e"),
                alt.Tooltip("loss:Q", format=".4f"),
                alt.Tooltip("y:Q", title="L − E", format=".4f"),
            ],
        )
    )
    return (
        alt.layer(law, bar, measured, hollow, data=frame)
        .properties(**style.panel(frame["dataset"].nunique()))
        .facet(facet=alt.Facet("dataset:N", title=None), columns=MAX_COLUMNS)
        .properties(title=TITLE)
    )
