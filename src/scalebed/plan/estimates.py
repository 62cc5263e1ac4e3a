"""How long a training step takes on this machine: measured briefly, remembered, or extrapolated.

A step is timed once per architecture, batch and arithmetic. A step too heavy to try here is
extrapolated from the rate, in FLOP/s, at which a reference model of some ten million parameters
trains; such estimates are marked, since a larger model usually trains at a higher rate.
"""

import heapq
import importlib.metadata
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from scalebed.core import arithmetic
from scalebed.core.errors import ScalebedError
from scalebed.core.files import read_json, write_json
from scalebed.core.provenance import digest
from scalebed.study.hardware import Gpu
from scalebed.train.memory import Layout

TRIAL_SECONDS = 1.5
"""Length of one calibration."""

HEAVIEST_STEP = 3.0
"""Seconds above which a step is extrapolated instead of timed."""

_LIGHT_STEP = 1e10
"""FLOPs of a step below which it is timed without asking what the reference model does."""

_MEMORY_SHARE = 0.25
_REFERENCE_MODEL = {
    "width": 384,
    "layers": 6,
    "heads": 6,
    "vocab": 1024,
    "context": 256,
    "ffn_multiple": 64,
    "qk_norm": True,
    "rope_base": 10000,
}
# Values of a recipe that change the time of a step; the learning rate, say, does not.
_SPEED = ("batch_sequences", "micro_sequences", "precision", "backend")


class Estimate(NamedTuple):
    """Time of one training step."""

    seconds: float
    """Seconds of a step on one device."""
    measured: bool
    """False when extrapolated from the FLOPs of a step."""


class Calibration:
    """Times of steps, kept in a file between plans.

    Parameters
    ----------
    path
        The file; it is made when something was measured.
    measure
        Whether to time what the file does not hold. Otherwise it stays unknown.
    """

    def __init__(self, path: Path, measure: bool) -> None:
        self.path = path
        self.measure = measure
        self._times: dict[str, float] = {}
        if path.is_file():
            try:
                self._times = dict(read_json(path))
            except (ScalebedError, TypeError, ValueError):
                # A damaged cache is worth a few seconds of measuring, not an error.
                self._times = {}

    def step(self, model: dict[str, Any], recipe: dict[str, Any]) -> Estimate | None:
        """Return the time of a step, or None when it is neither known nor to be measured.

        Parameters
        ----------
        model, recipe
            The sections ``model`` and ``recipe`` of a cell's parameters.
        """
        key = _key(model, recipe)
        if key in self._times:
            return Estimate(self._times[key], True)
        shape = arithmetic.shape_of(model)
        tokens = recipe["batch_sequences"] * model["context"]
        work = arithmetic.flops_exact(shape, tokens)
        if self.measure and work < _LIGHT_STEP:
            return Estimate(self._time(key, model, recipe), True)
        reference = self._reference(recipe)
        if reference is None:
            return None
        guess = work / reference
        sequences = recipe["micro_sequences"] or recipe["batch_sequences"]
        too_large = arithmetic.training_bytes(shape, sequences) > _MEMORY_SHARE * _memory_bytes()
        if not self.measure or too_large or guess > HEAVIEST_STEP:
            return Estimate(guess, False)
        return Estimate(self._time(key, model, recipe), True)

    def _reference(self, recipe: dict[str, Any]) -> float | None:
        """Return the FLOP/s at which the reference model trains in the recipe's arithmetic."""
        small = recipe | {"batch_sequences": 4, "micro_sequences": None}
        key = _key(_REFERENCE_MODEL, small)
        if key not in self._times and not self.measure:
            return None
        tokens = 4 * _REFERENCE_MODEL["context"]
        work = arithmetic.flops_exact(arithmetic.shape_of(_REFERENCE_MODEL), tokens)
        if key not in self._times:
            self._time(key, _REFERENCE_MODEL, small)
        return work / self._times[key]

    def _time(self, key: str, model: dict[str, Any], recipe: dict[str, Any]) -> float:
        from scalebed.plan.step_seconds import step_seconds

        self._times[key] = step_seconds(model, recipe, TRIAL_SECONDS)
        write_json(self.path, self._times)
        return self._times[key]


def gpu_step(model: dict[str, Any], recipe: dict[str, Any], layout: Layout, gpu: Gpu) -> Estimate:
    """Return the time of a step on GPUs: FLOPs over ranks · peak · utilization.

    Recomputing adds a forward pass to the one and the backward pass of two, which does not count
    as use of the device.
    """
    tokens = recipe["batch_sequences"] * model["context"]
    work = arithmetic.flops_exact(arithmetic.shape_of(model), tokens)
    extra = 4 / 3 if layout.recompute else 1.0
    return Estimate(extra * work / (layout.ranks * gpu.flops * gpu.utilization), False)


def _key(model: dict[str, Any], recipe: dict[str, Any]) -> str:
    speed = {name: recipe.get(name) for name in _SPEED}
    return digest({"model": model, "recipe": speed, "machine": machine()})


def machine() -> dict[str, Any]:
    """Return what makes two machines equally fast, with nothing that names one of them."""
    return {
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": os.cpu_count() or 1,
        "python": platform.python_version(),
        "torch": importlib.metadata.version("torch"),
        "numerics": arithmetic.NUMERICS,
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


class Timed(NamedTuple):
    """A job and how long it takes."""

    seconds: float
    width: int = 1
    """Devices that it takes at a time."""
    after: int | None = None
    """Index of the job that has to end first."""


def makespan(jobs: Sequence[Timed], devices: int) -> float:
    """Return the wall seconds of jobs on equal devices.

    Whenever devices are free, of the jobs that can begin that one does which takes longest together
    with the longest chain of jobs that waits for it, much as the workflow's priorities have it.

    Parameters
    ----------
    jobs
        The jobs; none is wider than there are devices.
    devices
        How many there are (cores, GPUs).
    """
    waits = [0.0] * len(jobs)
    for job in jobs:
        length, step = 0.0, job
        while step.after is not None:
            length += step.seconds
            waits[step.after] = max(waits[step.after], length)
            step = jobs[step.after]
    order = sorted(range(len(jobs)), key=lambda i: (-jobs[i].seconds - waits[i], -jobs[i].width))
    now, free = 0.0, devices
    ended: set[int | None] = {None}
    running: list[tuple[float, int]] = []
    while order:
        left = []
        for index in order:
            job = jobs[index]
            if job.after in ended and job.width <= free:
                free -= job.width
                heapq.heappush(running, (now + job.seconds, index))
            else:
                left.append(index)
        order = left
        if order:
            now, index = heapq.heappop(running)
            free += jobs[index].width
            ended.add(index)
    return max((end for end, _ in running), default=0.0)
