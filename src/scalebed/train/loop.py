"""The training loop: steps, checkpoints, interruptions, the end."""

import contextlib
import signal
import time
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from scalebed.model import Decoder, Loss
from scalebed.model.gradient import Gradient
from scalebed.model.loss import Parts
from scalebed.train import curve as curves
from scalebed.train.checkpoint import Checkpoint, Saved, StateFolder
from scalebed.train.distributed.ranks import Ranks
from scalebed.train.interrupt import Interrupted, Stop
from scalebed.train.optimizer import FlatAdamW
from scalebed.train.params import Recipe
from scalebed.train.progress import Progress, Silent
from scalebed.train.rates import learning_rate

ENDLESS = 1 << 62
"""Steps of a run whose learning rate never begins to fall."""

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


class Optimizer(Protocol):
    """What updates the weights: `scalebed.train.optimizer.FlatAdamW` for one."""

    def step(self, lr: float) -> Tensor:
        """Clip and update; return the norm of the gradient before clipping, a scalar."""
        ...

    def zero(self) -> None:
        """Forget the gradient, before the first part of a step is added to it."""
        ...


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
        Where batches come from, on each rank its share of them.
    compiled
        Whether the forward and backward pass go through ``torch.compile``.
    ranks
        Who trains it; this process alone when left out.
    by_hand
        Whether to take the gradient by `scalebed.model.gradient` where that is possible.
    """

    def __init__(
        self,
        model: Decoder,
        recipe: Recipe,
        steps: int,
        source: Source,
        compiled: bool = False,
        ranks: Ranks | None = None,
        by_hand: bool = True,
    ) -> None:
        self.model = model
        self.recipe = recipe
        self.steps = steps
        self.source = source
        self.ranks = ranks or Ranks()
        self.optimizer = self._make_optimizer()
        self.device = model.head.device
        self.curve = torch.zeros(steps, 3, device=self.device)
        self.done = 0
        self.seconds = 0.0
        self.horizon = steps
        """Steps of the whole run, by which the learning rate goes; a trunk has no end."""
        self._loss: Callable[..., Loss] = torch.compile(model.loss) if compiled else model.loss
        by_hand = by_hand and self.device.type == "cpu" and not compiled
        self._direct = Gradient(model, recipe.precision) if by_hand else None

    def step(self) -> None:
        """Take one step and note its losses."""
        recipe = self.recipe
        batch = self._batch()
        # Of this rank: the mean over ranks, which all have as many, is the one over the batch.
        total = batch.shape[0] * (batch.shape[1] - 1)
        row = self.curve[self.done]
        parts = batch.split(recipe.micro)
        for number, part in enumerate(parts, 1):
            with self._part(last=number == len(parts)):
                loss = self._gradient(part[:, :-1], part[:, 1:], total, number == 1)
            row[curves.LOSS] += loss.cross_entropy
            row[curves.Z_LOSS] += loss.z * recipe.z_loss
        self.ranks.mean(row[: curves.GRAD_NORM])
        row[curves.GRAD_NORM] = self.optimizer.step(learning_rate(recipe, self.horizon, self.done))
        self.done += 1

    def _batch(self) -> Tensor:
        batch = torch.from_numpy(self.source.batch(self.done, self.recipe.batch_sequences))
        if self.device.type == "cuda":
            # Only pinned memory is copied while the GPU computes.
            batch = batch.pin_memory()
        return batch.to(self.device, non_blocking=True)

    def _part(self, last: bool) -> contextlib.AbstractContextManager[Any]:
        """Return what a part of the batch is computed in, the last one of a step or another."""
        return contextlib.nullcontext()

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

    def _make_optimizer(self) -> Optimizer:
        return FlatAdamW(self.model, self.recipe)

    def tensors(self) -> dict[str, Tensor]:
        """Return weights and moments by name, by reference; see `scalebed.train.checkpoint`."""
        assert isinstance(self.optimizer, FlatAdamW)
        return named_state(self.model, self.optimizer)

    def weights(self) -> dict[str, Tensor] | None:
        """Return copies of the weights on the CPU; None on ranks that need not write them.

        All ranks have to call this together.
        """
        if not self.ranks.leads:
            return None
        return {
            name: value.detach().cpu().clone() for name, value in self.model.state_dict().items()
        }

    def checkpoint(self, facts: dict[str, Any]) -> Checkpoint:
        """Return everything needed to go on from here; `facts` are kept with it."""
        tensors = {**self.tensors(), "curve": self.curve[: self.done]}
        return Checkpoint(self.done, tensors, {**facts, "seconds": self.seconds})

    def save(self, state: StateFolder, facts: dict[str, Any]) -> None:
        """Write a checkpoint; all ranks have to call this together."""
        if self.ranks.leads:
            state.save(self.checkpoint(facts))
        # No rank may end, and have the others ended with it, while one is writing.
        self.ranks.wait()

    def close(self) -> None:
        """Let go of what ties this process to other ranks, before they part, if anything does."""

    def resume(self, saved: Saved) -> None:
        """Take over the state of a checkpoint and go on counting its seconds.

        Raises
        ------
        ValueError
            If it belongs to another model.
        """
        saved.fill({**self.tensors(), "curve": self.curve[: saved.step]})
        self.done = saved.step
        self.seconds = float(saved.facts["seconds"])


def named_state(model: Decoder, optimizer: FlatAdamW) -> dict[str, Tensor]:
    """Return the windows of the optimiser's flat arrays by the names of their parameters.

    A checkpoint of these does not depend on how the arrays are laid out, nor on ranks.
    """
    state = optimizer.state()
    named = {"step": state["step"]}
    for name, parameter in model.named_parameters():
        start = parameter.storage_offset() - state["weights"].storage_offset()
        for part in ("weights", "exp_avg", "exp_avg_sq"):
            window = state[part][start : start + parameter.numel()]
            named[f"{part}/{name}"] = window.view(parameter.shape)
    return named


def run_training(
    training: Training,
    state: StateFolder,
    stop: Stop,
    progress: Progress | Silent,
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
    ranks = training.ranks
    saved = looked = time.monotonic()
    while training.done < training.steps:
        training.step()
        due = time.monotonic() - saved >= checkpoint_seconds
        asked = signal.Signals[stop.signal] if stop.signal else 0
        # Clocks and signals differ between ranks, which all have to do the same.
        asked, save = ranks.agree(asked, due)
        look = training.done % _LOOK == 0 or training.done == training.steps
        if not (look or asked or save):
            continue
        loss = float(training.curve[training.done - 1, curves.LOSS])  # waits for the device
        training.seconds += time.monotonic() - looked
        if look:
            progress.update(training.done, loss, training.seconds)
            # Not where a trunk pauses, lest the verdict depend on who branches off it.
            whole = training.done == training.horizon
            if training.done % curves.WINDOW == 0 or whole:
                seen = training.curve[: training.done].cpu()
                if found := curves.divergence(seen):
                    return Verdict("diverged", found[1], seen[: found[0]])
        if asked or save:
            training.save(state, facts())
            saved = time.monotonic()
        if asked and training.done < training.steps:
            name = signal.Signals(asked).name
            raise Interrupted(f"{name}: saved after step {training.done}")
        looked = time.monotonic()
    return Verdict("done", None, training.curve.cpu())
