"""Scatter of every data set of a study, from which each takes that of the others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scalebed.laws import get_law
from scalebed.predict.runs import Runs
from scalebed.predict.scatter import Scatter, scatter
from scalebed.predict.settings import Settings
from scalebed.predict.stages import finite, inputs

Grids = dict[str, Scatter | None]


def loss_grids(sets: Sequence[Runs], name: str, settings: Settings) -> Grids:
    """Errors of the loss law of every data set on its cells that are no targets."""
    law, grids = get_law(settings.loss_law, "loss"), Grids()
    for runs in sets:
        x, loss = inputs(law, runs, name, settings), runs.loss(name)
        use = runs.scattered & runs.same_recipe & np.isfinite(loss) & finite(x)
        none = np.zeros(loss.size)
        options = settings.loss_options
        grids[runs.dataset] = scatter(law, x, loss, none, use, runs.fit_loss, options)
    return grids


def error_grids(sets: Sequence[Runs], name: str, settings: Settings) -> Grids:
    """Errors of the error law, given the measured loss, on the cells that are no targets."""
    law, grids = get_law(settings.error_law, ("error", "direct")), Grids()
    for runs in sets:
        x, error = inputs(law, runs, name, settings), runs.errors[name]
        use = (runs.scattered | runs.fit_error) & runs.same_recipe
        use &= np.isfinite(error) & finite(x)
        sampling, options = runs.sampling[name], settings.error_options
        grids[runs.dataset] = scatter(law, x, error, sampling, use, runs.fit_error, options)
    return grids
