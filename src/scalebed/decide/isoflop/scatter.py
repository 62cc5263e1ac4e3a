"""Scatter about the parabolas of all budgets at once, where rows of one run go together.

    y = X b + e,   Cov e = s^2 R,   R = (1 - rho) I + rho S

with b the coefficients of all parabolas and S_ij = 1 where rows i and j are of one run
(checkpoints, at one budget or at several), one design (repeats) or one trunk. What the residuals r
say about rho is the restricted likelihood (Patterson and Thompson 1971). With Z the membership of
rows, M what takes the parabolas out, f = n - 3 budgets, and l, v the eigenvalues above zero and the
eigenvectors of Z'MZ, residuals have parts q^2 = (v'Z'r)^2 / l that groups share, and a rest:

    p(rho) ~ prod w_j^(-1/2) s(rho)^(-f/2),   w_j = 1 - rho + rho l_j, l_j = 0 for the rest
    s(rho) = sum q_j^2 / w_j + (r'r - sum q_j^2) / (1 - rho),   s^2 | rho ~ s(rho) / chi^2_f

on a grid of rho that is even in sqrt(1 - rho), which leans to much that is shared: of a run it is
most, and few runs do not show it. Each value is as likely beforehand, and s as 1/s. Coefficients
are least squares ones, so their covariance is s^2 B R B' with b = B y. Without any two rows that go
together this is the usual Student distribution.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from scalebed.decide.isoflop.parabola import Parabola
from scalebed.laws.forms.base import Array, Index

DRAWS: Final = 10_000
RHO: Final = 1 - np.linspace(1.0, 0.03, 100) ** 2
"""Shares of the variance that are tried."""
# Of an eigenvalue of Z'MZ, whose largest is at most the size of the largest group.
_ZERO: Final = 1e-9


class Scatter(NamedTuple):
    """What the residuals of all budgets say about the scatter of rows.

    Attributes
    ----------
    value : float
        Of one row, relative to the loss; the root mean square over rho.
    freedom : int
        Runs, designs or trunks that no parabola takes up: degrees of freedom of what they share.
    weights : array (k,)
        Of each rho.
    squares : array (k,)
        Sum of squares that s^2 is drawn from, at each rho.
    rows : int
        Degrees of freedom f of that sum.
    """

    value: float
    freedom: int
    weights: Array
    squares: Array
    rows: int


def scatter_of(parabolas: Sequence[Parabola], groups: Index) -> Scatter | None:
    """Compare the residuals within groups with those between them.

    Parameters
    ----------
    parabolas : sequence of Parabola
    groups : int array (n,)
        Codes of the rows of all parabolas, one after the other.

    Returns
    -------
    Scatter or None
        None where nothing is left that shows the scatter of groups.
    """
    freedom = groups.size - sum(one.coefficients.size for one in parabolas)
    if freedom == 0:
        return None
    total = float(sum(one.rest @ one.rest for one in parabolas))
    codes = np.unique(groups, return_inverse=True)[1]
    if codes.max() + 1 == groups.size:
        alike = np.full(RHO.size, 1 / RHO.size)
        value = float(np.sqrt(total / freedom))
        return Scatter(value, freedom, alike, np.full(RHO.size, total), freedom)
    values, parts = _shared(parabolas, codes)
    if not values.size:
        return None
    spread = 1 - RHO[:, None] * (1 - values)
    rest = max(total - float(parts.sum()), 0.0)
    squares = (parts / spread).sum(1) + rest / (1 - RHO)
    if not squares.min() > 0:
        return Scatter(0.0, values.size, np.eye(1, RHO.size)[0], np.zeros(RHO.size), freedom)
    log = -0.5 * np.log(spread).sum(1) - 0.5 * freedom * np.log(squares)
    log -= 0.5 * (freedom - values.size) * np.log1p(-RHO)
    weights = np.exp(log - log.max())
    weights /= weights.sum()
    value = float(np.sqrt(weights @ squares / freedom))
    return Scatter(value, values.size, weights, squares, freedom)


def _shared(parabolas: Sequence[Parabola], codes: Index) -> tuple[Array, Array]:
    """Return eigenvalues of Z'MZ above zero, and what residuals have along each, squared."""
    count = int(codes.max()) + 1
    inner, along = np.diag(np.bincount(codes).astype(np.float64)), np.zeros(count)
    start = 0
    for one in parabolas:
        inside = codes[start : start + one.rest.size]
        members = np.equal.outer(inside, np.arange(count)).astype(np.float64)
        inner -= (members.T @ one.design) @ (one.solver @ members)
        along += np.bincount(inside, one.rest, count)
        start += one.rest.size
    values, vectors = np.linalg.eigh((inner + inner.T) / 2)
    kept = values > _ZERO * np.bincount(codes).max()
    return values[kept], (vectors.T @ along)[kept] ** 2 / values[kept]


def drawn_vertices(
    parabolas: Sequence[Parabola], groups: Index, scatter: Scatter, draw: np.random.Generator
) -> list[Array]:
    """Draw ln N* of every budget, (draws,) each; NaN where a draw has no minimum.

    Parameters
    ----------
    parabolas : sequence of Parabola
    groups : int array (n,)
        See `scatter_of`.
    scatter : Scatter
        Of these parabolas.
    draw : numpy.random.Generator
    """
    at = draw.choice(RHO.size, DRAWS, p=scatter.weights)
    size = np.sqrt(scatter.squares[at] / draw.chisquare(scatter.rows, DRAWS))
    codes = np.unique(groups, return_inverse=True)[1]
    common = draw.standard_normal((DRAWS, int(codes.max()) + 1))
    alone, together = (size * np.sqrt(1 - RHO[at]))[:, None], (size * np.sqrt(RHO[at]))[:, None]
    found, start = [], 0
    for one in parabolas:
        inside = codes[start : start + one.rest.size]
        own = draw.standard_normal((DRAWS, one.rest.size))
        moved = (alone * own + together * common[:, inside]) @ one.solver.T
        found.append(one.vertices(one.coefficients + moved))
        start += one.rest.size
    return found
