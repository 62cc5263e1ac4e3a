"""N, D and C of the cells of a study, by which selectors may choose them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from scalebed.core import arithmetic
from scalebed.core.cells import Cell

if TYPE_CHECKING:
    from scalebed.study.trained import Study


def amounts(study: Study, cell: Cell) -> Mapping[str, float]:
    """Return N, D (whole steps, as they are trained) and C = 6ND of a cell."""
    size = study.sizes[cell.size]
    params = arithmetic.count_params(size).total
    batch = study.recipe_values(cell.recipe, cell.size).batch_sequences * size.context
    tokens = arithmetic.steps_for(params, cell.ratio, batch) * batch
    return {"params": params, "tokens": tokens, "flops": arithmetic.flops(params, tokens)}
