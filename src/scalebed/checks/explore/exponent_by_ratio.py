"""Exponent of compute at each token multiplier M, with the floor shared or free.

Among the cells of one M, sizes with a target left out.
"""

from typing import Any

import numpy as np
import pandas as pd

from scalebed.checks.explore.constant_ratio import fit_ray, log_slope, ray_intervals
from scalebed.tables.declared.columns import Table, count, number, text
from scalebed.tables.frames import FittedLaw, fitted_laws, points
from scalebed.tables.reader import StudyDatabase

SHARED, FREE = "E of the joint fit", "E free at each M"
TABLE = Table(
    "exponent_by_ratio",
    "Exponent of compute on each ray of constant M.",
    ("dataset", "M", "floor"),
    (
        text("dataset", "Training set"),
        number("M", "Token multiplier"),
        count("cells", "Cells of this M"),
        number("joint", "Exponent of the joint fit", nullable=True),
        text("floor", f"{SHARED}, or {FREE}"),
        number("eta", "Exponent"),
        number("E", "Floor", "nats/token", nullable=True),
        number("low", "Lower end of the interval of `eta`", nullable=True),
        number("high", "Upper end of it", nullable=True),
    ),
)
_LEAST_CELLS = 3


def rows(study: StudyDatabase, options: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of the table."""
    cells = points(study)
    # Sizes with a target are what is predicted, also at other M.
    large = cells.loc[cells["target"], "size"].unique()
    small = ~cells["size"].isin(large) & (cells["M"] >= options["min_ratio"])
    cells = cells[cells["loss"].notna() & small]
    return [
        row
        for name, law in fitted_laws(study, "loss", beside=True).items()
        for row in _rays(cells[cells["dataset"] == name], law, options)
    ]


def _rays(cells: pd.DataFrame, fitted: FittedLaw, options: dict[str, Any]) -> list[dict[str, Any]]:
    floor = float(fitted.theta[0])
    joint = dict(
        zip(
            [parameter.name for parameter in fitted.law.derived],
            fitted.law.derive(fitted.theta).tolist(),
            strict=True,
        )
    ).get("eta")
    rows: list[dict[str, Any]] = []
    for M, own in cells.groupby("M"):
        if own["params"].nunique() < _LEAST_CELLS:
            continue
        flops, loss = own["flops"].to_numpy(), own["loss"].to_numpy()
        common = {"dataset": own["dataset"].iloc[0], "M": M, "cells": len(own), "joint": joint}
        eta = float(log_slope(flops, loss, floor)[0])
        low, high = ray_intervals(flops, loss, floor, int(options["draws"]), int(options["seed"]))
        rows.append(common | {"floor": SHARED, "eta": eta, "E": floor, "low": low, "high": high})
        free = fit_ray(flops, loss)
        found = {"eta": float(free.eta[0]), "E": float(free.floor[0]), "low": None, "high": None}
        rows.append(common | {"floor": FREE} | found)
    return [row for row in rows if np.isfinite(row["eta"])]
