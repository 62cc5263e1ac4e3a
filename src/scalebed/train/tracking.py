"""Losses of a training told to a tracker: W&B, trackio, TensorBoard, or one of the user's own.

A tracker is what `wandb.init` returns, as far as it is needed here: ``log(data, step=…)`` and
``finish()``. It is told from a thread of its own, so that one that hangs, fails or ends its thread
costs a warning and never a training.
"""

import functools
import logging
import os
import queue
import threading
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from scalebed.core.arithmetic import count_params
from scalebed.core.errors import ScalebedError
from scalebed.core.tracking import TRACKERS, check_tracker
from scalebed.train.job import Job

_log = logging.getLogger(__name__)
_FINISH_SECONDS = 60.0
"""How long the end of a training waits for its tracker, at the most."""
_TOLD = "tracked.txt"


class Run(NamedTuple):
    """What a tracker calls a training."""

    project: str
    name: str
    """Path of the cell or trunk."""
    id: str
    """A digest of all that defines its numbers: a resumed training goes on in the same run."""
    config: dict[str, Any]
    """Coordinates, N, and values of model and recipe."""


class Tracker(Protocol):
    """What is told, as a run of W&B is."""

    def log(self, data: dict[str, Any], step: int) -> object:
        """Take what was measured at a step."""

    def finish(self) -> object:
        """End; the training has ended, or stopped for now."""


class Told:
    """A tracker in a thread of its own, told no step twice.

    Parameters
    ----------
    name
        Its name, for warnings.
    start
        Called in the thread; returns the tracker.
    folder
        State of the training, which survives that it is killed. The steps told are noted there,
        each before it is told.
    """

    def __init__(self, name: str, start: Callable[[], Tracker], folder: Path) -> None:
        self._name = name
        self._start = start
        self._path = folder / _TOLD
        self._last = _last_step(self._path)
        self._done = False
        self._queue: queue.SimpleQueue[tuple[dict[str, Any], int] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="tracking", daemon=True)
        self._thread.start()

    def log(self, data: dict[str, Any], step: int) -> None:
        """Have the tracker told what was measured after a step, unless it was told of it before."""
        if step > self._last and self._thread.is_alive():
            self._last = step
            self._queue.put((data, step))

    def finish(self, done: bool) -> None:
        """End the tracker; `done` says whether the training came to its end."""
        self._done = done
        self._queue.put(None)
        self._thread.join(_FINISH_SECONDS)
        if self._thread.is_alive():
            _log.warning(
                "%s did not end within %.0f s; the training goes on without", *self._about()
            )

    def _about(self) -> tuple[str, float]:
        return f"tracking by {self._name}", _FINISH_SECONDS

    def _work(self) -> None:
        try:
            tracker = self._start()
            with self._path.open("a", encoding="ascii") as told:
                while (item := self._queue.get()) is not None:
                    told.write(f"{item[1]}\n")
                    told.flush()
                    tracker.log(item[0], step=item[1])
            if isinstance(tracker, _Wandb):
                tracker.done = self._done
            tracker.finish()
        except BaseException as error:  # whatever a tracker does, sys.exit() included
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            _log.warning("%s ended, and the training goes on without: %s", self._about()[0], reason)


def _last_step(path: Path) -> int:
    """Return the last step that was told; what a kill cut off was not."""
    text = path.read_text(encoding="ascii") if path.is_file() else ""
    whole = text[: text.rfind("\n") + 1].split()
    return int(whole[-1]) if whole else 0


class _Wandb:
    """A run of W&B that ends as the training does: one that was interrupted is no finished one."""

    def __init__(self, run: Run) -> None:
        wandb = import_module("wandb")
        self.done = False
        self._run: Any = wandb.init(
            **run._asdict(),
            resume="allow",
            # What leaves this machine is for its user to say, by WANDB_MODE=online.
            mode=os.environ.get("WANDB_MODE", "offline"),
            # The log of a cell is a file already.
            settings=wandb.Settings(console="off"),
        )

    def log(self, data: dict[str, Any], step: int) -> None:
        self._run.log(data, step=step)

    def finish(self) -> None:
        self._run.finish(exit_code=0 if self.done else 1)


class _Events:
    """Event files of TensorBoard."""

    def __init__(self, folder: Path) -> None:
        self._writer: Any = import_module("torch.utils.tensorboard").SummaryWriter(str(folder))

    def log(self, data: dict[str, Any], step: int) -> None:
        for name, value in data.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def finish(self) -> None:
        self._writer.close()


def _trackio(run: Run) -> Tracker:
    # Its runs go on by their names.
    tracker: Tracker = import_module("trackio").init(
        run.project, name=run.name, config=run.config, resume="allow", embed=False
    )
    return tracker


def _own(name: str, run: Run) -> Tracker:
    module, _, function = name.partition(":")
    found = functools.reduce(getattr, function.split("."), import_module(module))
    tracker: Tracker = found(**run._asdict())  # type: ignore[operator]
    return tracker


def tracker_of(job: Job, state: Path) -> Told | None:
    """Return the tracker that a training is told to; None without one.

    Parameters
    ----------
    job
        What is trained.
    state
        Its state folder, named by all that defines its numbers.

    Raises
    ------
    ScalebedError
        If the options name no tracker.
    """
    name, folder = job.options.tracking, job.options.tensorboard
    if folder is not None and name not in (None, "tensorboard"):
        raise ScalebedError(f"--tensorboard is for tracking by TensorBoard, and not by {name}")
    if name is None and folder is None:
        return None
    name = check_tracker(name or "tensorboard")
    run = run_of(job, state.name)
    starts: dict[str, Callable[[], Tracker]] = {
        "wandb": lambda: _Wandb(run),
        "trackio": lambda: _trackio(run),
        "tensorboard": lambda: _Events(folder or Path("logs/tensorboard", run.name)),
    }
    return Told(name, _advised(name, starts.get(name, lambda: _own(name, run))), state)


def _advised(name: str, start: Callable[[], Tracker]) -> Callable[[], Tracker]:
    """Return a start that says what to install for a tracker that is known by name."""

    def started() -> Tracker:
        try:
            return start()
        except ModuleNotFoundError as error:
            if name in TRACKERS and (error.name or "").partition(".")[0] == name:
                raise ScalebedError(f"pip install 'scalebed[{name}]'") from error
            raise

    return started


def run_of(job: Job, identity: str) -> Run:
    """Return what a tracker calls a training.

    Its values stand in one flat mapping, as tables that trackers export have a column for each.
    """
    names = job.cell._asdict()
    config = {**names, "params": count_params(job.config).total, "total_steps": job.steps}
    for key, value in {**job.params["model"], **job.params["recipe"]}.items():
        config.setdefault(key, value)
    return Run(job.options.project, job.cell.path, identity, config)
