"""Tables of an invented study whose true laws are known, for tests of the fit stage."""

import json
from collections.abc import Iterable
from typing import Any

import numpy as np

from scalebed.laws import get_law
from scalebed.predict.settings import Settings, parse_settings

Row = dict[str, Any]
Tables = dict[str, list[Row]]

SIZES = (2e5, 4e5, 8e5, 1.6e6)
RATIOS = (20, 40, 80, 160)
BIG, TASKS = 8e6, ("cloze", "order")
TRUTH = {
    "one": np.array([1.9, 60.0, 140.0, 0.27]),
    "two": np.array([1.7, 50.0, 150.0, 0.26]),
    "three": np.array([2.0, 90.0, 200.0, 0.29]),
}
ERROR = np.array([0.85, 2.2, 0.7])


def settings(**changes: Any) -> Settings:
    """Settings of the stage, few draws unless told otherwise."""
    return parse_settings(params(**changes))


def params(**changes: Any) -> str:
    """JSON of ``--params``."""
    values = {
        "loss_law": "tied",
        "error_law": "decay",
        "loss": "yardstick",
        "losses": [],
        "per_task": True,
        "draws": 300,
        "level": 0.9,
        "seed": 0,
    }
    return json.dumps(values | changes)


def tables(sigma: float = 0.005, datasets: Iterable[str] = TRUTH, seed: int = 1) -> Tables:
    """16 small cells and 2 large targets a data set; the paper's 5 and 6 are the fit cells."""
    rng = np.random.default_rng(seed)
    result: Tables = {"cells": [], "losses": [], "tasks": []}
    for dataset in datasets:
        grid = [(size, ratio) for size in SIZES for ratio in RATIOS]
        for size, ratio in [*grid, (BIG, 20), (BIG, 160)]:
            _add(result, dataset, size, ratio, sigma, rng)
    return result


def _add(
    result: Tables, dataset: str, size: float, ratio: int, sigma: float, rng: np.random.Generator
) -> None:
    name = f"dataset={dataset}/size={size:.0f}/ratio={ratio}"
    fitted = (ratio == 20 and size < BIG) or (size == SIZES[0] and ratio == 160)
    tokens = size * ratio
    truth = get_law("tied").predict(TRUTH[dataset], (np.array([size]), np.array([tokens])))
    loss = float(truth[0]) * (1 + sigma * rng.standard_normal())
    result["cells"].append(
        {
            "cell": name,
            "dataset": dataset,
            "recipe": "base",
            "seed": 0,
            "status": "done",
            "fit_loss": fitted,
            "fit_error": fitted or (size == SIZES[-1] and ratio == 80),
            "target": size == BIG,
            "scatter": size != BIG,
            "params": int(size),
            "tokens": int(tokens),
            "flops": 6.0 * size * tokens,
        }
    )
    result["losses"].append({"cell": name, "validation": "yardstick", "loss": loss})
    result["losses"].append({"cell": name, "validation": "other", "loss": 1.1 * loss})
    error = float(get_law("decay").predict(ERROR, (np.array([loss]),))[0])
    for task, shift in zip(TASKS, (-0.05, 0.05), strict=True):
        rate = error + shift + 0.4 * sigma * rng.standard_normal()
        result["tasks"].append(
            {
                "cell": name,
                "task": task,
                "error": rate,
                "error_stderr": float(np.sqrt(rate * (1 - rate) / 1e6)),
                "items": 1_000_000,
                "in_average": True,
            }
        )
