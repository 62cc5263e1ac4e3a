"""The loss laws of all data sets of a study for one response, drawn as the settings say."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scalebed.fit.posterior import Points
from scalebed.laws.forms.base import Index, Mask
from scalebed.predict.bootstrap import bootstrap
from scalebed.predict.build import build_stage, law_scatters, measured_of
from scalebed.predict.posterior import Candidate, Given, candidates, check_settings
from scalebed.predict.runs import Runs
from scalebed.predict.settings import Settings
from scalebed.predict.stages import Measured, Stage

Found = dict[str, Candidate | str]


def loss_stages(
    sets: Sequence[Runs],
    response: str,
    settings: Settings,
    evidence: bool = False,
    found: Found | None = None,
) -> list[Stage]:
    """Fit, draw and predict.

    Parameters
    ----------
    sets : sequence of Runs
    response : str
        Validation set.
    settings : Settings
    evidence : bool
        Whether a posterior says what the data say of its law, which takes longer.
    found : dict, optional
        Posteriors of the same cells of the fit, see `posteriors`.
    """
    if settings.interval == "bootstrap":
        scatters = law_scatters(sets, response, "loss", settings)
        return [build_stage(runs, response, scatters, settings, bootstrap) for runs in sets]
    if found is None:
        found = posteriors(sets, response, settings, evidence)
    stages = []
    for runs in sets:
        whole, used = measured_of(runs, response, "loss", settings)
        candidate = found.get(runs.dataset, runs.mixed or "")
        fitted = (whole.take(used), candidate if isinstance(candidate, str) else candidate.fit)
        way = bootstrap if isinstance(candidate, str) else candidate.draw
        stages.append(build_stage(runs, response, {}, settings, way, None, fitted))
    return stages


def posteriors(
    sets: Sequence[Runs], response: str, settings: Settings, evidence: bool = False
) -> Found:
    """Return the posterior of every data set, or why there is none; targets change nothing."""
    check_settings(settings)
    given = {
        runs.dataset: _given(runs, response, *measured_of(runs, response, "loss", settings))
        for runs in sets
        if not runs.mixed
    }
    return candidates(given, settings.loss_options, settings.level if evidence else None)


def _given(runs: Runs, response: str, whole: Measured, used: Mask) -> Given:
    """Return the cells of the fit, and those from which others learn the scatter."""
    wide = (used | runs.scattered) & runs.same_recipe & whole.known
    names = tuple(runs.cells[i] for i in map(int, np.flatnonzero(used)))
    return Given(points_of(runs, response, used), names, points_of(runs, response, wide))


def points_of(runs: Runs, response: str, use: Mask) -> Points:
    """Return some runs, with what they share, as a posterior takes them."""
    codes = (runs.trunk, runs.unit, runs.design)
    groups: tuple[Index, ...] = tuple(code[use] for code in codes if code is not None)
    return Points(runs.params[use], runs.tokens[use], runs.loss(response)[use], groups)
