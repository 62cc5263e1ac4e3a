"""Invented studies as the tournament, the reliability classes and contrasts take them."""

from pathlib import Path
from typing import Any

import numpy as np
import synthetic_study as synthetic

from scalebed.predict.open_study import StudyFit
from scalebed.predict.runs import collect_runs
from scalebed.predict.settings import Settings

Row = dict[str, Any]


def open_tables(
    tables: dict[str, list[Row]], settings: Settings | None = None, folder: Path = Path("nowhere")
) -> StudyFit:
    """A study of these tables; nothing of it is on disk."""
    settings = settings or synthetic.settings(per_task=False)
    runs = collect_runs(tables, settings.averages)
    return StudyFit(folder, "invented", runs, settings, tables)


def study(sigma: float = 0.0, seed: int = 1, **changes: Any) -> StudyFit:
    """The study of `synthetic_study`: four sizes by four M, and two targets, a data set."""
    tables = synthetic.tables(sigma=sigma, seed=seed, **changes)
    for row in tables["tasks"]:
        row["chance_error"] = 0.9
    return open_tables(tables)


def task_tables(errors: dict[str, dict[str, np.ndarray]], items: int, chance: float) -> Any:
    """Tables of data sets with 24 runs each, whose losses fall from 4 to 2 in even steps.

    Parameters
    ----------
    errors : dict
        Error rates (24,) by data set and task, in the order of falling loss.
    items : int
        Items of each task.
    chance : float
        Error of guessing.
    """
    tables: dict[str, list[Row]] = {"cells": [], "losses": [], "tasks": []}
    for dataset, tasks in errors.items():
        for i, loss in enumerate(losses()):
            cell = f"dataset={dataset}/run={i}"
            tables["cells"].append(
                {
                    "cell": cell,
                    "dataset": dataset,
                    "recipe": "base",
                    "seed": 0,
                    "status": "done",
                    "fit_loss": True,
                    "fit_error": True,
                    "target": False,
                    "params": int(1e6 * 1.2**i),
                    "tokens": int(2e7 * 1.3**i),
                    "flops": 6 * 1e6 * 1.2**i * 2e7 * 1.3**i,
                }
            )
            tables["losses"].append({"cell": cell, "validation": "yardstick", "loss": loss})
            tables["tasks"] += [
                {
                    "cell": cell,
                    "task": task,
                    "error": float(values[i]),
                    "error_stderr": None,
                    "items": items,
                    "in_average": True,
                    "chance_error": chance,
                }
                for task, values in tasks.items()
            ]
    return tables


def losses() -> np.ndarray:
    """Losses of the runs of `task_tables`."""
    return np.linspace(4.0, 2.0, 24)
