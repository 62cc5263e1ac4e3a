"""Search, filter, fit: the frontier of a search and the configurations a study took from it.

The procedure of Figure 4 of arXiv 2403.08540: configurations that beat every cheaper one form the
frontier, a filter leaves some of them out, and a power law is fitted to what is kept and to what
was chosen. A published search and one that was run here go through the same functions.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from scalebed.laws.forms.base import Array
from scalebed.search.power import LAW, Bootstrap, fit_power
from scalebed.study.search_sections import Filter
from scalebed.tables.imports.frontier import Row, best_of_shape, mark


def choose(
    rows: Sequence[Row],
    shapes: Sequence[tuple[int, int, int]],
    drop: tuple[float, float] | None = None,
    targets: Mapping[str, float] | None = None,
    fit_flops: float | None = None,
    bootstrap: Bootstrap | None = None,
) -> tuple[list[Row], dict[str, Any]]:
    """Mark frontier, kept and chosen configurations of a published search, and fit their laws.

    Parameters
    ----------
    rows
        Configurations as `scalebed.tables.imports.search_grid.read_grid` gives them.
    shapes
        Width, layers and heads of the models of the study; the configuration with the lowest loss
        of each is the chosen one.
    drop
        Window of compute, both ends included, whose points leave the frontier before the fit.
    targets
        Compute at which to predict, by name.
    fit_flops
        Compute of the runs the study fits, to compare the cost of the search with.
    bootstrap
        How intervals are drawn; by default as `Bootstrap` says.

    Returns
    -------
    rows, summary
        As `mark` and `summarise` give them.

    Raises
    ------
    ScalebedError
        If no configuration has one of the shapes.
    """
    ordered = mark(rows, Filter(drop_flops=list(drop) if drop else None))
    best = {best_of_shape(ordered, shape) for shape in shapes}
    marked = [row | {"chosen": row["configuration"] in best} for row in ordered]
    return marked, summarise(marked, targets, fit_flops, bootstrap)


def summarise(
    marked: Sequence[Row],
    targets: Mapping[str, float] | None = None,
    fit_flops: float | None = None,
    bootstrap: Bootstrap | None = None,
) -> dict[str, Any]:
    """Return what a marked search cost, and the laws of its kept and of its chosen points.

    Returns
    -------
    dict
        Numbers of configurations (``configurations``, ``frontier``, ``kept``, ``chosen``), the
        cost (``flops``, ``flops_ratio`` to `fit_flops`, or None) and ``fits``: a list of
        ``{"points": "kept" or "chosen", "count", "quantity", "value", "lower", "upper"}``.
        ``refused`` has the reason for each of ``kept`` and ``chosen`` that cannot be fitted.
    """
    total = float(sum(row["flops"] for row in marked))
    summary: dict[str, Any] = {"configurations": len(marked), "flops": total}
    summary |= {name: sum(row[name] for row in marked) for name in ("frontier", "kept", "chosen")}
    summary["flops_ratio"] = total / fit_flops if fit_flops else None
    summary |= {"fits": [], "refused": {}}
    for name in ("kept", "chosen"):
        flops, loss = _points(marked, name)
        if reason := LAW.refusal((flops,), loss):
            summary["refused"][name] = reason
            continue
        found = fit_power(flops, loss, dict(targets or {}), bootstrap or Bootstrap())
        summary["fits"] += [{"points": name, "count": summary[name], **one} for one in found]
    return summary


def _points(rows: Sequence[Row], flag: str) -> tuple[Array, Array]:
    """Return compute and loss of the configurations that have a flag."""
    points = [row for row in rows if row[flag]]
    return np.array([row["flops"] for row in points]), np.array([row["loss"] for row in points])
