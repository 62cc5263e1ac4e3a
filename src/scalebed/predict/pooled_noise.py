"""Deviations of runs of several data sets: what clusters share, and what runs that are alike do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scalebed.laws.forms.base import Array, Index
from scalebed.predict.draws import with_luck
from scalebed.predict.luck import Cells, Together, cells_of, together
from scalebed.predict.runs import Runs
from scalebed.predict.scatter import normals, stream
from scalebed.predict.stages import Measured, Stage

Inside = Sequence[tuple[Runs, Stage]]


def pooled_noise(inside: Inside, seed: int, count: int) -> list[Array]:
    """Draw standard normals for the runs of every fit, (draws, n) each.

    Those of one run, design or trunk share what the scatter of the data set says they do; runs
    that all data sets have go together as their residuals do.

    Parameters
    ----------
    inside : sequence of (Runs, Stage)
        Data sets with their separate fits.
    seed, count : int
    """
    found = together([_cells(runs, stage) for runs, stage in inside])
    correlation = np.zeros((count, 1))
    if found is not None:
        names = [runs.dataset for runs, _ in inside]
        rng = stream(seed, "together", "pooled", inside[0][1].response, *names)
        correlation = found.correlation.draw(rng, count)[:, None]
    result = []
    for s, (runs, stage) in enumerate(inside):
        words = ("pooled", stage.response, "fit")
        groups, shared = runs.groups(stage.used), _shared(stage)
        noise = normals(seed, runs.cells, count, *words)[:, stage.used]
        noise = _clustered(noise, groups, shared, seed, (*words, runs.dataset))
        if found is not None:
            rows = found.rows[s]
            alike = _alike(inside[0][0], inside[0][1], found, shared, seed, count)
            noise[:, rows] = (
                np.sqrt(1 - correlation) * noise[:, rows] + np.sqrt(correlation) * alike
            )
        result.append(noise)
    return result


def _alike(
    runs: Runs, stage: Stage, found: Together, shared: float, seed: int, count: int
) -> Array:
    """Return what runs that are alike have in common, the cells of the first data set naming them.

    It is shared within clusters as all deviations of a data set are.
    """
    words = ("pooled", stage.response, "alike")
    used = np.flatnonzero(stage.used)[found.rows[0]]
    normal = normals(seed, tuple(runs.cells[i] for i in map(int, used)), count, *words)
    groups = runs.groups(stage.used)[found.rows[0]]
    return _clustered(normal, groups, shared, seed, words)


def _clustered(
    normal: Array, groups: Index, shared: float, seed: int, words: tuple[str, ...]
) -> Array:
    if not shared:
        return normal
    named = tuple(str(group) for group in range(int(groups.max()) + 1))
    common = normals(seed, named, len(normal), *words, "shared")
    return with_luck(normal, common, groups, shared)


def _shared(stage: Stage) -> float:
    return 0.0 if stage.sigma is None else stage.sigma.shared


def _cells(runs: Runs, stage: Stage) -> Cells | None:
    """Return how the runs of the separate fit lie about its law."""
    fit, sigma = stage.fit, stage.sigma
    if fit is None or sigma is None or stage.theta is None:
        return None
    loss, law = runs.loss(stage.response), fit.law
    x = tuple(runs.column(name, stage.response, stage.response) for name in law.inputs)
    whole = Measured(law, x, loss, np.zeros(loss.size), fit.options)
    groups = runs.groups(stage.used)
    same = groups[:, None] == groups[None]
    covariance = sigma.shared * same + (1 - sigma.shared) * np.eye(groups.size)
    theta = np.concatenate([fit.theta[None], stage.theta])
    taken = whole.take(stage.used)
    return cells_of(runs, stage.used, taken, (law, theta), sigma.value, covariance)
