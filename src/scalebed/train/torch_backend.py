"""Training by our own loop: the backend ``torch``."""

import contextlib
import functools
import logging
import resource
from collections.abc import Iterator
from typing import IO

import numpy as np
import torch

from scalebed.data.sequences import SequenceSource
from scalebed.model import Decoder, initialise
from scalebed.model.saved import save_weights
from scalebed.train.checkpoint import Saved, StateFolder
from scalebed.train.distributed.blocks import prepare_blocks
from scalebed.train.distributed.ranks import Ranks, check_ranks, local
from scalebed.train.interrupt import stop_on_signal
from scalebed.train.job import Job, Outcome
from scalebed.train.loop import ENDLESS, Source, Training, run_training
from scalebed.train.memory import Layout, choose_layout
from scalebed.train.params import check_tokens
from scalebed.train.progress import Progress, Silent
from scalebed.train.rates import learning_rate
from scalebed.train.record import Clock
from scalebed.train.runtime import choose_device, device_bytes, prepare_process
from scalebed.train.tracking import tracker_of
from scalebed.train.trunk_states import latest, trunk_step

_log = logging.getLogger(__name__)


def train(job: Job, state: StateFolder, began: float) -> Outcome:
    """Train a cell, resuming from the newest checkpoint in `state`; see `scalebed.core.backends`.

    Parameters
    ----------
    job
        What to train.
    state
        Where checkpoints are; only the leading rank looks for them.
    began
        When this attempt began, on the monotonic clock.
    """
    options = job.options
    prepare_process(options.threads)
    ranks = Ranks()
    check_ranks(job.recipe.batch_sequences, ranks.size)
    attempts = state.count_attempt() if ranks.leads else 0
    source = SequenceSource(job.dataset, job.config.context, job.cell.seed)
    # Only whole sequences count, so this can be a little less than the data set's tokens.
    check_tokens(job.params, len(source) * job.config.context, job.manifest["dataset"])
    with (
        _device(job, ranks) as device,
        contextlib.closing(_training(job, ranks, device, source)) as training,
    ):
        spent, begun = 0.0, 0
        if saved := _newest(job, state, ranks):
            training.resume(saved)
            spent = float(saved.facts["wall_seconds"])
            _log.info("%s: resuming after step %d", job.cell.path, training.done)
            if job.keep is None and saved.path.parent in job.begins:
                # A branch has not spent what its trunk has.
                training.seconds = spent = 0.0
            begun = 0 if job.keep is not None or not job.begins else trunk_step(job.begins[0])
        clock = Clock(began, spent)
        with (
            _progress(job, training, state) as progress,
            stop_on_signal(once=ranks.size == 1) as stop,
        ):
            verdict = run_training(
                *(training, state, stop, progress, options.checkpoint_seconds),
                lambda: {"wall_seconds": clock.seconds()},
            )
            progress.done = verdict.status == "done"
        if job.keep is not None and verdict.status == "done":
            facts = {"wall_seconds": clock.seconds(), "lineage": job.lineage}
            training.save(StateFolder(job.keep), facts)
        # Before the weights are gathered, which is no part of training.
        (peak,) = ranks.agree(_peak_bytes(device))
        ends = verdict.status == "done" and job.keep is None
        weights = training.weights() if ends else None
    return Outcome(
        *verdict,
        steps=training.done,
        seconds=training.seconds,
        attempts=attempts,
        begun=begun,
        device=device.type,
        threads=options.threads,
        wall_seconds=clock.seconds(),
        save=lambda folder, about: save_weights(folder, job.config, weights or {}, about),
        ranks=ranks.size,
        peak_bytes=peak,
    )


@contextlib.contextmanager
def _device(job: Job, ranks: Ranks) -> Iterator[torch.device]:
    """Yield the device of this rank, with the other ranks met."""
    options = job.options
    lock: IO[str] | None = None
    if ranks.size == 1:
        device, lock = choose_device(options.device, options.state / "devices")
    else:
        # The launcher reserved devices and made them the only visible ones.
        device = choose_device(options.device, options.state / "devices", local()[0])[0]
    try:
        ranks.join(device)
        yield device
    finally:
        ranks.leave()
        if lock is not None:
            lock.close()


def _newest(job: Job, state: StateFolder, ranks: Ranks) -> Saved | None:
    """Return the latest state to begin from: the job's own, or one of its trunk."""
    found: Saved | None = None
    if ranks.leads:
        found = latest(job, state.newest(job.steps))
    told: Saved | None = ranks.told(found)
    return told


@contextlib.contextmanager
def _progress(job: Job, training: Training, state: StateFolder) -> Iterator[Progress | Silent]:
    progress: Progress | Silent = Silent()
    if training.ranks.leads:
        tokens = job.recipe.batch_sequences * job.config.context
        progress = Progress(
            *(job.cell.path, training.steps, tokens, training.done, tracker_of(job, state.path)),
            rate=functools.partial(learning_rate, job.recipe, training.horizon),
        )
    try:
        yield progress
    finally:
        progress.close()


class _Share:
    """The part of each batch that belongs to one rank."""

    def __init__(self, source: SequenceSource, ranks: Ranks) -> None:
        self._source = source
        self._ranks = ranks

    def batch(self, step: int, batch_sequences: int) -> np.ndarray:
        return self._source.batch(step, batch_sequences, self._ranks.rank, self._ranks.size)


def _training(job: Job, ranks: Ranks, device: torch.device, source: SequenceSource) -> Training:
    """Return the training that this rank takes part in, at its first step."""
    training = _at_first_step(job, ranks, device, source)
    if job.keep is not None:
        training.horizon = ENDLESS
    return training


def _at_first_step(
    job: Job, ranks: Ranks, device: torch.device, source: SequenceSource
) -> Training:
    options = job.options
    layout: Layout = ranks.told(
        choose_layout(
            job.config,
            job.recipe.batch_sequences,
            job.recipe.micro,
            job.recipe.precision,
            ranks.size,
            device_bytes(device, local()[1]),
            options.shard,
            options.recompute,
        )
    )
    share: Source = source if ranks.size == 1 else _Share(source, ranks)
    if layout.sharded:
        from scalebed.train.distributed.sharded import Sharded, sharded_decoder

        recompute, compiled = layout.recompute, options.compiled
        model = sharded_decoder(
            job.config, job.cell.seed, job.recipe, ranks, device, compiled, recompute
        )
        return Sharded(model, job.recipe, job.steps, share, ranks=ranks, by_hand=False)
    model = Decoder(job.config)
    initialise(model, job.cell.seed)
    by_block = layout.recompute or ranks.size > 1
    prepare_blocks(model, options.compiled and by_block, layout.recompute)
    model = model.to(device)
    if ranks.size == 1:
        compiled = options.compiled and not by_block
        return Training(model, job.recipe, job.steps, share, compiled, ranks, not by_block)
    from scalebed.train.distributed.replicated import Replicated

    return Replicated(model, job.recipe, job.steps, share, ranks)


def _peak_bytes(device: torch.device) -> int:
    """Return the most memory this process has used: of its GPU, or of the machine."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
