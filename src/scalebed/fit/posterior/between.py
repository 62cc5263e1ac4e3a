"""What the scatter of other data sets says about that of one: a hierarchy of their logarithms.

    log s_k ~ N(mu, omega^2),   mu ~ N(log scatter, scatter_sd^2),   omega ~ half normal

Each data set enters with the whole likelihood of its scatter, so one with few runs counts little.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from scalebed.fit.posterior.beliefs import Beliefs
from scalebed.laws.forms.base import Array

# Finer than the smallest omega, so that their mixture has no peaks of its own.
_MU = np.linspace(np.log(1e-4), np.log(0.2), 150)
_OMEGA = np.array([0.06, 0.12, 0.25, 0.5, 0.8, 1.2, 1.8])

LogDensity = Callable[[Array], Array]


@dataclass(frozen=True)
class Scatters:
    """Likelihood of the scatter of one data set.

    Attributes
    ----------
    log_scatter : array (k,)
        Ascending.
    log_likelihood : array (k,)
        Up to a constant; of the parameters of the law nothing is left in it.
    """

    log_scatter: Array
    log_likelihood: Array


def known_scatter(beliefs: Beliefs, others: Sequence[Scatters] = ()) -> LogDensity:
    """Log density of log s of a data set, given the other ones, up to a constant.

    Parameters
    ----------
    beliefs : Beliefs
    others : sequence of Scatters
        Of the other data sets, not of this one.
    """
    middle, width = np.log(beliefs.scatter), beliefs.scatter_sd
    if not others:
        return lambda at: -0.5 * ((at - middle) / width) ** 2
    weight = np.exp(-0.5 * ((_MU - middle) / width) ** 2)[:, None]
    weight = weight * np.exp(-0.5 * (_OMEGA / beliefs.between_sd) ** 2) * np.gradient(_OMEGA)
    for other in others:
        weight = weight * _agreement(other)
    weight = weight / weight.sum() / _OMEGA

    def density(at: Array) -> Array:
        found = _bell((at[:, None, None] - _MU[:, None]) / _OMEGA).reshape(at.size, -1)
        found = found @ weight.ravel()
        logarithm: Array = np.log(np.maximum(found, 1e-300))
        return logarithm

    return density


def _agreement(other: Scatters) -> Array:
    """Likelihood of (mu, omega) from one data set, (mu, omega)."""
    at = np.linspace(np.log(1e-5), np.log(0.5), 400)
    found = np.interp(at, other.log_scatter, other.log_likelihood, left=-np.inf, right=-np.inf)
    likelihood = np.exp(found - other.log_likelihood.max())
    off = (at - _MU[:, None, None]) / _OMEGA[:, None]
    density = _bell(off) / _OMEGA[:, None]
    agreement: Array = density @ likelihood
    return agreement


def _bell(off: Array) -> Array:
    """exp(-off^2 / 2)."""
    from scalebed.fit.solvers.kernels import nodes

    return nodes.exponential(-0.5 * off * off)


def likelihood(parts: Sequence[tuple[Array, Array]]) -> Scatters:
    """Likelihood of the scatter from parts that lie on grids of their own.

    Parameters
    ----------
    parts : sequence of pairs of arrays (levels,)
        Logarithm of the scatter, and of the likelihood there.
    """
    low, high = min(own[0] for own, _ in parts), max(own[-1] for own, _ in parts)
    at = np.linspace(low, high, 3 * parts[0][0].size)
    found = np.full(at.size, -np.inf)
    for own, values in parts:
        found = np.logaddexp(found, np.interp(at, own, values, left=-np.inf, right=-np.inf))
    return Scatters(at, found - found.max())


def joined(whole: Scatters, closer: Scatters) -> Scatters:
    """Join the likelihood over the whole range with the finer one where the mass is."""
    outside = (whole.log_scatter < closer.log_scatter[0]) | (
        whole.log_scatter > closer.log_scatter[-1]
    )
    # The two differ by a constant; where the finer one is highest they agree.
    middle = closer.log_scatter[int(np.argmax(closer.log_likelihood))]
    shift = np.interp(middle, whole.log_scatter, whole.log_likelihood)
    at = np.concatenate([whole.log_scatter[outside], closer.log_scatter])
    values = np.concatenate([whole.log_likelihood[outside] - shift, closer.log_likelihood])
    order = np.argsort(at)
    return Scatters(at[order], values[order])
