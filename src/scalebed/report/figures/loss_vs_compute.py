"""Loss against compute, coloured by token multiplier, with the fitted law for each M."""

import altair as alt
import numpy as np
import pandas as pd

from scalebed.report.figures.frames import iso_ratio_curve, panel_names
from scalebed.report.figures.style import (
    MAX_COLUMNS,
    ROLE_SHAPES,
    ROLES,
    SEQUENCE,
    Style,
    log_axis,
    message,
)
from scalebed.tables.frames import FittedLaw, fitted_laws, points
from scalebed.tables.reader import StudyDatabase

TITLE = "Loss against training compute"
CAPTION = (
    "Every finished cell; colour is the token multiplier M. Lines are the fitted law at constant "
    "M, solid up to the compute of the largest fit cell, dashed where it extrapolates. Bars are "
    "prediction intervals of the targets with the prediction as a tick; diamonds are what was "
    "measured."
)
OPTIONS = {"reducible": False}
_CURVE_POINTS = 40


def chart(study: StudyDatabase, style: Style) -> alt.TopLevelMixin:
    """Return the chart, one panel per data set."""
    cells = points(study)
    laws = fitted_laws(study, "loss")
    finished = cells[cells["loss"].notna()]
    predicted = cells[cells["target"] & cells["predicted_loss"].notna()]
    if finished.empty and predicted.empty:
        return message("No cell of this study is finished.", TITLE)
    curves = [_curves(cells[cells["dataset"] == name], law) for name, law in laws.items()]
    frame = pd.concat(
        [
            finished.assign(what="cell", y=finished["loss"]),
            predicted.assign(what="prediction", y=predicted["predicted_loss"]),
            *curves,
        ],
        ignore_index=True,
    )
    reducible = bool(style.options.get("reducible", False))
    if reducible:
        frame = _subtract_floor(frame, laws)
        if frame.empty:
            return message("No fitted law says what part of the loss is reducible.", TITLE)
    frame["panel"] = panel_names(frame["dataset"], laws)
    return _draw(frame, study.yardstick, reducible, style)


def _curves(group: pd.DataFrame, fitted: FittedLaw) -> pd.DataFrame:
    """Return the law at each M of a data set, over the compute its cells span."""
    largest = group.loc[group["fit_loss"] & group["loss"].notna(), "flops"].max()
    parts = []
    for M in sorted(group["M"].unique()):
        cells = group[group["M"] == M]
        low, high = cells["flops"].min() / 1.5, cells["flops"].max() * 1.5
        # A cut at the largest fit cell, shared by both pieces, keeps the line unbroken.
        for name, start, stop in (
            ("interpolated", low, min(high, largest)),
            ("extrapolated", max(low, largest), high),
        ):
            if start < stop:
                flops = np.geomspace(start, stop, _CURVE_POINTS)
                loss = iso_ratio_curve(fitted, float(M), flops)
                parts.append(pd.DataFrame({"M": M, "flops": flops, "y": loss, "piece": name}))
    curves = pd.concat(parts, ignore_index=True)
    return curves.assign(what="law", dataset=group["dataset"].iloc[0])


def _subtract_floor(frame: pd.DataFrame, laws: dict[str, FittedLaw]) -> pd.DataFrame:
    """Return the frame with L - E; the intervals keep the best E. Data sets with no law go."""
    floors = {name: fitted.theta[0] for name, fitted in laws.items()}
    floor = frame["dataset"].map(floors).astype(float)
    frame = frame.assign(
        **{name: frame[name] - floor for name in ("y", "loss_lower", "loss_upper")}
    )
    return frame[frame["y"] > 0]


def _draw(frame: pd.DataFrame, yardstick: str, reducible: bool, style: Style) -> alt.TopLevelMixin:
    intervals = frame.loc[frame["what"] == "prediction", ["loss_lower", "loss_upper"]]
    values = np.concatenate([frame["y"], intervals.to_numpy(dtype=float).ravel()])
    values = values[np.isfinite(values) & (values > 0)]
    label = f"{'reducible ' if reducible else ''}loss on {yardstick} (nats/token, log scale)"
    x = alt.X("flops:Q", **log_axis(list(frame["flops"]), "training compute C = 6ND (FLOPs)"))
    y = alt.Y("y:Q", **log_axis(values, label))
    color = alt.Color("M:O", scale=alt.Scale(scheme=SEQUENCE), title="M = D/N")
    pick = alt.selection_point(name="pick", fields=["M"], bind="legend")
    faded = alt.condition(pick, alt.value(1.0), alt.value(0.12))
    base = alt.Chart().encode(x=x, color=color, opacity=faded)
    law = (
        base.transform_filter("datum.what == 'law'")
        .mark_line(strokeWidth=1.4, clip=True)
        .encode(
            y=y,
            detail="M:O",
            strokeDash=alt.StrokeDash(
                "piece:N",
                scale=alt.Scale(domain=["interpolated", "extrapolated"], range=[[1, 0], [4, 3]]),
                title="law",
            ),
        )
    )
    target = base.transform_filter("datum.what == 'prediction'")
    interval = target.mark_rule(strokeWidth=2.5).encode(y="loss_lower:Q", y2="loss_upper:Q")
    best = target.mark_tick(orient="horizontal", thickness=2.5, width=13).encode(y=y)
    measured = (
        base.transform_filter("datum.what == 'cell'")
        .mark_point(filled=True, strokeWidth=0.6, stroke="white")
        .encode(
            y=y,
            size=alt.condition("datum.target", alt.value(100), alt.value(50)),
            shape=alt.Shape(
                "role:N", scale=alt.Scale(domain=list(ROLES), range=list(ROLE_SHAPES)), title="cell"
            ),
            tooltip=[
                alt.Tooltip("dataset:N"),
                alt.Tooltip("size:N"),
                alt.Tooltip("M:O"),
                alt.Tooltip("role:N"),
                alt.Tooltip("params:Q", title="N", format=",d"),
                alt.Tooltip("tokens:Q", title="D", format=",d"),
                alt.Tooltip("flops:Q", title="C", format=".3e"),
                alt.Tooltip("loss:Q", format=".4f"),
                alt.Tooltip("predicted_loss:Q", title="predicted", format=".4f"),
                alt.Tooltip("loss_lower:Q", title="lower", format=".4f"),
                alt.Tooltip("loss_upper:Q", title="upper", format=".4f"),
            ],
        )
        .add_params(pick)
        .properties(name="picked")
    )
    panels = frame["dataset"].nunique()
    return (
        alt.layer(law, interval, best, measured, data=frame)
        .properties(**style.panel(panels))
        .facet(facet=alt.Facet("panel:N", title=None), columns=MAX_COLUMNS)
        .properties(title=TITLE)
    )
