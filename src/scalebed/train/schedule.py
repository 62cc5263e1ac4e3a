"""Learning rate over the steps: linear warm-up, then a cosine to a floor."""

import math

from scalebed.train.params import Recipe


def learning_rate(recipe: Recipe, steps: int, step: int) -> float:
    """Return the learning rate of a step.

    With w warm-up steps of S, step t = 0, 1, … has lr·(t + 1)/w before w, and
    lr_end + (lr - lr_end)·(1 + cos(π(t - w)/(S - w)))/2 from w on. The peak is first reached at
    step w - 1 and lr_end would be reached at step S, one after the last, as in open_lm.
    """
    warmup = recipe.warmup_steps
    if step < warmup:
        return recipe.lr * (step + 1) / warmup
    progress = (step - warmup) / (steps - warmup)
    return recipe.lr_end + (recipe.lr - recipe.lr_end) * 0.5 * (1 + math.cos(math.pi * progress))
