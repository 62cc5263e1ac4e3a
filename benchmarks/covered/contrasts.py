"""Contrasts of data sets whose runs of one size, M and seed deviate together.

Three data sets of one design: 11 runs of five sizes, or sixteen. Deviations of runs that are alike
are correlated between the data sets by 0, 0.5 or 0.9. Compared are the laws of every pair at eleven
times the compute of the dearest run, at M = 20 and 160. For refits the law is the tied one, with a
scatter of 0.5 %; for the posterior laws, scatters and what sizes share are drawn from its beliefs.

The rule, written down before anything was measured: intervals of the difference of nominal 90 %
cover 85 to 95 % over 60 studies for every correlation, both designs and both ways, and no interval
of a data set alone changes (that its draws stay the same ones is a test). The same studies with
seeds that differ between the data sets, so that nothing is alike, stand beside.

Two data sets whose scatters differ, posteriors alone: 16 runs, laws from the beliefs, scatters of
1 % and of 1, 0.3 or 0.1 %, runs that are alike correlated by 0.5. The rule, written down before:
over 60 studies 86 to 94 % of the differences are covered for each pair of scatters, and as many of
the laws of either data set alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas

from benchmarks.covered.measure import LEVEL, POSTERIOR, Part, Way
from benchmarks.covered.simulated import SIXTEEN, TIED_LAW, Draw, Theta, law
from scalebed.checks.contrasts.compare import Target, contrast
from scalebed.checks.contrasts.laws import Fitted, Frames
from scalebed.fit.posterior import Beliefs
from scalebed.predict.loss_stages import loss_stages, posteriors
from scalebed.predict.open_study import StudyFit
from scalebed.predict.runs import collect_runs

SETS = ("first", "second", "third")
DESIGNS = {
    11: [
        *((2e7, m) for m in (20.0, 80.0, 320.0)),
        (4e7, 20.0),
        *((8e7, m) for m in (20.0, 80.0, 160.0)),
        *((1.6e8, m) for m in (20.0, 80.0)),
        *((4e8, m) for m in (20.0, 40.0)),
    ],
    16: [(size, ratio) for size in SIXTEEN[0] for ratio in SIXTEEN[1]],
}
CORRELATIONS = (0.0, 0.5, 0.9)
SCATTERS = ((0.01, 0.01), (0.01, 0.003), (0.01, 0.001))
TIMES, RATIOS = 11, (20.0, 160.0)


def believed(draw: Draw, sizes: Any, tokens: Any) -> tuple[list[Theta], list[float], float]:
    """Draw a law and a scatter for each data set, and what part of the variance sizes share."""
    beliefs = Beliefs()
    middle = [float(np.exp(np.log(values).mean())) for values in (sizes, tokens)]
    laws: list[Theta] = []
    while len(laws) < len(SETS):
        alpha = beliefs.alpha + beliefs.alpha_sd * draw.standard_normal()
        beta = alpha * np.exp(beliefs.tie_sd * draw.standard_normal())
        floor, size, data = draw.uniform(1.5, 2.1), draw.uniform(0.2, 1), draw.uniform(0.2, 1)
        if 0.05 < alpha < 1 and 0.05 < beta < 1:
            laws.append((floor, size * middle[0] ** alpha, data * middle[1] ** beta, alpha, beta))
    mean = np.log(beliefs.scatter) + beliefs.scatter_sd * draw.standard_normal()
    omega = abs(beliefs.between_sd * draw.standard_normal())
    scatters = np.exp(mean + omega * draw.standard_normal(len(SETS)))
    ratio = 0.0 if draw.random() < beliefs.single else float(draw.choice(beliefs.shared))
    return laws, np.minimum(scatters, 0.05).tolist(), ratio / (1 + ratio)


def study(
    draw: Draw,
    count: int,
    correlation: float,
    way: Way,
    told: bool,
    given: Sequence[float] = (),
) -> tuple[dict[str, list[dict[str, Any]]], list[Theta]]:
    """Draw the tables of a study, and the law of each data set; scatters may be given."""
    params, ratios = np.array(DESIGNS[count]).T
    laws, scatters, share = [TIED_LAW] * len(SETS), [0.005] * len(SETS), 0.0
    if way == POSTERIOR:
        laws, scatters, share = believed(draw, params, ratios * params)
    scatters = [*given] or scatters
    of_size = np.unique(params, return_inverse=True)[1]
    normal = []
    for _ in range(len(SETS) + 1):
        common, own = draw.standard_normal(count), draw.standard_normal(count)
        normal.append(np.sqrt(share) * common[of_size] + np.sqrt(1 - share) * own)
    cells: list[dict[str, Any]] = []
    losses: list[dict[str, Any]] = []
    for k, name in enumerate(SETS[: len(scatters)]):
        off = np.sqrt(correlation) * normal[-1] + np.sqrt(1 - correlation) * normal[k]
        loss = law(laws[k], params, ratios * params) * (1 + scatters[k] * off)
        for i in range(count):
            run = {"params": params[i], "tokens": ratios[i] * params[i]}
            cell = f"{name}/{params[i]:.0f}/{ratios[i]:.0f}"
            roles = {"fit_loss": True, "fit_error": False, "target": False, "status": "done"}
            named = {"cell": cell, "dataset": name, "recipe": "base", "seed": 0 if told else k}
            cells.append(named | roles | run | {"flops": 6 * run["params"] * run["tokens"]})
            losses.append({"cell": cell, "validation": "loss", "loss": loss[i]})
    return {"cells": cells, "losses": losses, "tasks": []}, laws[: len(scatters)]


def compared(
    tables: dict[str, list[dict[str, Any]]], laws: list[Theta], way: Way, draws: int
) -> list[tuple[bool, float, float]]:
    """Whether each contrast covers, the width of its interval and its correlation."""
    settings, runs = way.settings(draws), collect_runs(tables)
    opened = StudyFit(Path("nowhere"), "drawn", runs, settings, tables)
    frames = Frames(pandas.DataFrame(), pandas.DataFrame(), pandas.DataFrame())
    known = posteriors(runs, "loss", settings) if way == POSTERIOR else {}
    frames.posteriors["loss"] = known
    for stage in loss_stages(runs, "loss", settings, found=known or None):
        if stage.fit is None or stage.theta is None or stage.sigma is None:
            raise ValueError(f"{stage.dataset}: {stage.reason or 'no draws'}")
        theta = np.concatenate([stage.fit.theta[None], stage.theta])
        fitted = Fitted(stage.fit.law, theta, stage.sigma.value, "")
        frames.known["loss", stage.dataset, "loss"] = fitted
    flops = TIMES * max(row["flops"] for row in tables["cells"])
    found = []
    for (a, one), (b, two) in combinations(zip(SETS, laws, strict=False), 2):
        for ratio in RATIOS:
            params = float(np.sqrt(flops / 6 / ratio))
            at = Target(params, ratio * params)
            row = contrast(opened, a, b, at, "loss", frames)
            truth = float(law(two, at.params, at.tokens) - law(one, at.params, at.tokens))
            low, high = row["difference_lower"], row["difference_upper"]
            found.append((low <= truth <= high, high - low, row["correlation"]))
    return found


def alone(
    tables: dict[str, list[dict[str, Any]]], laws: list[Theta], way: Way, draws: int
) -> list[tuple[bool, ...]]:
    """Whether the interval of each law alone covers it, at the targets of `compared`."""
    flops = TIMES * max(row["flops"] for row in tables["cells"])
    params = np.sqrt(flops / 6 / np.array(RATIOS))
    stages = loss_stages(collect_runs(tables), "loss", way.settings(draws))
    found = []
    for stage in stages:
        if stage.fit is None or stage.theta is None:
            raise ValueError(f"{stage.dataset}: {stage.reason or 'no draws'}")
        theta = laws[SETS.index(stage.dataset)]
        value = stage.fit.law.value(stage.theta, (params, params * np.array(RATIOS)))
        low, high = np.quantile(value, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
        truth = law(theta, params, params * np.array(RATIOS))
        found.append(tuple(((low <= truth) & (truth <= high)).tolist()))
    return found


def unequal(scatters: Sequence[float], way: Way, replicates: int, draws: int) -> tuple[Any, Any]:
    """Compare two data sets with given scatters; what `compared` and `alone` find."""
    found, own = [], []
    for replicate in range(replicates):
        draw = np.random.default_rng([20261130, replicate])
        made = study(draw, 16, 0.5, way, True, scatters)
        found.append(compared(*made, way, draws))
        own.append(alone(*made, way, draws))
    return np.array(found, dtype=float), np.array(own, dtype=float)


def unequal_lines(name: str, found: Mapping[Way, tuple[Any, Any]]) -> Iterator[str]:
    """Say what was measured of two data sets whose scatters are given."""
    for way, (values, own) in found.items():
        shares = []
        for each in (values[:, :, 0], own[:, 0], own[:, 1]):
            error = each.mean(1).std() / np.sqrt(len(each))
            shares.append(f"{100 * each.mean():5.1f} % +- {100 * error:3.1f}")
        yield (
            f"{name:44} {way!s:22} difference {shares[0]}  alone {shares[1]}, {shares[2]}  "
            f"width {np.median(values[:, :, 1]):.4f}  correlation {values[:, :, 2].mean():.2f}"
            "  (asked 86-94 %)"
        )


def measure(
    count: int, correlation: float, told: bool, way: Way, replicates: int, draws: int
) -> tuple[Any, float]:
    """Compare in some studies, the same ones whether seeds are equal or not; CPU seconds of one."""
    start, found = time.process_time(), []
    for replicate in range(replicates):
        draw = np.random.default_rng([20261129, replicate])
        found.append(compared(*study(draw, count, correlation, way, told), way, draws))
    return np.array(found, dtype=float), (time.process_time() - start) / replicates


def lines(name: str, found: Mapping[tuple[Way, bool], tuple[Any, float]]) -> Iterator[str]:
    """Say what was measured of one case, a line a way, with equal seeds and with others."""
    for (way, told), (values, seconds) in found.items():
        inside, width, correlation = np.moveaxis(values, 2, 0)
        error = inside.mean(1).std() / np.sqrt(len(inside))
        each = ", ".join(f"{100 * inside[:, k :: len(RATIOS)].mean():.1f}" for k in (0, 1))
        yield (
            f"{name:36} {way!s:22} {'seeds equal' if told else 'seeds differ':12} "
            f"{100 * inside.mean():5.1f} % +- {100 * error:3.1f}  [{each}]  width "
            f"{np.median(width):.4f}  correlation {correlation.mean():.2f}  {seconds:.2f} s"
            + ("  (asked 85-95 %)" if told else "")
        )


def parts(ways: list[Way], replicates: int, draws: int) -> Iterator[Part]:
    """All cases."""
    for count in DESIGNS:
        for correlation in CORRELATIONS:
            name = f"contrasts, {count} runs, correlation {correlation:g}"
            jobs: dict[Any, Callable[[], Any]] = {
                (way, told): partial(measure, count, correlation, told, way, replicates, draws)
                for way in ways
                for told in (True, False)
            }
            yield Part(name, jobs, partial(lines, name))
    for scatters in SCATTERS if POSTERIOR in ways else ():
        name = "contrasts, two data sets, scatters " + " and ".join(f"{s:.1%}" for s in scatters)
        each = {POSTERIOR: partial(unequal, scatters, POSTERIOR, replicates, draws)}
        yield Part(name, each, partial(unequal_lines, name))
