"""What an interval method is given, what it returns, and what all of them share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np

from scalebed.checks.intervals.design import Design
from scalebed.fit.options import Options
from scalebed.fit.refit import refit
from scalebed.fit.result import FitResult, fit_law
from scalebed.fit.sensitivity import sensitivity, unit
from scalebed.laws.forms.base import Array, Index, Inputs, Law
from scalebed.predict.draws import interval_of, scatter_factors
from scalebed.predict.scatter import Sigma, scatter_of, stream


@dataclass(frozen=True)
class Other:
    """Another data set: the runs the same design is fitted to, and runs it is not fitted to.

    `known` is the fit, where there is one already.
    """

    x: Inputs
    y: Array
    new: Inputs
    new_y: Array
    known: FitResult | None = None


@dataclass(frozen=True)
class Problem:
    """Points of a fit, and the runs to predict.

    Attributes
    ----------
    law : Law
    x : tuple of arrays (n,)
    y : array (n,)
    targets : tuple of arrays (m,)
        Inputs of the runs to predict.
    sigma : Sigma, optional
        Scatter of runs about the law from elsewhere, see `scalebed.predict.scatter.choose_sigma`;
        the fit's own residuals otherwise.
    others : tuple of Other
    evaluation : array (n,), optional
        Sampling errors of `y`.
    clusters : int array (n,), optional
        Which run each point belongs to.
    sizes : array (n,), optional
        Model sizes, for CV+; the first input otherwise.
    level : float
    draws, seed : int
    options : Options
    name : str
        Part of the random streams.
    known : FitResult, optional
        The fit, where there is one already.
    told : bool
        Whether `sigma` says what points of one run share.
    """

    law: Law
    x: Inputs
    y: Array
    targets: Inputs
    sigma: Sigma | None = None
    others: tuple[Other, ...] = ()
    evaluation: Array | None = None
    clusters: Index | None = None
    sizes: Array | None = None
    level: float = 0.9
    draws: int = 2000
    seed: int = 0
    options: Options = field(default_factory=Options)
    name: str = ""
    known: FitResult | None = None
    told: bool = False

    @cached_property
    def fit(self) -> FitResult:
        """The fit itself; raises FitRefusedError if the points cannot identify the law."""
        return self.known or fit_law(self.law, self.x, self.y, self.options)

    @cached_property
    def point(self) -> Array:
        """Prediction of every target, (m,)."""
        return self.fit.predict(*self.targets)

    @property
    def unit(self) -> Array:
        """Unit of scatter at the points: the fitted loss, or 1 for errors."""
        return unit(self.fit, self.fit.fitted)

    @property
    def ahead(self) -> Array:
        """Unit of scatter at the targets."""
        return unit(self.fit, self.point)

    @property
    def dof(self) -> int:
        """Degrees of freedom of the fit."""
        return self.fit.certificate.degrees_of_freedom

    @property
    def residuals(self) -> Array:
        """Residuals in units of scatter."""
        return self.fit.residuals / self.unit

    @property
    def own(self) -> Sigma:
        """Scatter from the residuals of the fit, a robust one if its objective is."""
        found = scatter_of(self.fit, np.zeros(1))
        value = np.sqrt(found.squares / (found.dof if found.dof > 0 else 1))
        return Sigma(float(value), found.dof, "this fit's own residuals", own=True)

    @property
    def groups(self) -> Array:
        """Model size of every point."""
        return self.x[0] if self.sizes is None else self.sizes

    @cached_property
    def other_scores(self) -> tuple[Array, Array]:
        """Absolute errors on the other data sets' runs, and their data sets, (k,) each."""
        scores, owner = [np.empty(0)], [np.empty(0)]
        for i, other in enumerate(self.others):
            fit = other.known or fit_law(self.law, other.x, other.y, self.options)
            ahead = fit.predict(*other.new)
            scores.append(np.abs(other.new_y - ahead) / unit(fit, ahead))
            owner.append(np.full(ahead.size, float(i)))
        return np.concatenate(scores), np.concatenate(owner)

    @cached_property
    def design(self) -> Design:
        """What decides which methods may be used."""
        distinct = len({tuple(row) for row in np.column_stack(self.x).tolist()})
        foreign = self.sigma is not None and not self.sigma.own
        return Design(
            points=self.y.size,
            parameters=len(self.law.parameters) - len(self.options.fixed),
            distinct=distinct,
            clusters=None if self.clusters is None else int(np.unique(self.clusters).size),
            sizes=int(np.unique(self.groups).size),
            others=len(self.others),
            others_dof=self.sigma.dof if foreign and self.sigma else 0.0,
            scores=sum(other.new_y.size for other in self.others),
            level=self.level,
            beyond=self._beyond(),
            evaluation=self.evaluation is not None,
            told=self.told,
        )

    def _beyond(self) -> bool:
        """Whether a target is further out, seen from the points, than the others' runs."""
        if not self.others:
            return False
        known = [
            np.max(np.sum(sensitivity(self.fit, self.x, other.new) ** 2, axis=1), initial=0.0)
            for other in self.others
        ]
        own = np.sum(sensitivity(self.fit, self.x, self.targets) ** 2, axis=1)
        return bool(np.max(own, initial=0.0) > 1.05 * max(known))

    def stream(self, *names: str) -> np.random.Generator:
        """Random numbers that depend on the seed and names alone."""
        return stream(self.seed, "interval", self.name, *names)

    def redrawn(self, about: Mapping[str, float], rows: int) -> dict[str, Array]:
        """Means of priors, which are points too, drawn about parameters, (rows,) each."""
        return {
            name: about[name] + prior.sd * self.stream("prior", name).standard_normal(rows)
            for name, prior in self.fit.options.priors.items()
        }

    def refit(
        self, y: Array, weights: Array | None = None, priors: Mapping[str, Array] | None = None
    ) -> Array:
        """Refit samples (rows, n), or the same points with other weights; theta (rows, p).

        Means of `priors` are drawn about the fit unless they are given, as samples are.
        """
        fit = self.fit
        found = refit(
            self.law,
            self.x,
            y,
            options=fit.options,
            weights=weights,
            start=fit.theta,
            domain=fit.domain,
            centres=self.redrawn(fit.parameters, len(y)) if priors is None else priors,
        )
        return found.theta

    @cached_property
    def codes(self) -> Index:
        """Code of the run of every point, from 0 on."""
        if self.clusters is None:
            return np.arange(self.y.size)
        return np.unique(self.clusters, return_inverse=True)[1]

    def leverage(self) -> Array:
        """Share of each point in its own fitted value, (n,)."""
        return np.clip(np.diag(sensitivity(self.fit, self.x, self.x)), 0.0, 1 - 1e-9)


