"""Draws from a density of which only the logarithm is known, by emcee's walkers.

They move by differential evolution (ter Braak 2006, Statistics and Computing 16, 239): each along
the difference of two others, so that steps have the shape of what is drawn from and nothing has to
be tuned.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from scalebed.laws.forms.base import Array

_JUMP: Final = 0.1
"""Share of the steps that take the whole difference, from one top of the density to another."""


def walk(
    log_density: Callable[[Array], Array],
    start: Array,
    steps: tuple[int, int, int],
    rng: np.random.Generator,
) -> Array:
    """Return draws, (kept, walkers, d).

    Parameters
    ----------
    log_density : callable
        From (n, d) to (n,); minus infinity where nothing is possible.
    start : array (walkers, d)
        At least one of them possible.
    steps : (int, int, int)
        Steps that are forgotten, draws to keep of each walker, and steps between them.
    rng : numpy.random.Generator
    """
    # It imports scipy.stats, which takes half a second.
    from emcee import EnsembleSampler
    from emcee.moves import DEMove

    forgotten, kept, apart = steps
    moves = [(DEMove(), 1 - _JUMP), (DEMove(gamma0=1.0), _JUMP)]
    sampler = EnsembleSampler(*start.shape, log_density, moves=moves, vectorize=True)
    sampler.random_state = np.random.RandomState(rng.integers(2**32)).get_state()
    state = sampler.run_mcmc(_possible(start, log_density(start), rng), forgotten, store=False)
    sampler.run_mcmc(state, kept, thin_by=apart, skip_initial_state_check=True)
    found: Array = sampler.get_chain()
    return found


def _possible(start: Array, known: Array, rng: np.random.Generator) -> Array:
    """Put walkers that stand where nothing is possible to others."""
    fine = np.flatnonzero(np.isfinite(known))
    chosen = np.where(np.isfinite(known), np.arange(known.size), rng.choice(fine, known.size))
    return start[chosen]
