"""Predictions of a target from random designs of the fit, beside the study's own design.

Designs are drawn from the cheapest n cells that are no targets, for every n, and once more with as
many cells as the study's loss law has.
"""

from typing import Any

import numpy as np
import pandas as pd

from scalebed.checks.explore.random_designs import Subsets, draws, fit_designs, windows
from scalebed.laws.forms.base import Law
from scalebed.tables.declared.columns import Table, count, number, text
from scalebed.tables.frames import fitted_laws, points
from scalebed.tables.reader import StudyDatabase

RANDOM, SAME, STUDY = "random", "same number", "study"
TABLE = Table(
    "subset_designs",
    "Predictions of one target from random designs.",
    ("dataset", "kind", "what", "points", "design"),
    (
        text("dataset", "Training set"),
        text("size", "Size of the target"),
        number("M", "Token multiplier of the target"),
        text("kind", "loss or error"),
        text("what", f"{RANDOM}, {SAME} (of cells as the study's), or {STUDY}"),
        count("design", "Number of the design; missing for the study's own", nullable=True),
        number("points", "Cells of the design"),
        number("flops", "Compute of the design", "FLOPs"),
        number("predicted", "Prediction of the target", nullable=True),
        number("measured", "What was measured", nullable=True),
        count("refused", "Designs of this data set and kind that the law refuses"),
    ),
)


def rows(study: StudyDatabase, options: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of the table; none without a measured target and enough other cells.

    `size` and `ratio` name the target, by default the dearest; `max_ratio` limits M in the pool.
    """
    cells = points(study)
    cells = cells[cells["loss"].notna()]
    laws = fitted_laws(study, "loss"), fitted_laws(study, "error")
    found = []
    for name, own in cells.groupby("dataset"):
        if options["dataset"] in ("", name) and name in laws[0]:
            second = laws[1][str(name)].law if name in laws[1] else None
            found += _explored(own, (laws[0][str(name)].law, second), options)
    return found


def _explored(
    own: pd.DataFrame, laws: tuple[Law, Law | None], options: dict[str, Any]
) -> list[dict[str, Any]]:
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
    return [row for kind in found for row in _rows(kind, found[kind], target, pool, len(random))]


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


def _rows(
    kind: str, found: Subsets, target: Any, pool: pd.DataFrame, random: int
) -> list[dict[str, Any]]:
    """Return the designs and the study's own."""
    common: dict[str, Any] = {
        **{name: target[name] for name in ("dataset", "size", "M")},
        **{"kind": kind, "measured": float(target[kind]), "refused": found.refused},
    }
    used = pool["fit_loss"] | (pool["fit_error"] if kind == "error" else False)
    own: dict[str, Any] = {
        "what": STUDY,
        "design": None,
        "points": float(used.sum()),
        "flops": float(pool.loc[used, "flops"].sum()),
        "predicted": float(target[f"predicted_{kind}"]),
    }
    drawn: list[dict[str, Any]] = [
        {
            "what": RANDOM if design < random else SAME,
            "design": int(design),
            "points": float(size),
            "flops": float(flops),
            "predicted": float(predicted),
        }
        for size, flops, predicted, design in zip(*found[:4], strict=True)
    ]
    return [common | row for row in (*drawn, own)]
