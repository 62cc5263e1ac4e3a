"""Draws from a density of which only the logarithm is known, by walkers that learn from each other.

Differential evolution (ter Braak 2006, Statistics and Computing 16, 239): a walker is moved along
the difference of two others, so that steps have the shape of what is drawn from and nothing has to
be tuned. Walkers move in halves, each along differences within the other half, which leaves the
density as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from scalebed.laws.forms.base import Array

_USUAL: Final = 2.38
"""Over sqrt(2 d): the length that mixes best where the density is normal (ter Braak 2006)."""
_SPREAD: Final = 0.3
_JUMP: Final = 10
"""Every so many steps the whole difference is taken, from one top of the density to another."""
_FINE: Final = 1e-6


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
        An even number, at least one of them possible.
    steps : (int, int, int)
        Steps that are forgotten, draws to keep of each walker, and steps between them.
    rng : numpy.random.Generator
    """
    forgotten, kept, apart = steps
    at, known = _possible(start, log_density(start), rng)
    half, size = len(at) // 2, at.shape[1]
    found = []
    for step in range(forgotten + kept * apart):
        order = rng.permutation(len(at))
        for mine, others in ((order[:half], order[half:]), (order[half:], order[:half])):
            one = rng.integers(half, size=half)
            other = (one + 1 + rng.integers(half - 1, size=half)) % half
            length = _USUAL / np.sqrt(2 * size) * np.exp(_SPREAD * rng.standard_normal((half, 1)))
            if step % _JUMP == 0:
                length = np.ones((half, 1))
            moved = at[mine] + length * (at[others[one]] - at[others[other]])
            moved += _FINE * rng.standard_normal(moved.shape)
            new = log_density(moved)
            taken = np.log(rng.random(half)) < new - known[mine]
            at[mine[taken]], known[mine[taken]] = moved[taken], new[taken]
        if step >= forgotten and (step - forgotten) % apart == apart - 1:
            found.append(at.copy())
    return np.array(found)


def _possible(start: Array, known: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Put walkers that stand where nothing is possible to others."""
    fine = np.flatnonzero(np.isfinite(known))
    chosen = np.where(np.isfinite(known), np.arange(known.size), rng.choice(fine, known.size))
    return start[chosen].copy(), known[chosen].copy()
