"""The losses of an open_lm run, from the TensorBoard events it writes.

They are its only exact record: its log rounds losses to three digits.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from scalebed.train import curve as curves

_LOSS = "train/loss"
_SECONDS = "train/batch_time"


class Events:
    """The steps of a run so far, over all its attempts.

    Parameters
    ----------
    folder
        Where the event files are. A resumed run has one more of them, and takes the steps after its
        checkpoint once more: the later file counts.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._loaders: dict[Path, Any] = {}
        self._values: dict[Path, dict[str, dict[int, float]]] = {}

    def read(self) -> None:
        """Take in what was written since the last time."""
        from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
        from tensorboard.compat.proto.event_pb2 import Event

        for path in sorted(self._folder.glob("events.out.tfevents.*")):
            if path not in self._loaders:
                self._loaders[path] = RawEventFileLoader(str(path))
                self._values[path] = {_LOSS: {}, _SECONDS: {}}
            for record in self._loaders[path].Load():
                event = Event.FromString(record)
                for value in event.summary.value:
                    if value.tag in self._values[path]:
                        # open_lm counts a step before it logs it.
                        self._values[path][value.tag][event.step - 1] = value.simple_value

    def _merged(self, tag: str) -> list[float]:
        """Return the values of the steps from 0 on without a gap."""
        merged: dict[int, float] = {}
        for path in sorted(self._values):
            merged.update(self._values[path][tag])
        values: list[float] = []
        while len(values) in merged:
            values.append(merged[len(values)])
        return values

    def curve(self) -> Tensor:
        """Return the curve, shape (steps, 3); see `scalebed.train.curve`.

        open_lm tells neither z-loss nor gradient norm: they are NaN, and the loss is what it
        minimises, z-loss included.
        """
        losses = self._merged(_LOSS)
        curve = torch.full((len(losses), 3), torch.nan)
        curve[:, curves.LOSS] = torch.tensor(losses)
        return curve

    def seconds(self) -> float:
        """Return the time of those steps in seconds."""
        return sum(self._merged(_SECONDS))


def divergence(curve: Tensor, judged: int, over: bool) -> tuple[int, str] | None:
    """Judge a run as our own loop would, at every `scalebed.train.curve.WINDOW` steps.

    Parameters
    ----------
    curve
        Steps so far.
    judged
        Steps that were found well before.
    over
        Whether the run has ended, so that its last steps are judged too.

    Returns
    -------
    tuple of int and str, or None
        As `scalebed.train.curve.divergence`.
    """
    known = torch.nan_to_num(curve, nan=0.0, posinf=torch.inf, neginf=-torch.inf)
    known[:, curves.LOSS] = curve[:, curves.LOSS]
    window = curves.WINDOW
    ends = list(range((judged // window + 1) * window, len(curve) + 1, window))
    if over and len(curve) and len(curve) not in ends:
        ends.append(len(curve))
    for end in ends:
        if found := curves.divergence(known[:end]):
            return found
    return None
