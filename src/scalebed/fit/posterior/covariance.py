"""How the scatter of runs is shared: covariances of the form d I + Z L Z', with groups in Z.

A row's deviation from the law is the sum of what its groups share and its own part. Every
covariance is scaled so that a row has variance 1; the standard deviation of a run is a factor
outside.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from scalebed.fit.posterior.beliefs import Beliefs
from scalebed.fit.posterior.points import Points, same_partition, size_codes
from scalebed.laws.forms.base import Array, Index, Mask

SIZE = -1
"""Stands for the sizes where kinds go by their place in `Points.groups`."""
_MOST_SIZES = 300
"""More groups than that share nothing beside the first kind of groups, for the sake of time."""


@dataclass(frozen=True)
class Groups:
    """The kinds of groups of some rows.

    Attributes
    ----------
    fine : int array (n,) or None
        The kind with most groups, whose covariance is diagonal by group.
    others : tuple of int arrays (n,)
        Further kinds.
    """

    rows: int
    fine: Index | None
    others: tuple[Index, ...]

    @cached_property
    def indicator(self) -> Array:
        """Z of `others`, (n, groups)."""
        parts = [np.eye(int(codes.max()) + 1)[codes] for codes in self.others]
        return np.concatenate(parts, axis=1) if parts else np.zeros((self.rows, 0))

    @cached_property
    def counts(self) -> Array:
        """Rows of every fine group."""
        return np.bincount(self.fine).astype(float) if self.fine is not None else np.empty(0)

    @cached_property
    def crossed(self) -> Array:
        """Rows that each fine group has in each other group, (fine, groups)."""
        return self.sum_fine(self.indicator)

    def sum_fine(self, columns: Array) -> Array:
        """Sum columns over the rows of each fine group, (fine, k)."""
        if self.fine is None:
            return np.empty((0, columns.shape[1]))
        order = np.argsort(self.fine, kind="stable")
        starts = np.searchsorted(self.fine[order], np.arange(self.counts.size))
        found: Array = np.add.reduceat(columns[order], starts, axis=0)
        return found


@dataclass(frozen=True)
class Products:
    """Sums over rows that every covariance needs of the same columns W, (n, k)."""

    groups: Groups
    square: Array
    fine: Array
    others: Array

    @classmethod
    def of(cls, groups: Groups, columns: Array) -> Products:
        """Compute them."""
        return cls(
            groups, columns.T @ columns, groups.sum_fine(columns), groups.indicator.T @ columns
        )


@dataclass(frozen=True)
class Covariance:
    """One covariance of the rows.

    Attributes
    ----------
    groups : Groups
    own : float
        Variance of a row alone, d.
    fine : float
        Variance shared in a fine group.
    others : array (groups,)
        Variance shared in each of the other groups.
    size_share : float
        Part of the variance that runs of one size share.
    log_prior : float
    """

    groups: Groups
    own: float
    fine: float
    others: Array
    size_share: float
    log_prior: float
    kinds: tuple[tuple[int, float], ...] = ()
    """Place in `Points.groups` of each kind but the sizes, and the variance its groups share."""

    @property
    def whole(self) -> Array:
        """All of it, (n, n)."""
        z = self.groups.indicator
        found: Array = (z * self.others) @ z.T + self.own * np.eye(self.groups.rows)
        if self.groups.fine is not None:
            found += self.fine * (self.groups.fine[:, None] == self.groups.fine[None])
        return found

    def common(self, rows: Points) -> float:
        """Variance of the mean of rows of one size that were not fitted, a row having 1."""
        count = rows.loss.size
        found = self.size_share + self.own / count
        for place, part in self.kinds:
            size = np.unique(rows.groups[place], return_counts=True)[1]
            found += part * float(size @ size) / count**2
        return found

    def alike(self, same: Mapping[int, Mask]) -> Array | None:
        """Covariance of rows with new ones, (n, m), from `together`; None if they share nothing."""
        parts = [(SIZE, self.size_share), *self.kinds]
        found = [part * same[place] for place, part in parts if place in same and part > 0]
        return np.sum(found, axis=0) if found else None

    @cached_property
    def _shrink(self) -> Array:
        """Take out of the sum over a fine group, (fine,)."""
        return self.fine / (self.own + self.fine * self.groups.counts)

    @cached_property
    def _inner(self) -> tuple[Array, bool]:
        """Cholesky factor of 1 / L + Z' B^-1 Z for the other groups, B the rest."""
        z, crossed = self.groups.indicator, self.groups.crossed
        inside = (z.T @ z - crossed.T @ (self._shrink[:, None] * crossed)) / self.own
        inside[np.diag_indices_from(inside)] += 1 / self.others
        factor: tuple[Array, bool] = cho_factor(inside, lower=True)
        return factor

    @cached_property
    def log_determinant(self) -> float:
        """Of the whole covariance."""
        rest = self.groups.counts * self.fine / self.own
        found = self.groups.rows * np.log(self.own) + np.log1p(rest).sum()
        if self.others.size:
            found += 2 * np.log(np.diag(self._inner[0])).sum() + np.log(self.others).sum()
        return float(found)

    def gram(self, sums: Products) -> Array:
        """W' R^-1 W, (k, k) (Woodbury's identity, twice)."""
        pulled = self._shrink[:, None] * sums.fine
        square = (sums.square - sums.fine.T @ pulled) / self.own
        if self.others.size:
            other = (sums.others - self.groups.crossed.T @ pulled) / self.own
            square = square - other.T @ cho_solve(self._inner, other)
        return square

    def solve(self, columns: Array) -> Array:
        """R^-1 V, (n, k)."""
        found = self._without(columns)
        if self.others.size:
            z = self.groups.indicator
            found = found - self._without(z) @ cho_solve(self._inner, z.T @ found)
        return found

    def _without(self, columns: Array) -> Array:
        """B^-1 V: as if the other groups shared nothing."""
        if self.groups.fine is None:
            return columns / self.own
        pulled = self._shrink[:, None] * self.groups.sum_fine(columns)
        return (columns - pulled[self.groups.fine]) / self.own


