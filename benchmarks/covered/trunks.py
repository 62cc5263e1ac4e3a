"""Studies of trunks and branches: what intervals are worth where branches share luck.

Three data sets; in each five sizes over a factor of 9 in N, one trunk a size, a branch at
M = 5, 10, 20, 40 and 80. The deviation of a branch from the law is that of its trunk plus its own.
Predicted are a new size at M = 20 with ten times the compute of the dearest run, with a trunk of
its own, and M = 640 at the middle size: a branch of a known trunk, over-trained eightfold.

The rule, written down before anything was measured: with the trunks known the default interval of
nominal 90 % covers 85 to 95 % of the six predictions together, for every share of the variance that
is the trunk's (0.25, 0.5, 0.75) and every scatter (0.3 and 1 %). The same studies with the trunks
not told stand beside, and nothing is asked of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from benchmarks.covered.measure import LEVEL, POSTERIOR, Part, Scores, Way
from benchmarks.covered.simulated import TRUTHS, law
from scalebed.predict.draws import interval_of
from scalebed.predict.loss_stages import loss_stages
from scalebed.predict.runs import collect_runs

SETS = ("tied", "chinchilla", "hoffmann")
"""Names of `TRUTHS`, one a data set."""
SIZES = np.geomspace(2e7, 1.8e8, 5)
RATIOS = np.array([5.0, 10.0, 20.0, 40.0, 80.0])
DEAREST = SIZES[-1] ** 2 * RATIOS[-1]
# 6 N D is left as it is by the 6.
TARGETS = ((float(np.sqrt(10 * DEAREST / 20)), 20.0), (float(SIZES[2]), 8 * float(RATIOS[-1])))
SHARES, SCATTERS = (0.25, 0.5, 0.75), (0.003, 0.01)


@dataclass(frozen=True)
class Study:
    """Rows of the tables of a simulated study, and what the targets came out at, (6,)."""

    tables: dict[str, list[dict[str, Any]]]
    truth: np.ndarray[Any, Any]


def study(draw: np.random.Generator, share: float, scatter: float, told: bool = True) -> Study:
    """Draw a study.

    Parameters
    ----------
    draw : Generator
    share : float
        Of the variance, what branches of one trunk have in common.
    scatter : float
        Standard deviation of a run, relative to its loss.
    told : bool
        Whether the tables say which cells branch off which trunk.
    """
    cells: list[dict[str, Any]] = []
    losses: list[dict[str, Any]] = []
    truth = []
    at = [(size, ratio) for size in SIZES.tolist() for ratio in RATIOS.tolist()]
    for name in SETS:
        trunks = {size: draw.standard_normal() for size in (*SIZES.tolist(), TARGETS[0][0])}
        for i, (params, ratio) in enumerate((*at, *TARGETS)):
            target, tokens = i >= len(at), params * ratio
            off = np.sqrt(share) * trunks[params] + np.sqrt(1 - share) * draw.standard_normal()
            loss = float(law(TRUTHS[name], params, tokens) * (1 + scatter * off))
            cell = f"{name}/{params:.0f}/{ratio:.0f}"
            roles = {"fit_loss": not target, "fit_error": False, "target": target}
            trunk = {"trunk": f"{name}/{params:.0f}"} if told else {}
            named = {"cell": cell, "dataset": name, "recipe": "base", "seed": 0, "status": "done"}
            run = {"params": params, "tokens": tokens, "flops": 6 * params * tokens}
            cells.append(named | roles | run | trunk)
            if target:
                truth.append(loss)
            else:
                losses.append({"cell": cell, "validation": "loss", "loss": loss})
    return Study({"cells": cells, "losses": losses, "tasks": []}, np.array(truth))


def scored(one: Study, way: Way, draws: int) -> Scores:
    """Fit a study as the pipeline does, and score its targets in the order of `Study.truth`."""
    sets = collect_runs(one.tables)
    stages = loss_stages(sets, "loss", way.settings(draws))
    found = {}
    for runs, stage in zip(sets, stages, strict=True):
        if stage.draws is None or stage.point is None:
            raise ValueError(f"{runs.dataset}: {stage.reason or 'no draws'}")
        for i in map(int, np.flatnonzero(runs.target)):
            low, high = interval_of(stage.draws[:, i], LEVEL).tolist()
            row = {"lower": low, "upper": high, "predicted": float(stage.point[i])}
            found[runs.cells[i]] = row
    wanted = [row["cell"] for row in one.tables["cells"] if row["target"]]
    return Scores.of([found[cell] for cell in wanted], one.truth.tolist())


def measure(
    share: float, scatter: float, told: bool, way: Way, replicates: int, draws: int
) -> tuple[list[Scores], float]:
    """Score some studies; the same ones whether trunks are told or not. CPU seconds of one."""
    start = time.process_time()
    found = []
    for replicate in range(replicates):
        draw = np.random.default_rng([20261128, replicate])
        found.append(scored(study(draw, share, scatter, told), way, draws))
    return found, (time.process_time() - start) / replicates


def lines(name: str, found: Mapping[tuple[Way, bool], tuple[list[Scores], float]]) -> Iterator[str]:
    """Say what was measured of one case, a line a way, with trunks told and not."""
    for (way, told), (scores, seconds) in found.items():
        inside = np.array([one.inside for one in scores])
        width = np.array([one.width for one in scores])
        error = inside.mean(1).std() / np.sqrt(len(inside))
        (far, over), widths = inside.reshape(-1, len(SETS), 2).mean((0, 1)), np.median(width, 0)
        wide = widths.reshape(len(SETS), 2).mean(0)
        score = np.mean([one.score for one in scores])
        yield (
            f"{name:32} {way!s:22} {'trunks told' if told else 'not told':11} "
            f"{100 * inside.mean():5.1f} % +- {100 * error:3.1f}  "
            f"[10x {100 * far:5.1f} %, width {wide[0]:5.2f}; M 640 {100 * over:5.1f} %, width "
            f"{wide[1]:5.2f}]  score {score:5.2f}  {seconds:.2f} s"
            + ("  (asked 85-95 %)" if told and way == POSTERIOR else "")
        )


def parts(ways: list[Way], replicates: int, draws: int) -> Iterator[Part]:
    """All cases."""
    for scatter in SCATTERS:
        for share in SHARES:
            name = f"trunks, {scatter:.1%}, share {share:g}"
            jobs: dict[Any, Callable[[], Any]] = {
                (way, told): partial(measure, share, scatter, told, way, replicates, draws)
                for way in ways
                # Refits take runs for independent, told or not.
                for told in ((True, False) if way == POSTERIOR else (False,))
            }
            yield Part(name, jobs, partial(lines, name))
