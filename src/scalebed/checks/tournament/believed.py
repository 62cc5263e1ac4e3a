"""The posterior as an entry: the default of the pipeline, fitted to the cells of a split alone.

It predicts what the pipeline prints, the median of its draws. Data sets tell each other their
scatter by the fitted cells of the split, never by those that are to be predicted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from scalebed.checks.tournament.redraw import Fitted
from scalebed.core.errors import ScalebedError
from scalebed.fit.options import Options
from scalebed.fit.posterior import Draws
from scalebed.fit.posterior.sensitivity import sensitivity
from scalebed.laws.forms.base import Array, Inputs, Mask
from scalebed.predict.loss_stages import points_of
from scalebed.predict.posterior import Candidate, Given, candidates
from scalebed.predict.runs import Runs
from scalebed.predict.scatter import stream

_DRAWS: Final = 4000
"""Draws: a median is known to 2 % of its standard deviation."""


@dataclass(frozen=True)
class Believed(Fitted):
    """The posterior of one data set.

    Attributes
    ----------
    draws : Draws
    kept : bool array (used,)
        Fitted cells that do not lie outside.
    """

    draws: Draws
    kept: Mask

    def predict(self, new: Inputs) -> Array:
        """Return the median of the draws."""
        return np.asarray(np.median(self._values(new), axis=0))

    def moves(self, new: Inputs) -> Array:
        """Move as the mean of the draws does; cells that were left out move nothing."""
        found = np.zeros((new[0].size, self.kept.size))
        found[:, self.kept] = sensitivity(self.draws, self._values(new))
        return found

    def _values(self, new: Inputs) -> Array:
        return self.fit.law.value(self.draws.theta, new)


def believe(
    options: Options, sets: Sequence[Runs], uses: Sequence[Mask], response: str
) -> Mapping[int, Believed | str]:
    """Return the posterior of every data set, or why there is none.

    Parameters
    ----------
    options : Options
        A prior of alpha is taken in place of the usual one.
    sets : sequence of Runs
    uses : sequence of bool array (n,)
        Cells of each data set to fit to, with a known loss.
    response : str
        Validation set.
    """
    given = {
        runs.dataset: Given(
            points_of(runs, response, use), tuple(np.array(runs.cells, dtype=object)[use].tolist())
        )
        for runs, use in zip(sets, uses, strict=True)
    }
    try:
        found = candidates(given, options, None)
    except ScalebedError as refused:
        return dict.fromkeys(range(len(sets)), str(refused))
    return {
        i: one if isinstance(one := found[runs.dataset], str) else _believed(i, runs, use, one)
        for i, (runs, use) in enumerate(zip(sets, uses, strict=True))
    }


def _believed(at: int, runs: Runs, use: Mask, found: Candidate) -> Believed:
    draws = Draws.of(found.posterior, _DRAWS, stream(0, "tournament", "posterior", runs.dataset))
    x = (runs.params[use], runs.tokens[use])
    one = Believed(at, use, x, found.fit, draws, found.kept)
    fitted = one.predict(x)
    rest = found.fit.fitted + found.fit.residuals - fitted
    rmse = float(np.sqrt(np.mean(rest**2)))
    return replace(one, fit=replace(found.fit, fitted=fitted, residuals=rest, rmse=rmse))
