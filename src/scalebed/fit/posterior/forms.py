"""Posterior of loss laws of other forms, from what is believed of the softly tied law.

The laws are those with the terms a = A N^-alpha and b = B D^-beta, each the loss above the floor
where the other input is no limit: `tied`, `chinchilla`, `kaplan` and `gamma`. Beliefs are those of
`scalebed.fit.posterior.beliefs` (E and the terms in the middle of the runs uniform above 0, alpha
normal, log(beta / alpha) normal), and log gamma is uniform. Draws of the normal approximation will
not do: where runs span little the floor and the exponents make up for each other along a curve, and
a straight line through it leaves the runs at once.

Deviations are those of `scalebed.fit.posterior.grid`, over the covariances that carry most of the
posterior of the softly tied law. The scatter is integrated out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from scipy.special import logsumexp

from scalebed.fit.posterior.beliefs import Beliefs
from scalebed.fit.posterior.between import known_scatter
from scalebed.fit.posterior.boxes import EXPONENTS
from scalebed.fit.posterior.covariance import Covariance, Products
from scalebed.fit.posterior.draw import Draws
from scalebed.fit.posterior.grid import Posterior
from scalebed.fit.posterior.walkers import walk
from scalebed.laws.forms.base import Array, Inputs, Law, Mask

FORMS: Final = ("tied", "chinchilla", "gamma", "kaplan")
_WALKERS: Final = 100
_FORGOTTEN, _APART = 300, 10
_BETA, _GAMMA = 4, 5
_OWN: Final = np.linspace(np.log(1e-6), np.log(0.5), 400)
_SQUARES: Final = np.linspace(np.log(1e-12), np.log(1e4), 600)[:, None]
"""Logarithms of the scatter of a row alone, and of the mean square of deviations."""
_NEGLIGIBLE: Final = 0.05


@dataclass(frozen=True)
class Likelihood:
    """Likelihood of any law of some runs, scatter and what runs share integrated out.

    Attributes
    ----------
    posterior : Posterior
        Of the softly tied law, of the same runs.
    beliefs : Beliefs
        It was computed with.
    """

    posterior: Posterior
    beliefs: Beliefs

    def log(self, law: Law, theta: Array) -> Array:
        """Logarithm of it, up to a constant that is the same for all laws.

        Parameters
        ----------
        law : Law
            Of params and tokens.
        theta : array (n, p)

        Returns
        -------
        array (n,)
        """
        points = self.posterior.points
        x: Inputs = (points.params, points.tokens)
        return self._deviating((points.loss - law.value(theta, x)) / points.guess)

    @cached_property
    def _parts(self) -> list[tuple[Covariance, Array]]:
        """Covariances, and the likelihood of the logarithm of a mean square under each.

        The scatter is integrated out; squares are relative to the covariance.
        """
        count, mass = self.posterior.points.loss.size, self.posterior.mass.sum((1, 2))
        known, off = known_scatter(self.beliefs), 0.5 * count * np.exp(_SQUARES - 2 * _OWN)
        found = []
        for part, share in zip(self.posterior.parts, mass, strict=True):
            one = part.covariance
            if share < _NEGLIGIBLE * mass.max():
                continue
            level = _OWN - 0.5 * np.log(one.own)
            fixed = one.log_prior - 0.5 * one.log_determinant - count * level
            shared = 0.5 * one.size_share * np.exp(2 * level) / self.beliefs.shared_most**2
            squares = off * one.own
            found.append((one, logsumexp(fixed + known(level) - shared - squares, axis=1)))
        return found

    def _deviating(self, rest: Array) -> Array:
        """Logarithm of the likelihood of relative deviations, (n, rows)."""
        sums = {}
        found = []
        for one, table in self._parts:
            if id(one.groups) not in sums:
                sums[id(one.groups)] = Products.of(one.groups, rest.T)
            squares = np.diag(one.gram(sums[id(one.groups)])) / rest.shape[1]
            found.append(np.interp(np.log(squares), _SQUARES[:, 0], table))
        return logsumexp(found, axis=0)


def draw_form(law: Law, likelihood: Likelihood, draws: int, rng: np.random.Generator) -> Array:
    """Draws of the parameters, (draws, p).

    Parameters
    ----------
    law : Law
        One of `FORMS`.
    likelihood : Likelihood
    draws : int
    rng : numpy.random.Generator
    """
    form = _Form(law, likelihood)
    steps = (_FORGOTTEN, -(-draws // _WALKERS), _APART)
    found = walk(form.log_density, form.start(rng), steps, rng)
    return form.theta(found.reshape(-1, found.shape[-1])[:draws])


@dataclass(frozen=True)
class _Form:
    """A law in coordinates that the runs know almost one by one.

    They are the loss in the middle of the runs, log(alpha a), log(beta b), log alpha, log beta and
    log gamma, with a and b in the middle: the first three are height and slopes there.
    """

    law: Law
    likelihood: Likelihood

    @cached_property
    def _middle(self) -> tuple[Array, Array]:
        size, data = self.likelihood.posterior.middle
        return np.array([size]), np.array([data])

    def theta(self, at: Array) -> Array:
        """Parameters of the law, (n, p), of coordinates (n, p)."""
        size, data = self.likelihood.posterior.middle
        alpha, beta = np.exp(at[:, 3]), np.exp(at[:, _BETA if at.shape[1] > _BETA else 3])
        found = np.concatenate([np.zeros((len(at), 3)), np.exp(at[:, 3:])], axis=1)
        found[:, 1] = np.exp(at[:, 1]) / alpha * size**alpha
        found[:, 2] = np.exp(at[:, 2]) / beta * data**beta
        found[:, 0] = at[:, 0] - self.law.value(found, self._middle)[:, 0]
        return found

    def start(self, rng: np.random.Generator) -> Array:
        """Coordinates of walkers: draws of the softly tied law, whose form is near."""
        theta = Draws.of(self.likelihood.posterior, _WALKERS, rng).theta
        size, data = self.likelihood.posterior.middle
        floor, above, below, alpha, beta = theta.T
        above, below = above * size**-alpha, below * data**-beta
        columns = [floor + above + below, np.log(alpha * above), np.log(beta * below)]
        columns += [np.log(alpha), np.log(beta), 0.3 * rng.standard_normal(_WALKERS)]
        return np.stack(columns[: len(self.law.parameters)], axis=1)

    def log_density(self, at: Array) -> Array:
        """Logarithm of the posterior density in the coordinates, (n,), up to a constant."""
        inside = self._inside(at)
        # What cannot be is computed in the place of something that can, and never read.
        theta = self.theta(np.where(inside[:, None], at, 0.0))
        with np.errstate(all="ignore"):
            found = self.likelihood.log(self.law, theta) + self._prior(at)
        possible = inside & (theta[:, 0] >= 0) & np.isfinite(found)
        return np.where(possible, found, -np.inf)

    def _inside(self, at: Array) -> Mask:
        """Whether exponents and gamma lie within their limits."""
        limits = [EXPONENTS] * (at.shape[1] - 3)
        limits[_GAMMA - 3 :] = [(one.lower, one.upper) for one in self.law.parameters[_GAMMA:]]
        low, high = np.log(limits).T
        found: Mask = np.all((at[:, 3:] > low) & (at[:, 3:] < high), axis=1)
        return found

    def _prior(self, at: Array) -> Array:
        """Logarithm of the beliefs, with the volume of the coordinates.

        E, a, b are uniform: dE da db = a b times d of the first three. Alpha is normal, and its
        d alpha = alpha d log alpha; log beta is normal about it.
        """
        beliefs = self.likelihood.beliefs
        found: Array = -0.5 * ((np.exp(at[:, 3]) - beliefs.alpha) / beliefs.alpha_sd) ** 2
        found = found + at[:, 1] + at[:, 2]
        if at.shape[1] > _BETA:
            found -= 0.5 * ((at[:, _BETA] - at[:, 3]) / beliefs.tie_sd) ** 2 + at[:, _BETA]
        else:
            found -= at[:, 3]
        return found
