"""The frontier of a search: configurations that beat every cheaper one, and what a filter keeps.

The procedure of Figure 4 of arXiv 2403.08540. A published search and one that was run here go
through the same functions.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from scalebed.core.errors import ScalebedError
from scalebed.study.search_sections import Filter

Row = dict[str, Any]


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


def mark_published(
    rows: Iterable[Row],
    shapes: Iterable[tuple[int, int, int]],
    drop: tuple[float, float] | None = None,
) -> list[Row]:
    """Mark frontier, kept and chosen configurations of a published search.

    Parameters
    ----------
    rows
        Configurations as `scalebed.tables.imports.search_grid.read_grid` gives them.
    shapes
        Width, layers and heads of the models of the study; the configuration with the lowest loss
        of each is the chosen one.
    drop
        Window of compute, both ends included, whose points leave the frontier.

    Returns
    -------
    list of dict
        As `mark` gives them, with ``chosen``.

    Raises
    ------
    ScalebedError
        If no configuration has one of the shapes.
    """
    ordered = mark(rows, Filter(drop_flops=list(drop) if drop else None))
    best = {_best_of_shape(ordered, shape) for shape in shapes}
    return [row | {"chosen": row["configuration"] in best} for row in ordered]


def _best_of_shape(ordered: Sequence[Row], shape: tuple[int, int, int]) -> str:
    """Return the name of the configuration of a (width, layers, heads) with the lowest loss."""
    same = [row for row in ordered if (row["width"], row["layers"], row["heads"]) == shape]
    if not same:
        width, layers, heads = shape
        raise ScalebedError(
            f"no configuration of the search has width {width}, {layers} layers and {heads} heads"
        )
    return str(min(same, key=lambda row: row["loss"])["configuration"])
