"""A fitted law of one data set with its draws, and what a way to draw is given and returns.

`scalebed.predict.build` makes stages. A way to draw is a function from a `Request` to `Drawn`, in a
module of its own: `scalebed.predict.bootstrap`, `scalebed.predict.large`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from scalebed.fit.influence import Influence
from scalebed.fit.options import Options
from scalebed.fit.result import LEAST_SCATTER, FitResult, fit_law
from scalebed.fit.sensitivity import unit
from scalebed.laws.forms.base import Array, Index, Inputs, Law, Mask
from scalebed.predict.evidence import Evidence
from scalebed.predict.runs import Runs
from scalebed.predict.scatter import Sigma
from scalebed.predict.settings import Settings


@dataclass(frozen=True)
class Stage:
    """A fitted law of one data set with its draws; `fit` is None when it was refused.

    Attributes
    ----------
    dataset, response : str
    law : str
    fit : FitResult or None
    reason : str or None
        Why it was refused.
    points : int
        Points offered to the fit.
    used : bool array (n,)
        Cells of the fit among the runs.
    independent : int
        Independent runs or designs among the points.
    sigma : Sigma or None
    theta : array (draws, p) or None
        Parameters of every draw.
    method : str
        How they were drawn, in words.
    point : array (n,)
        Prediction for every run; None for an error law whose loss law was refused.
    fit_draws, draws : array (draws, n) or None
        Predictions of every draw without and with the noise of the new run.
    sampling : float
        Sampling error assumed for a new measurement.
    factors : array (draws, n) or None
        What the measured losses are multiplied with in each draw (loss laws).
    parts : dict of array (n,)
        Standard deviation of a prediction from each source alone, see `scalebed.predict.draws`.
    doubts : tuple of str or None
        Why the numbers may be wrong, where the way to draw says it; see `Drawn.doubts`.
    evidence : Evidence or None
        What the data say of the law; None where it was not asked.
    clustered : bool
        Whether `sigma` and the draws know which points go together.
    influence : Influence or None
        How much each point decides, where the way to draw says it.
    """

    dataset: str
    response: str
    law: str
    fit: FitResult | None
    reason: str | None
    points: int
    used: Mask
    independent: int
    sigma: Sigma | None = None
    theta: Array | None = None
    method: str = ""
    point: Array | None = None
    fit_draws: Array | None = None
    draws: Array | None = None
    sampling: float = 0.0
    factors: Array | None = None
    parts: dict[str, Array] = field(default_factory=dict)
    doubts: tuple[str, ...] | None = None
    evidence: Evidence | None = None
    clustered: bool = False
    influence: Influence | None = None


@dataclass(frozen=True)
class Measured:
    """Measured values of one response, and how a law is fitted to them.

    Attributes
    ----------
    law : Law
    x : tuple of arrays (n,)
    y, sampling : array (n,)
        Values and their sampling errors; NaN where unknown.
    options : Options
    weights : array (n,), optional
    """

    law: Law
    x: Inputs
    y: Array
    sampling: Array
    options: Options
    weights: Array | None = None

    @property
    def known(self) -> Mask:
        """Runs of which the value and every input is known."""
        return finite((self.y, *self.x))

    @property
    def apart(self) -> Array:
        """Sampling errors that are no part of the scatter: the scatter of losses has them in it."""
        return np.zeros(self.y.size) if self.law.kind == "loss" else self.sampling

    def take(self, use: Mask) -> Measured:
        """Return some of the runs."""
        x = tuple(column[use] for column in self.x)
        return replace(self, x=x, y=self.y[use], sampling=self.sampling[use])

    def fit(self) -> FitResult:
        """Fit the law; raises FitRefusedError if the values cannot identify it."""
        return fit_law(self.law, self.x, self.y, self.options, self.weights)

    def against(self, fit: FitResult, sigma: Sigma | None) -> Measured:
        """Weigh priors against the scatter of others, where the fit cannot tell its own."""
        if sigma is None or sigma.own or not self.options.open:
            return self
        scatter = float(np.hypot(sigma.value, np.sqrt(np.mean(self.apart**2))))
        if self.law.kind != "loss":
            scatter /= float(np.sqrt(np.mean(self.y**2)))
        options = replace(self.options, scatter=max(scatter, LEAST_SCATTER))
        return replace(self, options=options)

    def weighted(self, fit: FitResult, sigma: Sigma | None) -> Measured:
        """Weigh each value by one over the variance of its measurement and scatter together."""
        scatter = (sigma.value if sigma else 0.0) * unit(fit, fit.fitted)
        variance = scatter**2 + np.nan_to_num(self.sampling) ** 2
        if not np.all(variance > 0):
            return self
        scale = np.exp(np.mean(np.log(variance)))
        return replace(self, weights=scale / variance)


@dataclass(frozen=True)
class Request:
    """What a way to draw the parameters of a fit is given.

    Attributes
    ----------
    runs : Runs
        All runs of the data set, of which `used` were fitted to.
    response, kind : str
        The kind is ``loss`` or ``error``; both belong into the names of random streams.
    measured : Measured
        What the law was fitted to.
    fit : FitResult
    scale : array (draws, 1) or None
        Sigma of every draw; None where nothing tells the scatter of runs.
    loss : Stage or None
        Loss law of the data set that was drawn before (error laws).
    draws, seed : int
    groups : int array (points,), optional
        Codes from 0 on, equal for points that go together.
    shared : float
        Part of the variance of the scatter that these share.
    """

    runs: Runs
    response: str
    kind: str
    used: Mask
    measured: Measured
    fit: FitResult
    scale: Array | None
    loss: Stage | None
    draws: int
    seed: int
    groups: Index | None = None
    shared: float = 0.0


@dataclass(frozen=True)
class Drawn:
    """What a way to draw returns: see `Stage.theta`, `Stage.method` and `Stage.factors`."""

    theta: Array
    method: str
    factors: Array | None = None
    deviations: Array | None = None
    """Of every run from the law of each draw, relative to it, (draws, n), where the way draws them
    itself."""
    sigma: Sigma | None = None
    """What it found the scatter to be."""
    doubts: tuple[str, ...] | None = None
    """Why the numbers may be wrong; the certificate of the fit says it otherwise."""
    evidence: Evidence | None = None
    """What the data say of the law; without it every size is predicted from the smaller ones."""
    influence: Influence | None = None
    """How much each point decides; without it the law is linearised about the fit."""


class Carried(NamedTuple):
    """One law of one data set with all runs it was carried to; errors have their loss law beside.

    The kind is ``loss`` or ``error``.
    """

    runs: Runs
    stage: Stage
    kind: str
    loss: Stage | None


Way = Callable[[Request], Drawn | None]
"""A way to draw; None says that there is nothing to draw from, and the stage has no draws."""


def inputs(law: Law, runs: Runs, response: str, settings: Settings) -> Inputs:
    """Return the inputs of a law for all runs; ``loss`` is the measured one."""
    return tuple(runs.column(name, response, settings.loss) for name in law.inputs)


def finite(columns: Inputs) -> Mask:
    """Return the runs of which every column is known."""
    known: Mask = np.all([np.isfinite(column) for column in columns], axis=0)
    return known


def chained(law: Law) -> bool:
    """Whether the law takes the loss that another law predicts."""
    return "loss" in law.inputs


def ahead(law: Law, x: Inputs, loss: Array | None) -> Inputs:
    """Replace the loss by a predicted one, where it is an input."""
    pairs = zip(law.inputs, x, strict=True)
    return tuple(loss if name == "loss" and loss is not None else c for name, c in pairs)
