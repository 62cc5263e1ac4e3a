"""Training by open_lm: the backend ``open_lm``.

It starts from our initial weights and sees our batches, so a cell differs between the backends by
rounding only.
"""

import functools
import logging
import os
import time
from pathlib import Path
from typing import Any

import torch

from scalebed.core.arithmetic import count_params
from scalebed.core.backends import require
from scalebed.core.errors import ScalebedError
from scalebed.core.files import atomic_path, read_json, write_json
from scalebed.data.sequences import SequenceSource
from scalebed.model import Decoder, initialise
from scalebed.model.saved import save_model
from scalebed.train import curve as curves
from scalebed.train.checkpoint import StateFolder
from scalebed.train.interrupt import Interrupted, Stop, stop_on_signal
from scalebed.train.job import Job, Outcome
from scalebed.train.open_lm import checkpoint, command, convert, events, process, shards
from scalebed.train.params import CellFailure, check_tokens
from scalebed.train.progress import Progress
from scalebed.train.rates import learning_rate
from scalebed.train.record import Clock
from scalebed.train.runtime import choose_device
from scalebed.train.tracking import tracker_of

_log = logging.getLogger(__name__)
_POLL_SECONDS = 0.1
_LOOK_SECONDS = 5.0


def train(job: Job, state: StateFolder, began: float) -> Outcome:
    """Train a cell, resuming from open_lm's last checkpoint; see `scalebed.core.backends`.

    Parameters
    ----------
    job
        What to train.
    state
        The cell's state folder, in which open_lm works.
    began
        When this attempt began, on the monotonic clock.
    """
    require("open_lm")
    options, ranks = job.options, job.options.ranks
    source = SequenceSource(job.dataset, job.config.context, job.cell.seed)
    check_tokens(job.params, len(source) * job.config.context, job.manifest["dataset"])
    device, device_lock = choose_device(options.device, options.state / "devices")
    run = _Run(job, state.path.resolve(), ranks, device, began)
    words = command.launcher(ranks) + command.arguments(job, run.layout, device.type)
    attempts = state.count_attempt()
    try:
        with stop_on_signal() as stop:
            run.prepare(source, stop)
            verdict = run.finish(words, stop)
            run.progress.done = verdict[0] == "done"
    finally:
        run.progress.close()
        if device_lock is not None:
            device_lock.close()
    return Outcome(
        *verdict,
        steps=run.steps_taken,
        seconds=run.events.seconds(),
        attempts=attempts,
        device=device.type,
        threads=options.threads,
        wall_seconds=run.clock.seconds(),
        save=run.save,
        ranks=ranks,
    )


