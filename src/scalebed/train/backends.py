"""What can train a cell, by name.

A backend is a module with a function ``train(job: Job, state: StateFolder, began: float) ->
Outcome`` that raises `CellFailure` for a cell it cannot train, `Interrupted` when it was asked to
stop and has saved its state, and `ScalebedError` where the surroundings are at fault.
"""

import importlib
from types import ModuleType

BACKENDS = {
    "torch": "scalebed.train.native",
}
"""Module of each backend; the study file may name these."""


def backend(name: str) -> ModuleType:
    """Return the module that trains for a backend."""
    return importlib.import_module(BACKENDS[name])
