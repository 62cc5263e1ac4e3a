"""Learning rates of a recipe, step by step."""

import math
from collections.abc import Callable

from scalebed.core.trunks import branch_step
from scalebed.train.params import Recipe

_FALLING: dict[str, Callable[[float], float]] = {
    "1-sqrt": lambda part: 1 - math.sqrt(part),
    "linear": lambda part: 1 - part,
    "cosine": lambda part: 0.5 * (1 + math.cos(math.pi * part)),
    "square": lambda part: 1 - part * part,
}


def learning_rate(recipe: Recipe, steps: int, step: int) -> float:
    """Return the learning rate of a step.

    With w warm-up steps of S, step t = 0, 1, … has lr·(t + 1)/w before w. From w on it is
    lr_end + (lr - lr_end)·g(u): on a cosine g(u) = (1 + cos πu)/2 and u = (t - w)/(S - w). With
    schedule ``wsd`` (Hägele et al., arXiv 2405.18392) it is lr up to the branch step b, see
    `scalebed.core.trunks.branch_step`, and then u = (t - b)/(S - b) with g(u) = 1 - √u or what
    the recipe says. The peak is first reached at step w - 1 and lr_end would be reached at step S,
    one after the last, as in open_lm.
    """
    warmup = recipe.warmup_steps
    if step < warmup:
        return recipe.lr * (step + 1) / warmup
    start, fall = warmup, _FALLING["cosine"]
    if recipe.schedule == "wsd":
        start, fall = branch_step(steps, recipe.cooldown), _FALLING[recipe.shape]
        if step < start:
            return recipe.lr
    progress = (step - start) / (steps - start)
    return recipe.lr_end + (recipe.lr - recipe.lr_end) * fall(progress)
