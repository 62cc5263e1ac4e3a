"""What can train a cell, by name.

A backend is a module with a function ``train(job: Job, state: StateFolder, began: float) ->
Outcome`` that raises `CellFailure` for a cell it cannot train, `Interrupted` when it was asked to
stop and has saved its state, and `ScalebedError` where the surroundings are at fault.
"""

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from scalebed.core.errors import ScalebedError

BACKENDS = {
    "torch": "scalebed.train.torch_backend",
    "open_lm": "scalebed.train.open_lm.backend",
}
"""Module of each backend; the study file may name these, and `scalebed.train.cell` imports them."""

Backend = Literal[*BACKENDS]  # type: ignore[valid-type]
"""Name of a backend."""

_INSTALL = {"open_lm": "requirements/open_lm.sh"}
"""Backends that are packages of their own, and the command that installs each."""


def installed(name: str) -> bool:
    """Tell whether what a backend needs is installed, without importing it."""
    if name not in _INSTALL:
        return True
    spec = importlib.util.find_spec(name)
    # A folder of that name on the path is no package.
    return spec is not None and spec.origin is not None


def require(name: str) -> None:
    """Check that what a backend needs is installed, without importing it.

    Raises
    ------
    ScalebedError
        If it is not; names the command that installs it.
    """
    if not installed(name):
        raise ScalebedError(
            f"the backend {name} is not installed here; install it with: {_INSTALL[name]}"
        )


def require_for(cells: Mapping[str, Mapping[str, Any]], folder: Path) -> None:
    """Check that the backends of those cells are installed that are still to be trained.

    Parameters
    ----------
    cells
        Parameters of cells by path.
    folder
        Where records of cells are.

    Raises
    ------
    ScalebedError
        If one is not.
    """
    for path, spec in cells.items():
        name = spec["recipe"]["backend"]
        trained = "checkpoint" in spec or name not in _INSTALL
        if not (trained or (folder / path / "metrics.json").exists()):
            require(name)
