"""Cells that would leave their trunk while its learning rate still rises."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scalebed.core import arithmetic
from scalebed.core.errors import ScalebedError
from scalebed.core.trunks import branch_step

if TYPE_CHECKING:
    from scalebed.study.trained import Study


def check_cool_downs(study: Study) -> None:
    """Check that the cool-down of every cell begins after the warm-up.

    Raises
    ------
    ScalebedError
        Naming recipe, cell, step and warm-up of the first one where it does not.
    """
    for cell in study.cells():
        values = study.recipe_values(cell.recipe, cell.size)
        size = study.sizes[cell.size]
        if values.schedule != "wsd" or values.warmup_steps is None:
            continue
        batch_tokens = values.batch_sequences * size.context
        params = arithmetic.count_params(size).total
        steps = arithmetic.steps_for(params, cell.ratio, batch_tokens)
        step = branch_step(steps, values.cooldown)
        if step < values.warmup_steps:
            raise ScalebedError(
                f"recipes.{cell.recipe}: the cell {cell.path} has {steps} steps and would cool "
                f"down from step {step}, before its warm-up of {values.warmup_steps} steps ends; "
                "expected a shorter warm-up, a shorter cool-down or a larger M"
            )
