"""Task errors of studies of trunks: what chained intervals are worth where branches share luck.

The studies of `benchmarks.covered.trunks`, scatter of losses 0.3 % and half of its variance the
trunk's. Errors are 0.55 - k exp(-L) of the measured loss, with that of the dearest run 0.2 below
guessing, plus a scatter of one point, of which the trunk has a share, plus a sampling error of half
a point. The law of errors is `decay_chance`.

The rule, written down before anything was measured: the default interval of nominal 90 % covers 85
to 95 % of the six predicted errors together, for shares of 0, 0.5 and 0.75.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from benchmarks.covered.measure import LEVEL, POSTERIOR, Part, Scores, Way
from benchmarks.covered.simulated import TRUTHS, law
from benchmarks.covered.trunks import DEAREST, RATIOS, SETS, SIZES, Study, study
from scalebed.predict.bootstrap import bootstrap
from scalebed.predict.build import build_stage, law_scatters
from scalebed.predict.draws import interval_of
from scalebed.predict.loss_stages import loss_stages
from scalebed.predict.runs import AVERAGE, collect_runs

CHANCE, DROP, SCATTER, SAMPLING = 0.55, 0.2, 0.01, 0.005
SHARES = (0.0, 0.5, 0.75)


def errors(draw: np.random.Generator, one: Study, share: float) -> Study:
    """Return the study with a task; its truth is that of the errors of the targets."""
    losses = {row["cell"]: row["loss"] for row in one.tables["losses"]}
    targets = iter(one.truth)
    trunks: dict[str, float] = {}
    tasks, truth = [], []
    for row in one.tables["cells"]:
        name = row["dataset"]
        best = float(law(TRUTHS[name], SIZES[-1], DEAREST / SIZES[-1]))
        loss = float(next(targets)) if row["target"] else losses[row["cell"]]
        common = trunks.setdefault(row["trunk"], draw.standard_normal())
        off = np.sqrt(share) * common + np.sqrt(1 - share) * draw.standard_normal()
        error = CHANCE - DROP * np.exp(best - loss) + SCATTER * off
        error += SAMPLING * draw.standard_normal()
        row["fit_error"] = row["fit_loss"]
        if row["target"]:
            truth.append(float(error))
            continue
        known = {"error_stderr": SAMPLING, "chance_error": CHANCE, "in_average": True}
        tasks.append({"cell": row["cell"], "task": "task", "error": float(error), **known})
    return Study(one.tables | {"tasks": tasks}, np.array(truth))


def scored(one: Study, way: Way, draws: int) -> Scores:
    """Fit both laws as the pipeline does, and score the errors of the targets."""
    sets = collect_runs(one.tables)
    settings = replace(way.settings(draws), error_law="decay_chance")
    stages = loss_stages(sets, "loss", settings)
    scatters = law_scatters(sets, AVERAGE, "error", settings)
    found: dict[str, dict[str, Any]] = {}
    for runs, loss in zip(sets, stages, strict=True):
        stage = build_stage(runs, AVERAGE, scatters, settings, bootstrap, loss)
        if stage.draws is None or stage.point is None:
            raise ValueError(f"{runs.dataset}: {stage.reason or 'no draws'}")
        for i in map(int, np.flatnonzero(runs.target)):
            low, high = interval_of(stage.draws[:, i], LEVEL).tolist()
            row = {"lower": low, "upper": high, "predicted": float(stage.point[i])}
            found[runs.cells[i]] = row
    wanted = [row["cell"] for row in one.tables["cells"] if row["target"]]
    return Scores.of([found[cell] for cell in wanted], one.truth.tolist())


def measure(share: float, way: Way, replicates: int, draws: int) -> tuple[list[Scores], float]:
    """Score some studies; CPU seconds of one."""
    start = time.process_time()
    found = []
    for replicate in range(replicates):
        draw = np.random.default_rng([20261129, replicate])
        one = errors(draw, study(draw, 0.5, 0.003), share)
        found.append(scored(one, way, draws))
    return found, (time.process_time() - start) / replicates


def lines(name: str, found: dict[Way, tuple[list[Scores], float]]) -> Iterator[str]:
    """Say what was measured of one case."""
    for way, (scores, seconds) in found.items():
        inside = np.array([one.inside for one in scores])
        width = np.array([one.width for one in scores])
        error = inside.mean(1).std() / np.sqrt(len(inside))
        far, over = inside.reshape(-1, len(SETS), 2).mean((0, 1))
        yield (
            f"{name:32} {way!s:22} {100 * inside.mean():5.1f} % +- {100 * error:3.1f}  "
            f"[10x {100 * far:5.1f} %; M {8 * RATIOS[-1]:.0f} {100 * over:5.1f} %]  width "
            f"{np.median(width):5.2f}  {seconds:.2f} s  (asked 85-95 %)"
        )


def parts(ways: list[Way], replicates: int, draws: int) -> Iterator[Part]:
    """All cases."""
    for share in SHARES:
        jobs: dict[Any, Any] = {
            way: partial(measure, share, way, replicates, draws) for way in ways if way == POSTERIOR
        }
        name = f"trunks, errors, share {share:g}"
        yield Part(name, jobs, partial(lines, name))
