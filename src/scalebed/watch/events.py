"""Curves in the event files of TensorBoard; the package is only needed here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np

from scalebed.core.errors import ScalebedError
from scalebed.laws.forms.base import Array
from scalebed.watch.live import key_of, named

_OURS: Final = "tokens_per_second"
"""Events of scalebed 0.1 count tokens where others count steps, and have this and no tokens."""


def read_events(path: Path, given: Mapping[str, str]) -> dict[str, Array]:
    """Return the columns of a curve; a later file takes the place of steps of an earlier one.

    Parameters
    ----------
    path : Path
        An event file, or a folder with some.
    given : mapping
        Tag by key, where its name does not say so.

    Raises
    ------
    ScalebedError
        If TensorBoard is not installed, or there is no loss.
    """
    tags = _scalars(path)
    if not tags:
        raise ScalebedError(f"{path} has no events of scalars, expected a loss")
    # Steps are the axis of events, whatever a tag is called.
    known = [tag for tag in tags if key_of(tag) != "step" or tag in given.values()]
    tokens = {key: name for key, name in given.items() if key != "step"}
    columns = named(str(path), ["step", *known], {**tokens, "step": "step"})
    steps = np.array(sorted({step for name in columns.values() for step in tags.get(name, {})}))
    found = {"step": steps.astype(float)}
    for key, name in columns.items():
        if key != "step":
            found[key] = np.array([tags[name].get(step, np.nan) for step in steps.tolist()])
    found["logged"] = np.array([step in tags[columns["loss"]] for step in steps.tolist()], float)
    if _OURS in tags and "tokens" not in found:
        found["tokens"] = found["step"]
    return found


def _scalars(path: Path) -> dict[str, dict[int, float]]:
    """Return the value at every step of every tag."""
    try:
        from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
    except ImportError as error:
        raise ScalebedError(
            f"reading {path} needs the tensorboard package: pip install 'scalebed[tensorboard]'"
        ) from error
    files = sorted(path.glob("**/events.out.tfevents.*")) if path.is_dir() else [path]
    found: dict[str, dict[int, float]] = {}
    for file in files:
        for event in EventFileLoader(str(file)).Load():
            for value in event.summary.value:
                if value.HasField("simple_value"):
                    number = float(value.simple_value)
                elif value.tensor.float_val:
                    number = float(value.tensor.float_val[0])
                else:
                    continue
                found.setdefault(value.tag, {})[int(event.step)] = number
    return found
