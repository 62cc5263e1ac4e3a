"""Training by our own loop: the backend ``torch``."""

import logging

from scalebed.data.sequences import SequenceSource
from scalebed.model import Decoder, initialise
from scalebed.model.saved import save_model
from scalebed.train.checkpoint import StateFolder
from scalebed.train.interrupt import stop_on_signal
from scalebed.train.job import Job, Outcome
from scalebed.train.loop import Training, run_training
from scalebed.train.progress import Progress
from scalebed.train.record import Clock
from scalebed.train.runtime import choose_device, prepare_process
from scalebed.train.settings import check_tokens

_log = logging.getLogger(__name__)


def train(job: Job, state: StateFolder, began: float) -> Outcome:
    """Train a cell, resuming from the newest checkpoint in `state`; see `scalebed.train.backends`.

    Parameters
    ----------
    job
        What to train.
    state
        Where checkpoints are.
    began
        When this attempt began, on the monotonic clock.
    """
    options = job.options
    prepare_process(options.threads)
    attempts = state.count_attempt()
    source = SequenceSource(job.dataset, job.config.context, job.cell.seed)
    # Only whole sequences count, so this can be a little less than the data set's tokens.
    check_tokens(job.params, len(source) * job.config.context, job.manifest["dataset"])
    device, device_lock = choose_device(options.device, options.state / "devices")
    model = Decoder(job.config)
    initialise(model, job.cell.seed)
    training = Training(model.to(device), job.recipe, job.steps, source, options.compiled)
    spent = 0.0
    if checkpoint := state.newest():
        training.resume(checkpoint)
        spent = float(checkpoint.facts["wall_seconds"])
        _log.info("%s: resuming after step %d", job.cell.path, training.done)
    clock = Clock(began, spent)
    progress = Progress(
        *(job.cell.path, training.steps, job.recipe.batch_sequences * job.config.context),
        *(training.done, options.tensorboard),
    )
    try:
        with stop_on_signal() as stop:
            verdict = run_training(
                *(training, state, stop, progress, options.checkpoint_seconds),
                lambda: {"wall_seconds": clock.seconds()},
            )
    finally:
        progress.close()
        if device_lock is not None:
            device_lock.close()
    return Outcome(
        *verdict,
        steps=training.done,
        seconds=training.seconds,
        attempts=attempts,
        device=device.type,
        threads=options.threads,
        wall_seconds=clock.seconds(),
        save=lambda folder, about: save_model(folder, model, about),
    )
