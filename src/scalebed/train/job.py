"""What a backend is asked to train, and how it says how that went."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from scalebed.core.cells import Cell
from scalebed.core.tracking import DEFAULT_PROJECT
from scalebed.core.trunks import Trunk
from scalebed.model import ModelConfig
from scalebed.train.params import Recipe


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """How a cell is trained on this machine; nothing here is part of its identity."""

    state: Path = Path("state")
    """Root of resumable state."""
    threads: int = 1
    """CPU threads of each operator."""
    checkpoint_seconds: float = 60.0
    """Time between checkpoints."""
    wait_seconds: float = 0.0
    """How long to wait for another process that is training the cell."""
    device: str = "auto"
    """``cpu``, ``cuda``, or ``auto`` for CUDA where there is one."""
    compiled: bool = False
    """Whether to use ``torch.compile``."""
    tracking: str | None = None
    """Tracker that is told how it goes; see `scalebed.train.tracking`."""
    project: str = DEFAULT_PROJECT
    """Project that its runs belong to."""
    tensorboard: Path | None = None
    """Folder for events, where that is TensorBoard."""
    ranks: int = 1
    """Processes that train the cell together."""
    shard: bool | None = None
    """Whether they share weights and moments out; by the device's memory when None."""
    recompute: bool | None = None
    """Whether blocks are computed again in the backward pass; by the memory when None."""


class Job(NamedTuple):
    """A cell to train, checked."""

    params: dict[str, Any]
    """The cell's canonical parameters."""
    cell: Cell | Trunk
    config: ModelConfig
    recipe: Recipe
    dataset: Path
    """Manifest of the data set."""
    manifest: dict[str, Any]
    """What it says."""
    options: Options
    begins: tuple[Path, ...] = ()
    """Folders with a state of its trunk that training may begin from, the latest first."""
    lineage: str | None = None
    """What those states say they are of, so that none of another data set is taken."""
    keep: Path | None = None
    """Folder in which the state after the last step is kept: this is a trunk itself."""

    @property
    def steps(self) -> int:
        """Steps in all."""
        return int(self.params["steps"])


class Outcome(NamedTuple):
    """How a training ended, the same from every backend."""

    status: str
    """``done`` or ``diverged``."""
    reason: str | None
    """Why it diverged."""
    curve: Tensor
    """Shape (steps kept, 3), on the CPU; see `scalebed.train.curve`."""
    steps: int
    """Steps taken, those that are not in the curve any more included."""
    seconds: float
    """Seconds of training steps, summed over attempts."""
    attempts: int
    """How often training was started."""
    device: str
    """``cpu`` or ``cuda``."""
    threads: int
    wall_seconds: float
    """Seconds in all, summed over attempts."""
    save: Callable[[Path, dict[str, Any]], None]
    """Writes the weights into a folder, with facts about them; called for a finished run only."""
    ranks: int = 1
    """Processes that trained it together, in the last attempt."""
    begun: int = 0
    """Step it began at: the last one of its trunk for a branch."""
    peak_bytes: int | None = None
    """Most memory a rank used in the last attempt: of its GPU, else of the machine."""
