"""Average task error against the yardstick loss, with the fitted error law."""

import altair as alt
import numpy as np
import pandas as pd

from scalebed.report.figures.frames import panel_names
from scalebed.report.figures.style import (
    INK,
    MAX_COLUMNS,
    MUTED,
    ROLE_SHAPES,
    ROLES,
    SEQUENCE,
    Style,
    linear_domain,
    message,
)
from scalebed.tables.frames import FittedLaw, fitted_laws, points
from scalebed.tables.reader import StudyDatabase

TITLE = "Task error against loss"
CAPTION = (
    "Mean error over the tasks of the average against the yardstick loss; bars are one standard "
    "error over items. The line is the fitted error law, dashed outside the losses it was fitted "
    "to; the grey line is the error of guessing. Crosses are predictions of the targets made "
    "without their loss or error, with prediction intervals in both directions."
)
_CURVE_POINTS = 60


def chart(study: StudyDatabase, style: Style) -> alt.TopLevelMixin:
    """Return the chart, one panel per data set."""
    cells = points(study)
    laws = fitted_laws(study, "error")
    finished = cells[cells["loss"].notna() & cells["error"].notna()]
    if finished.empty:
        return message("No cell of this study has a loss and task errors.", TITLE)
    predicted = cells[
        cells["target"] & cells["predicted_loss"].notna() & cells["predicted_error"].notna()
    ]
    frame = pd.concat(
        [
            finished.assign(
                what="cell",
                low=finished["error"] - finished["error_stderr"],
                high=finished["error"] + finished["error_stderr"],
            ),
            predicted.assign(what="prediction"),
            *_curves(finished, predicted, laws),
            *_chance(finished),
        ],
        ignore_index=True,
    )
    frame["panel"] = panel_names(frame["dataset"], laws)
    return _draw(frame, study.yardstick, style)


def _curves(
    finished: pd.DataFrame, predicted: pd.DataFrame, laws: dict[str, FittedLaw]
) -> list[pd.DataFrame]:
    """Return the error law of each data set over the losses measured or predicted."""
    curves = []
    for name, fitted in laws.items():
        own = finished[finished["dataset"] == name]
        inside = own.loc[own["fit_error"], "loss"]
        # A direct law is no function of the loss.
        if inside.empty or "loss" not in fitted.law.inputs:
            continue
        beyond = predicted.loc[predicted["dataset"] == name, "loss_lower"]
        low, high = linear_domain([*own["loss"], *beyond.dropna()])
        for piece, start, stop in (
            ("beyond low", low, inside.min()),
            ("interpolated", inside.min(), inside.max()),
            ("beyond high", inside.max(), high),
        ):
            loss = np.linspace(start, stop, _CURVE_POINTS)
            known = {"loss": loss, "chance": np.full(loss.size, own["chance_error"].mean())}
            error = fitted.law.predict(fitted.theta, tuple(known[n] for n in fitted.law.inputs))
            # The piece keeps lines apart, the name of the stroke is the same for both ends.
            stroke = piece if piece == "interpolated" else "extrapolated"
            curves.append(
                pd.DataFrame({"loss": loss, "error": error, "part": piece, "piece": stroke}).assign(
                    what="law", dataset=name
                )
            )
    return curves


def _chance(finished: pd.DataFrame) -> list[pd.DataFrame]:
    return [
        pd.DataFrame(
            {"what": ["chance"], "dataset": [name], "chance": [own["chance_error"].mean()]}
        )
        for name, own in finished.groupby("dataset")
    ]


def _draw(frame: pd.DataFrame, yardstick: str, style: Style) -> alt.TopLevelMixin:
    across_scale = alt.Scale(domain=linear_domain(_values(frame, "loss")), nice=False, zero=False)
    along_scale = alt.Scale(domain=linear_domain(_values(frame, "error")), nice=False, zero=False)

    def x(name: str) -> alt.X:
        return alt.X(f"{name}:Q", scale=across_scale, title=f"loss on {yardstick} (nats/token)")

    # Every layer states scale and title: Vega-Lite adds zero to what is left implicit.
    def y(name: str) -> alt.Y:
        axis = alt.Axis(format=".2f")
        return alt.Y(f"{name}:Q", scale=along_scale, title="mean task error", axis=axis)

    base = alt.Chart()
    cells = base.transform_filter("datum.what == 'cell'").encode(
        color=alt.Color("M:O", scale=alt.Scale(scheme=SEQUENCE), title="M = D/N")
    )
    law = (
        base.transform_filter("datum.what == 'law'")
        .mark_line(color=INK, strokeWidth=1.4, clip=True)
        .encode(
            x=x("loss"),
            y=y("error"),
            detail="part:N",
            strokeDash=alt.StrokeDash(
                "piece:N",
                scale=alt.Scale(domain=["interpolated", "extrapolated"], range=[[1, 0], [4, 3]]),
                title="law",
            ),
        )
    )
    chance = (
        base.transform_filter("datum.what == 'chance'")
        .mark_rule(color="#9aa5b1", strokeDash=[2, 2], clip=True)
        .encode(y=y("chance"))
    )
    errors = cells.mark_rule(clip=True).encode(x=x("loss"), y=y("low"), y2="high:Q")
    measured = cells.mark_point(filled=True, size=55, opacity=1, stroke="white", strokeWidth=0.6)
    measured = measured.encode(
        x=x("loss"),
        y=y("error"),
        size=alt.condition("datum.target", alt.value(100), alt.value(50)),
        shape=alt.Shape(
            "error_role:N",
            scale=alt.Scale(domain=list(ROLES), range=list(ROLE_SHAPES)),
            title="cell",
        ),
        tooltip=[
            *(alt.Tooltip(name) for name in ("dataset:N", "size:N", "M:O", "error_role:N")),
            *(alt.Tooltip(name, format=".4f") for name in ("loss:Q", "error:Q")),
            alt.Tooltip("error_stderr:Q", title="± s.e.", format=".4f"),
            alt.Tooltip("predicted_error:Q", title="predicted", format=".4f"),
        ],
    )
    target = base.transform_filter("datum.what == 'prediction'").mark_rule(color=MUTED, clip=True)
    across = target.encode(x=x("loss_lower"), x2="loss_upper:Q", y=y("predicted_error"))
    along = target.encode(x=x("predicted_loss"), y=y("error_lower"), y2="error_upper:Q")
    return (
        alt.layer(chance, law, across, along, errors, measured, data=frame)
        .properties(**style.panel(frame["panel"].nunique()))
        .facet(facet=alt.Facet("panel:N", title=None), columns=MAX_COLUMNS)
        .properties(title=TITLE)
    )


def _values(frame: pd.DataFrame, kind: str) -> list[float]:
    """Return all values an axis has to hold."""
    names = [f"{kind}_lower", f"{kind}_upper", *(["chance"] if kind == "error" else [])]
    shown = frame[frame["what"].isin(["prediction", "chance"])][names].to_numpy(dtype=float)
    own = [kind] if kind == "loss" else ["low", "high"]
    cells = frame[frame["what"] == "cell"][own].to_numpy(dtype=float)
    values = np.concatenate([shown.ravel(), cells.ravel()])
    return list(values[np.isfinite(values)])