def together(rows: Points, new: Points) -> dict[int, Mask]:
    """Pairs of a row and a new one that are of one size or group, (n, m), by `SIZE` and place.

    The codes of groups mean the same in both; kinds that `new` lacks, or that no pair shares, are
    left out.
    """
    sizes, asked = size_codes(rows.params, new.params)
    found = {SIZE: sizes[:, None] == asked[None, :]}
    for place, (own, other) in enumerate(zip(rows.groups, new.groups, strict=False)):
        found[place] = own[:, None] == other[None, :]
    return {place: same for place, same in found.items() if same.any()}


def covariances(points: Points, beliefs: Beliefs) -> Iterator[Covariance]:
    """Every covariance the beliefs allow for these rows, with its prior probability."""
    known, sizes = points.kinds, points.sizes
    shared = list(known.values())
    count = int(sizes.max()) + 1
    by_size = 1 < count < sizes.size and count <= _MOST_SIZES
    by_size &= not any(same_partition(sizes, codes) for codes in shared)
    place_of = [
        place for place, codes in known.items() if codes is shared[-1] or codes.max() < _MOST_SIZES
    ]
    kinds = [known[place] for place in place_of]
    ratios = beliefs.repeats if len(kinds) < 2 else beliefs.repeats[1::2]
    each = (1 - beliefs.single) / max(len(beliefs.shared), 1)
    sized = ((0.0, beliefs.single), *((ratio, each) for ratio in beliefs.shared))
    layouts = {True: _layout(points, kinds, sizes), False: _layout(points, kinds, None)}
    for own in product(ratios, repeat=len(kinds)):
        for ratio, chance in sized if by_size else ((0.0, 1.0),):
            # The coarsest kind has variance 1, the finer ones and the rows follow.
            variances = [1.0, *own]
            total = sum(variances) + ratio
            prior = np.log(chance) - len(kinds) * np.log(len(ratios))
            groups, place = layouts[ratio > 0]
            parts: dict[int | str, float] = {k: v / total for k, v in enumerate(variances[:-1])}
            parts["size"] = ratio / total
            others = [np.full(int(codes.max()) + 1, parts[name]) for name, codes in place]
            shares = (parts[kind] for kind in range(len(kinds)))
            yield Covariance(
                groups,
                variances[-1] / total,
                parts.get(len(kinds) - 1, 0.0),
                np.concatenate([np.empty(0), *others]),
                ratio / total,
                float(prior),
                tuple(zip(place_of, shares, strict=True)),
            )


def _layout(
    points: Points, kinds: list[Index], sizes: Index | None
) -> tuple[Groups, list[tuple[int | str, Index]]]:
    """Arrange the groups of the rows; which kinds are the other ones."""
    place: list[tuple[int | str, Index]] = list(enumerate(kinds[:-1]))
    if sizes is not None:
        place.append(("size", sizes))
    fine = kinds[-1] if kinds else None
    return Groups(points.loss.size, fine, tuple(codes for _, codes in place)), place
