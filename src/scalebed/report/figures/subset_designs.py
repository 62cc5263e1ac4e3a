"""Relative error at a target against the compute of random fit designs."""

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from scalebed.checks.explore.random_designs import (
    Subsets,
    beaten,
    draws,
    fit_designs,
    windows,
)
from scalebed.laws.forms.base import Law
from scalebed.report.figures.frames import fitted_laws, points
from scalebed.report.figures.style import SEQUENCE, Style, log_axis, message
from scalebed.tables.reader import StudyDatabase

TITLE = "Random designs of the fit"
CAPTION = (
    "Each point is a random choice of fit cells from the cheapest n cells that are no targets; "
    "its compute and the relative error of its prediction of the target. The diamond is the "
    "study's own design. The heading counts designs that predict better than it, also among "
    "designs with as many cells as its loss law; designs the law refuses are left out. How many "
    "designs are drawn and their seed are options, the seed is no source's."
)
OPTIONS: dict[str, Any] = {
    "dataset": "",
    "size": "",
    "ratio": 0.0,
    "kinds": "loss,error",
    "max_ratio": 0.0,
    "designs": 400,
    "seed": 0,
}
_SMALLEST_ERROR = 0.01


def chart(study: StudyDatabase, style: Style) -> alt.TopLevelMixin:
    """Return the chart, one panel for each data set and kind.

    `size` and `ratio` name the target, by default the dearest; `max_ratio` limits M in the pool.
    """
    options = OPTIONS | dict(style.options)
    cells = points(study)
    cells = cells[cells["loss"].notna()]
    laws = fitted_laws(study, "loss"), fitted_laws(study, "error")
    panels = []
    for name, own in cells.groupby("dataset"):
        if options["dataset"] in ("", name) and name in laws[0]:
            second = laws[1][str(name)].law if name in laws[1] else None
            panels += _panels(own, (laws[0][str(name)].law, second), options)
    if not panels:
        return message("No measured target of a data set with enough cells that are none.", TITLE)
    return _draw(pd.concat(panels, ignore_index=True), style)


def _panels(
    own: pd.DataFrame,
    laws: tuple[Law, Law | None],
    options: dict[str, Any],
) -> list[pd.DataFrame]:
    target = _target(own, options)
    inside = ~own["target"]
    if options["max_ratio"]:
        inside &= own["M"] <= options["max_ratio"]
    pool = own[inside | own["fit_error"] | own["fit_loss"]].sort_values("flops")
    smallest = len(laws[0].parameters) + 1
    if target is None or len(pool) <= smallest:
        return []
    pool = pool[pool["flops"] < target["flops"]]
    rng = np.random.default_rng(int(options["seed"]))
    each = max(1, round(int(options["designs"]) / max(1, len(pool) - smallest + 1)))
    random = windows(len(pool), smallest, each, rng)
    # The study's own number of cells, for a rank that does not depend on the windows.
    same = draws(len(pool), max(smallest, int(pool["fit_loss"].sum())), each * 10, rng)
    designs = random + same
    x = (pool["params"].to_numpy(float), pool["tokens"].to_numpy(float))
    flops = pool["flops"].to_numpy(float)
    at = (float(target["params"]), float(target["tokens"]))
    loss = fit_designs(laws[0], x, pool["loss"].to_numpy(float), flops, designs, at)
    found = {"loss": loss}
    if laws[1] is not None and np.isfinite(target["error"]) and pool["error"].notna().all():
        found["error"] = _chain(laws[1], pool, designs, loss)
    wanted = [kind for kind in found if kind in options["kinds"].split(",")]
    return [_panel(kind, found[kind], target, pool, len(random)) for kind in wanted]


def _target(own: pd.DataFrame, options: dict[str, Any]) -> Any:
    found = own[own["target"] & own["predicted_loss"].notna()]
    if options["size"]:
        found = found[found["size"] == options["size"]]
    if options["ratio"]:
        found = found[found["M"] == options["ratio"]]
    return None if found.empty else found.sort_values("flops").iloc[-1]


def _chain(law: Law, pool: pd.DataFrame, designs: list[Any], loss: Subsets) -> Subsets:
    """Fit the error law to the cells of every design that has a loss law and chain the two."""
    kept = [designs[number] for number in loss.design]
    columns = (pool["loss"].to_numpy(float), pool["error"].to_numpy(float))
    flops = pool["flops"].to_numpy(float)
    found = fit_designs(law, columns[:1], columns[1], flops, kept, (loss.predicted,))
    return found._replace(design=loss.design[found.design], refused=found.refused + loss.refused)


def _panel(kind: str, found: Subsets, target: Any, pool: pd.DataFrame, random: int) -> pd.DataFrame:
    """Return the windows' designs and the study's own, with the rank in the heading."""
    measured, predicted = float(target[kind]), float(target[f"predicted_{kind}"])
    error = np.abs(found.predicted / measured - 1)
    own = abs(predicted / measured - 1)
    shown = found.design < random
    used = pool["fit_loss"] | (pool["fit_error"] if kind == "error" else False)
    ranks = [f"{100 * beaten(own, error[part]):.0f} %" for part in (shown, ~shown)]
    heading = (
        f"{target['dataset']} {target['size']} M={target['M']}, {kind}: {ranks[0]} better "
        f"({ranks[1]} of {int(pool['fit_loss'].sum())} cells), {found.refused} refused"
    )
    frame = pd.DataFrame(
        {
            "flops": found.flops[shown],
            "points": found.points[shown],
            "error": 100 * error[shown],
            "predicted": found.predicted[shown],
            "what": "random",
        }
    )
    default = {
        "flops": [float(pool.loc[used, "flops"].sum())],
        "points": [float(used.sum())],
        "error": [100 * own],
        "predicted": [predicted],
        "what": ["study"],
    }
    frame = pd.concat([frame, pd.DataFrame(default)], ignore_index=True)
    # A logarithm needs a floor; what is below it is as good as exact.
    return frame.assign(error=frame["error"].clip(lower=_SMALLEST_ERROR), panel=heading)


def _draw(frame: pd.DataFrame, style: Style) -> alt.TopLevelMixin:
    base = alt.Chart().encode(
        x=alt.X("flops:Q", **log_axis(list(frame["flops"]), "compute of the design (FLOPs)")),
        y=alt.Y("error:Q", **log_axis(list(frame["error"]), "relative error at the target (%)")),
        tooltip=[
            alt.Tooltip("points:Q", title="cells"),
            alt.Tooltip("flops:Q", format=".3e"),
            *(alt.Tooltip(f"{name}:Q", format=".4f") for name in ("predicted", "error")),
        ],
    )
    random = (
        base.transform_filter("datum.what == 'random'")
        .mark_point(filled=True, size=22, opacity=0.75)
        .encode(color=alt.Color("points:Q", scale=alt.Scale(scheme=SEQUENCE), title="cells"))
    )
    own = base.transform_filter("datum.what == 'study'").mark_point(
        filled=True, shape="diamond", size=150, color="#D55E00", stroke="white", opacity=1
    )
    order = list(dict.fromkeys(frame["panel"]))
    columns = min(2, len(order))
    header = alt.Header(labelFontSize=10, labelLimit=480)
    return (
        alt.layer(random, own, data=frame)
        .properties(**style.panel(columns, 0.7))
        .facet(facet=alt.Facet("panel:N", title=None, sort=order, header=header), columns=columns)
        .properties(title=TITLE)
    )
