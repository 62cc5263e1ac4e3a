"""The training curve: one row a step while training, thinned when written."""

from pathlib import Path

import numpy as np
import pyarrow
import torch
from torch import Tensor

from scalebed.core.files import write_parquet
from scalebed.train.params import Recipe
from scalebed.train.rates import learning_rate

LOSS, Z_LOSS, GRAD_NORM = range(3)
"""Columns of the array kept while training."""

ROWS = 2000
"""Rows of ``curve.parquet`` at the most; longer runs keep every k-th step and the last."""

WINDOW = 100
"""Steps over which the loss is averaged before it is judged."""

MARGIN = 1.0
"""A window whose mean loss lies this many nats above the first loss is divergence."""


def divergence(curve: Tensor) -> tuple[int, str] | None:
    """Judge the steps so far.

    A run has diverged when a value is not finite, or when the mean loss of the last `WINDOW` steps
    exceeds the loss of the first step, where the model knows nothing yet, by more than `MARGIN`.
    The caller asks after every `WINDOW` steps and at the end, whatever happened in between, so the
    verdict does not depend on interruptions.

    Parameters
    ----------
    curve
        Shape (steps so far, 3).

    Returns
    -------
    tuple of int and str, or None
        How many steps of the curve to keep and the reason; None when all is well.
    """
    recent = curve[-WINDOW:]
    finite = torch.isfinite(recent).all(dim=1)
    if not bool(finite.all()):
        first = len(curve) - len(recent) + int((~finite).nonzero()[0])
        return first + 1, f"the loss or gradient of step {first} is not finite"
    mean, start = float(recent[:, LOSS].mean()), float(curve[0, LOSS])
    if len(recent) == WINDOW and mean > start + MARGIN:
        return len(curve), (
            f"the mean loss of {WINDOW} steps to step {len(curve) - 1} is {mean:.3f}, "
            f"more than {MARGIN} above the {start:.3f} of the first step"
        )
    return None


def train_loss(curve: Tensor) -> float:
    """Return the mean loss over the last hundredth of the steps, at least ten, in nats."""
    count = max(10, len(curve) // 100)
    return float(curve[-count:, LOSS].double().mean())


def write_curve(path: Path, curve: Tensor, recipe: Recipe | None, steps: int, context: int) -> int:
    """Write ``curve.parquet`` and return its number of rows.

    Columns: step (from 0), tokens (seen after the step), loss and z_loss (nats; z_loss weighted as
    in the objective), lr, grad_norm (before clipping). A column of NaN alone is empty: the backend
    does not tell it.

    Parameters
    ----------
    path
        File to write.
    curve
        Shape (steps done, 3); empty for a cell that never started, whose `recipe` is None.
    recipe, steps, context
        The run, for the learning rate and tokens of each step.
    """
    stride = -(-max(1, len(curve) - 1) // (ROWS - 1))
    kept = sorted({*range(0, len(curve), stride), *range(len(curve))[-1:]})
    rates, tokens = [], []
    if recipe is not None:
        rates = [learning_rate(recipe, steps, step) for step in kept]
        tokens = [(step + 1) * recipe.batch_sequences * context for step in kept]
    values = curve[kept].double().numpy()
    columns = {
        "step": pyarrow.array(kept, pyarrow.int64()),
        "tokens": pyarrow.array(tokens, pyarrow.int64()),
        "loss": pyarrow.array(values[:, LOSS], pyarrow.float64()),
        "z_loss": _column(values[:, Z_LOSS]),
        "lr": pyarrow.array(rates, pyarrow.float64()),
        "grad_norm": _column(values[:, GRAD_NORM]),
    }
    write_parquet(path, pyarrow.table(columns))
    return len(kept)


def _column(values: np.ndarray) -> pyarrow.Array:
    told = not np.isnan(values).all()
    return pyarrow.array(values if told else [None] * len(values), pyarrow.float64())
