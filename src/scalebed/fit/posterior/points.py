"""The runs a posterior is computed from, and what they have in common beside the law."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Final

import numpy as np
from scipy.optimize import nnls

from scalebed.laws.forms.base import Array, Index, Mask

_SAME_SIZE: Final = 1.1
"""Sizes are rounded to whole layers: those closer than this are one."""
_ROUND: Final = (0.15, 0.3, 0.5)
_ENOUGH: Final = 2000


@dataclass(frozen=True)
class Points:
    """Runs of one data set.

    Attributes
    ----------
    params, tokens, loss : array (n,)
    groups : tuple of int arrays (n,)
        Which rows share more than their size: trunks, runs, designs. Rows with the same code do.
    """

    params: Array
    tokens: Array
    loss: Array
    groups: tuple[Index, ...] = ()

    @cached_property
    def guess(self) -> Array:
        """A smooth guess of the loss of every row, (n,): a law with round exponents."""
        few = slice(None, None, max(self.loss.size // _ENOUGH, 1))
        best, found = np.inf, self.loss
        for alpha, beta in product(_ROUND, repeat=2):
            terms = [
                (self.params / self.params[0]) ** -alpha,
                (self.tokens / self.tokens[0]) ** -beta,
            ]
            columns = np.stack([np.ones(self.loss.size), *terms], axis=1)
            theta, _ = nnls(columns[few], self.loss[few])
            value: Array = columns @ theta
            off = float(np.sum(np.log(value / self.loss) ** 2))
            if off < best:
                best, found = off, value
        return found

    def take(self, use: Mask) -> Points:
        """Return some of the rows."""
        groups = tuple(group[use] for group in self.groups)
        return Points(self.params[use], self.tokens[use], self.loss[use], groups)

    @property
    def sizes(self) -> Index:
        """Code of the size of every row."""
        return size_codes(self.params)[0]

    @property
    def kinds(self) -> dict[int, Index]:
        """Groups that say something, from the coarsest to the finest, each once.

        By their place in `groups`, with codes from 0 on.
        """
        found: dict[int, Index] = {}
        for place, group in enumerate(self.groups):
            codes = np.unique(group, return_inverse=True)[1]
            count = int(codes.max(initial=-1)) + 1
            if count == codes.size or any(same_partition(codes, o) for o in found.values()):
                continue
            found[place] = codes
        return dict(sorted(found.items(), key=lambda item: int(item[1].max())))

    @property
    def shared(self) -> list[Index]:
        """Codes of `kinds`."""
        return list(self.kinds.values())


def size_codes(params: Array, new: Array | None = None) -> tuple[Index, Index]:
    """Code sizes, equal where they differ by rounding only.

    Parameters
    ----------
    params : array (n,)
    new : array (m,), optional
        Further sizes; those not among `params` get codes from n on.

    Returns
    -------
    (n,) and (m,)
    """
    new = np.empty(0) if new is None else new
    order = np.argsort(params, kind="stable")
    steps = np.log(params[order])
    codes = np.empty(params.size, dtype=np.intp)
    start, code = 0, 0
    # From the smallest on: neighbours alone would join a row of many sizes into one.
    while start < params.size:
        stop = int(np.searchsorted(steps, steps[start] + np.log(_SAME_SIZE), side="right"))
        codes[order[start:stop]] = code
        start, code = stop, code + 1
    others = np.arange(new.size) + params.size
    if params.size:
        ratio = np.abs(np.log(new)[:, None] - np.log(params)[None, :])
        nearest = ratio.argmin(1)
        near = ratio[np.arange(new.size), nearest] <= np.log(_SAME_SIZE)
        others = np.where(near, codes[nearest], others)
    return codes, others


def same_partition(one: Index, other: Index) -> bool:
    """Whether two codings are the same partition."""
    pairs = np.unique(np.stack([one, other]), axis=1).shape[1]
    return pairs == int(one.max()) + 1 == int(other.max()) + 1
