"""Search, filter, fit: the frontier of a search and the configurations a study took from it.

The procedure of Figure 4 of arXiv 2403.08540: configurations that beat every cheaper one form the
frontier, a filter leaves some of them out, and a power law is fitted to what is kept and to what
was chosen. A published search and one that was run here go through the same functions.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from scalebed.errors import ScalebedError
from scalebed.laws.base import Array
from scalebed.search.power import LAW, Bootstrap, fit_power
from scalebed.search.sections import Filter

Row = dict[str, Any]


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
        Configurations as `scalebed.search.read.read_grid` gives them.
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
    best = {_best(ordered, shape) for shape in shapes}
    marked = [row | {"chosen": row["configuration"] in best} for row in ordered]
    return marked, summarise(marked, targets, fit_flops, bootstrap)


def mark(rows: Iterable[Row], given: Filter) -> list[Row]:
    """Mark what is on the frontier and what the filter keeps of it.

    Parameters
    ----------
    rows
        Configurations with ``configuration``, ``flops`` and ``loss``, which is None where there
        is none: such a row is never on the frontier. ``nominal_flops`` is the compute by which
        they are compared, ``flops`` where it is missing: runs of one size cost the same but for
        the rounding to whole steps, which must not put two of them on the frontier.
    given
        The filter; ``steps`` are needed where it limits them.

    Returns
    -------
    list of dict
        Rows with ``frontier``, ``kept`` and ``reason``, by compute, loss and name. A frontier
        point has a lower loss than every row before it; of equal ones the first is on it.
    """
    ordered = sorted(rows, key=_order)
    marked: list[Row] = []
    lowest = math.inf
    for row in ordered:
        frontier = row["loss"] is not None and row["loss"] < lowest
        reason = row.get("reason")
        if frontier:
            lowest = row["loss"]
            reason = _left_out(row, given)
        flags = {"frontier": frontier, "kept": frontier and reason is None, "reason": reason}
        marked.append({**row, **flags})
    return marked


def _order(row: Row) -> tuple[float, float, str]:
    loss = math.inf if row["loss"] is None else row["loss"]
    flops = row["nominal_flops"] if "nominal_flops" in row else row["flops"]
    return flops, loss, row["configuration"]


def _left_out(row: Row, given: Filter) -> str | None:
    """Return why the filter leaves a point of the frontier out, None if it does not."""
    if given.drop_flops is not None:
        low, high = given.drop_flops
        if low <= row["flops"] <= high:
            return f"filter: compute in the window {low:g} to {high:g} FLOPs"
    if given.min_steps is not None and row["steps"] < given.min_steps:
        return f"filter: {row['steps']:g} steps, fewer than {given.min_steps}"
    if given.max_steps is not None and row["steps"] > given.max_steps:
        return f"filter: {row['steps']:g} steps, more than {given.max_steps}"
    return None


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


def _best(ordered: Sequence[Row], shape: tuple[int, int, int]) -> str:
    same = [row for row in ordered if (row["width"], row["layers"], row["heads"]) == shape]
    if not same:
        width, layers, heads = shape
        raise ScalebedError(
            f"no configuration of the search has width {width}, {layers} layers and {heads} heads"
        )
    return str(min(same, key=lambda row: row["loss"])["configuration"])


def _points(rows: Sequence[Row], flag: str) -> tuple[Array, Array]:
    """Return compute and loss of the configurations that have a flag."""
    points = [row for row in rows if row[flag]]
    return np.array([row["flops"] for row in points]), np.array([row["loss"] for row in points])
