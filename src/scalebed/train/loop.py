"""The training loop: steps, checkpoints, interruptions, the end."""

import contextlib
import time
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from scalebed.model import Decoder, Loss
from scalebed.model.direct import Gradient
from scalebed.model.loss import Parts
from scalebed.train import curve as curves
from scalebed.train.checkpoint import Checkpoint, StateFolder
from scalebed.train.interrupt import Interrupted, Stop
from scalebed.train.optimizer import FlatAdamW
from scalebed.train.progress import Progress
from scalebed.train.schedule import learning_rate
from scalebed.train.settings import Recipe

# Reading values from the device stops it, so the curve is looked at only so often.
_LOOK = 25


class Source(Protocol):
    """What gives the batches: `scalebed.data.sequences.SequenceSource`."""

    def batch(self, step: int, batch_sequences: int) -> np.ndarray:
        """Return the tokens of a step, int64 of shape (sequences, context + 1)."""
        ...


class Verdict(NamedTuple):
    """How a run ended."""

    status: str
    """``done`` or ``diverged``."""
    reason: str | None
    """Why it diverged."""
    curve: Tensor
    """Shape (steps kept, 3), on the CPU; see `scalebed.train.curve`."""


class Training:
    """A model in training, from any step on.

    Parameters
    ----------
    model
        An initialised decoder on its device.
    recipe
        How to train it.
    steps
        Steps in all.
    source
        Where batches come from.
    compiled
        Whether the forward and backward pass go through ``torch.compile``.
    """

    def __init__(
        self, model: Decoder, recipe: Recipe, steps: int, source: Source, compiled: bool = False
    ) -> None:
        self.model = model
        self.recipe = recipe
        self.steps = steps
        self.source = source
        self.optimizer = FlatAdamW(model, recipe)
        self.device = self.optimizer.weights.device
        self.curve = torch.zeros(steps, 3, device=self.device)
        self.done = 0
        self.seconds = 0.0
        self._loss: Callable[..., Loss] = torch.compile(model.loss) if compiled else model.loss
        by_hand = self.device.type == "cpu" and not compiled
        self._direct = Gradient(model, recipe.precision) if by_hand else None

    def step(self) -> None:
        """Take one step and note its losses."""
        recipe = self.recipe
        batch = torch.from_numpy(self.source.batch(self.done, recipe.batch_sequences))
        batch = batch.to(self.device, non_blocking=True)
        total = batch.shape[0] * (batch.shape[1] - 1)
        row = self.curve[self.done]
        for number, part in enumerate(batch.split(recipe.micro)):
            loss = self._gradient(part[:, :-1], part[:, 1:], total, number == 0)
            row[curves.LOSS] += loss.cross_entropy
            row[curves.Z_LOSS] += loss.z * recipe.z_loss
        row[curves.GRAD_NORM] = self.optimizer.step(learning_rate(recipe, self.steps, self.done))
        self.done += 1

    def _gradient(self, tokens: Tensor, targets: Tensor, total: int, first: bool) -> Parts:
        """Put or add the gradient of a part of the batch; return its losses."""
        if self._direct is not None:
            return self._direct(tokens, targets, self.recipe.z_loss, total, first)
        if first:
            self.optimizer.zero()
        with self._autocast():
            loss = self._loss(tokens, targets, self.recipe.z_loss, total)
        loss.objective.backward()
        return Parts(loss.cross_entropy, loss.z)

    def _autocast(self) -> contextlib.AbstractContextManager[Any]:
        if self.recipe.precision == "fp32":
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    def checkpoint(self, facts: dict[str, Any]) -> Checkpoint:
        """Return everything needed to go on from here; `facts` are kept with it."""
        tensors = {**self.optimizer.state(), "curve": self.curve[: self.done]}
        return Checkpoint(self.done, tensors, {**facts, "seconds": self.seconds})

    def resume(self, checkpoint: Checkpoint) -> None:
        """Take over the state of a checkpoint.

        Raises
        ------
        ValueError
            If it belongs to another model.
        """
        self.optimizer.load(checkpoint.tensors)
        self.done = checkpoint.step
        self.curve[: self.done] = checkpoint.tensors["curve"]
        self.seconds = float(checkpoint.facts["seconds"])


def run_training(
    training: Training,
    state: StateFolder,
    stop: Stop,
    progress: Progress,
    checkpoint_seconds: float,
    facts: Callable[[], dict[str, Any]] = dict,
) -> Verdict:
    """Train to the last step, or to divergence.

    Parameters
    ----------
    training
        The model, new or resumed.
    state
        Where checkpoints go.
    stop
        Asks to save and stop.
    progress
        Told now and then.
    checkpoint_seconds
        Time between checkpoints.
    facts
        Called for plain values to keep with each checkpoint.

    Raises
    ------
    Interrupted
        If `stop` was set; the state is saved.
    ScalebedError
        If a checkpoint cannot be written or a shard is broken.
    """
    saved = looked = time.monotonic()
    while training.done < training.steps:
        training.step()
        look = training.done % _LOOK == 0 or training.done == training.steps
        if not (look or stop or time.monotonic() - saved >= checkpoint_seconds):
            continue
        loss = float(training.curve[training.done - 1, curves.LOSS])  # waits for the device
        now = time.monotonic()
        training.seconds += now - looked
        if look:
            progress.update(training.done, loss, training.seconds)
            if training.done % curves.WINDOW == 0 or training.done == training.steps:
                seen = training.curve[: training.done].cpu()
                if found := curves.divergence(seen):
                    return Verdict("diverged", found[1], seen[: found[0]])
        if stop or now - saved >= checkpoint_seconds:
            state.save(training.checkpoint(facts()))
            saved = time.monotonic()
        if stop and training.done < training.steps:
            raise Interrupted(f"{stop.signal}: saved after step {training.done}")
        looked = time.monotonic()
    return Verdict("done", None, training.curve.cpu())
