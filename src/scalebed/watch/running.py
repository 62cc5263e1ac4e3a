"""Curves of cells that are on their way: from checkpoints of their own, or of their trunk."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from scalebed.core.cells import Cell
from scalebed.core.trunks import leaves_at, trunk_of
from scalebed.laws.forms.base import Array
from scalebed.watch.live import LiveCurve

STATE: Final = "state"
TRUNKS: Final = "trunks"
RUNNING, ON_TRUNK = "running", "on its trunk"
_POINTS: Final = 2000
_STEP: Final = re.compile(r"step-(\d+)\.safetensors")


def running(root: Path, cell: Cell, spec: Mapping[str, Any]) -> tuple[str, LiveCurve] | None:
    """Return where a cell is and its curve so far; None where nothing of it has begun.

    Parameters
    ----------
    root : Path
        Folder of ``results`` and ``state``.
    cell : Cell
    spec : mapping
        Its parameters, `scalebed.plan.rule_params.cell`.
    """
    found = _newest((root / STATE / cell.path).glob("*/step-*.safetensors"))
    if found is not None:
        return RUNNING, _curve(*found, spec)
    trunk, leaves = trunk_of(spec), leaves_at(spec)
    if trunk is None or leaves is None:
        return None
    states = [
        *(root / STATE / TRUNKS / trunk.path).glob("*/step-*.safetensors"),
        *(root / "results" / TRUNKS / trunk.path).glob("*/step-*.safetensors"),
    ]
    found = _newest(states)
    if found is None:
        return None
    path, loss = found
    return ON_TRUNK, _curve(path, loss[:leaves], spec)


def _newest(paths: Iterable[Path]) -> tuple[Path, Array] | None:
    """Return the loss of every step in the checkpoint of most steps."""
    from safetensors import safe_open

    known = {path: int(step[1]) for path in paths if (step := _STEP.fullmatch(path.name))}
    for path in sorted(known, key=known.__getitem__, reverse=True):
        try:
            with safe_open(path, framework="np") as file:
                return path, np.asarray(file.get_tensor("curve"), float)[:, 0]
        except FileNotFoundError:
            # The run has made another one since, and thrown this one away.
            continue
    return None


def _curve(path: Path, loss: Array, spec: Mapping[str, Any]) -> LiveCurve:
    """Return some rows of a curve, with the learning rate that the recipe gives them."""
    from scalebed.train.params import Recipe
    from scalebed.train.rates import learning_rate

    recipe = Recipe.from_record(spec["recipe"])
    steps: Array = np.arange(loss.size, dtype=float)[:: max(1, loss.size // _POINTS)]
    rate = np.array([learning_rate(recipe, spec["steps"], int(step)) for step in steps])
    seen = (steps + 1) * (spec["tokens"] / spec["steps"])
    nothing = np.zeros(0)
    return LiveCurve(str(path), steps, seen, loss[steps.astype(int)], rate, nothing, nothing)