@dataclass(frozen=True)
class Interval:
    """Limits for the targets.

    Attributes
    ----------
    method : str
    lower, upper : array (m,)
    theta : array (draws, p) or None
        Draws of the parameters, where the method has any.
    draws : array (draws, m) or None
        Draws of the predictions, with what the method says they contain.
    """

    method: str
    lower: Array
    upper: Array
    theta: Array | None = None
    draws: Array | None = None


class Method(Protocol):
    """One way to make an interval.

    Attributes
    ----------
    name, title
    contains
        What the interval contains, in one sentence.
    prediction
        Whether it is meant to contain a new run.
    """

    name: str
    title: str
    contains: str
    prediction: bool

    def status(self, design: Design) -> str:
        """Say ``valid``, ``conservative: why`` or ``not valid: why`` for a design."""
        ...

    def interval(self, problem: Problem) -> Interval:
        """Limits for the targets of a problem; raises ScalebedError where there can be none."""
        ...


def from_draws(name: str, problem: Problem, theta: Array, noise: Array) -> Interval:
    """Interval from refits, and the noise of the new runs, (draws, m) in units of scatter."""
    means = problem.law.predict(theta, problem.targets)
    draws = with_noise(problem, means, noise)
    lower, upper = interval_of(draws, problem.level)
    return Interval(name, lower, upper, theta, draws)


def with_noise(problem: Problem, means: Array, noise: Array) -> Array:
    """Add scatter to values of the law."""
    if problem.law.kind == "loss":
        scattered: Array = means * scatter_factors(noise)
    else:
        scattered = np.clip(means + noise, 0.0, 1.0)
    return scattered


def symmetric(name: str, problem: Problem, half: Array) -> Interval:
    """Interval of a half width in units of scatter about the prediction."""
    half = half * problem.ahead
    lower, upper = problem.point - half, problem.point + half
    if problem.law.kind != "loss":
        lower, upper = np.maximum(lower, 0.0), np.minimum(upper, 1.0)
    return Interval(name, lower, upper)