class _Run:
    """A training by open_lm in its folder.

    Parameters
    ----------
    job, ranks, device
        What is trained, by how many processes, where.
    folder
        Absolute path of the state folder.
    began
        When this attempt began.
    """

    def __init__(
        self, job: Job, folder: Path, ranks: int, device: torch.device, began: float
    ) -> None:
        self.job, self.folder, self.device = job, folder, device
        self.layout = _layout(job, folder, ranks)
        logs = folder / command.LOGS / command.RUN
        self.checkpoints = logs / "checkpoints"
        self.events = events.Events(logs / "tensorboard")
        self.log = folder / "open_lm.log"
        spent = folder / "wall_seconds.json"
        self.clock = Clock(began, float(read_json(spent)) if spent.exists() else 0.0)
        self.steps_taken = 0
        self._done = self._steps_done()
        if self._done:
            _log.info("%s: resuming after step %d", job.cell.path, self._done)
        tokens = job.recipe.batch_sequences * job.config.context
        self.progress = Progress(
            *(job.cell.path, job.steps, tokens, self._done, tracker_of(job, folder)),
            rate=functools.partial(learning_rate, job.recipe, job.steps),
        )

    def _steps_done(self) -> int:
        """Return the steps up to the newest whole checkpoint."""
        number = checkpoint.newest(self.checkpoints)
        if number is None:
            return 0
        return int(checkpoint.read(self.checkpoints / f"stats_{number}.pt")["step"])

    def prepare(self, source: SequenceSource, stop: Stop) -> None:
        """Write what open_lm reads: the model's shape, initial weights and shards."""
        config = self.job.config
        try:
            write_json(self.folder / command.MODEL, convert.model_json(config))
        except ValueError as error:
            raise CellFailure(f"{error}, so it cannot be trained by open_lm") from error
        initial = self.folder / command.INITIAL
        if not initial.exists():
            model = Decoder(config)
            initialise(model, self.job.cell.seed)
            weights = convert.to_open_lm(model.state_dict(), config)
            with atomic_path(initial, digest=False) as temporary:
                torch.save({"epoch": 0, "step": 0, "state_dict": weights}, temporary)
        seed = self.job.cell.seed
        shards.write_shards(self.folder / command.SHARDS, source, self.layout, seed, stop)

    def finish(self, words: list[str], stop: Stop) -> tuple[str, str | None, torch.Tensor]:
        """Run open_lm to the end and return status, reason and curve."""
        if self._done < self.job.steps:
            with process.started(words, self.folder, self.log, self._environment()) as running:
                looked, judged = time.monotonic(), 0
                while (code := running.poll()) is None:
                    time.sleep(_POLL_SECONDS)
                    if stop:
                        self._interrupt(running, stop)
                    if time.monotonic() - looked < _LOOK_SECONDS:
                        continue
                    looked = time.monotonic()
                    curve = self._look()
                    if events.divergence(curve, judged, over=False):
                        process.stop(running)
                        code = 0
                        break
                    judged = len(curve)
            if code:
                words_ = process.last_words(self.log)
                raise ScalebedError(f"open_lm ended with status {code}: {words_} (see {self.log})")
        return self._verdict()

    def _interrupt(self, running: Any, stop: Stop) -> None:
        process.stop(running)
        write_json(self.folder / "wall_seconds.json", self.clock.seconds())
        raise Interrupted(
            f"{stop.signal}: open_lm's last checkpoint is after step {self._steps_done()}"
        )

    def _look(self) -> torch.Tensor:
        self.events.read()
        curve = self.events.curve()
        if len(curve):
            loss = float(curve[-1, curves.LOSS])
            self.progress.update(len(curve), loss, self.events.seconds())
        write_json(self.folder / "wall_seconds.json", self.clock.seconds())
        return curve

    def _verdict(self) -> tuple[str, str | None, torch.Tensor]:
        curve = self._look()
        self.steps_taken = len(curve)
        if found := events.divergence(curve, 0, over=True):
            return "diverged", found[1], curve[: found[0]]
        if len(curve) != self.job.steps or self._steps_done() != self.job.steps:
            raise ScalebedError(
                f"open_lm ended after {len(curve)} of {self.job.steps} steps: "
                f"{process.last_words(self.log)} (see {self.log})"
            )
        return "done", None, curve

    def _environment(self) -> dict[str, str]:
        """Return the environment of open_lm: ours, with threads and devices as the job says."""
        # Inside a Slurm job open_lm would believe that Slurm, not torchrun, has started its ranks.
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
        kept["OMP_NUM_THREADS"] = str(self.job.options.threads)
        # Its optimiser states hold NumPy numbers, which torch does not load unless told so. They
        # are files this very run has written.
        kept["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] = "1"
        if self.device.type == "cpu":
            kept["CUDA_VISIBLE_DEVICES"] = ""
        elif self.layout.ranks == 1 and self.device.index is not None:
            visible = os.environ.get("CUDA_VISIBLE_DEVICES")
            index = self.device.index
            kept["CUDA_VISIBLE_DEVICES"] = visible.split(",")[index] if visible else str(index)
        return kept

    def save(self, folder: Path, about: dict[str, Any]) -> None:
        """Write the weights of the last checkpoint as those of a decoder."""
        path = self.checkpoints / f"epoch_{checkpoint.newest(self.checkpoints)}.pt"
        model = load_decoder(path, self.job)
        save_model(folder, model, about)


def load_decoder(path: Path, job: Job) -> Decoder:
    """Return the decoder of a job with the weights of an open_lm checkpoint."""
    weights = checkpoint.state_dict(checkpoint.read(path), path)
    model = Decoder(job.config)
    model.load_state_dict(convert.from_open_lm(weights, job.config))
    return model


def _layout(job: Job, folder: Path, ranks: int) -> shards.Layout:
    """Return how the training is cut: as it was begun, if it was.

    open_lm cannot go on with another number of ranks: its checkpoints count shards.
    """
    path = folder / "layout.json"
    if path.exists():
        layout = shards.Layout(**read_json(path))
        if layout.ranks != ranks:
            raise ScalebedError(
                f"open_lm began this cell on {layout.ranks} ranks and cannot go on with {ranks}; "
                f"give --ranks {layout.ranks}, or delete {folder} to start anew"
            )
        return layout
    params = count_params(job.config).total
    batch = job.recipe.batch_sequences
    layout = shards.make_layout(params, int(job.params["tokens"]), job.steps, batch, ranks)
    write_json(path, layout._asdict())
    return layout
