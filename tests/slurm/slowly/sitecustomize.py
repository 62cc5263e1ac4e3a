"""Run by Python when it starts: a training takes its time, however fast the core is."""

import sys
import time
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

SECONDS = 0.05
"""Of a step, on the average of all since the first: who was kept waiting may hurry."""


class Slowly:
    """Finds the training loop and has it sleep before a step that comes too early."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Find that module as usual; None for every other one."""
        spec = PathFinder.find_spec(name, path) if name == "scalebed.train.loop" else None
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_slow(module: ModuleType) -> None:
                execute(module)
                module.Training.step = slowed(module.Training.step)

            spec.loader.exec_module = execute_and_slow
        return spec


def slowed(step: Any) -> Any:
    """Return a step that waits until it is due, counted from the first one."""
    due: float | None = None

    def slow_step(training: Any) -> None:
        nonlocal due
        due = (due or time.monotonic()) + SECONDS
        time.sleep(max(0.0, due - time.monotonic()))
        step(training)

    return slow_step


sys.meta_path.insert(0, Slowly())
