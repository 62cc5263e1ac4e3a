"""Rows of equal design: the same data set, N and D."""

from __future__ import annotations

from typing import Final

import numpy as np

from scalebed.laws.forms.base import Array, Index

NEAR: Final = 1e-6
"""Relative difference up to which N or D are equal."""


def near_codes(values: Array) -> Index:
    """Int codes of values, in their order, that are equal to within 1e-6; NaN equals nothing."""
    order = np.argsort(values, kind="stable")
    found = values[order]
    new = np.ones(values.size, dtype=bool)
    with np.errstate(invalid="ignore"):
        new[1:] = ~(found[1:] - found[:-1] <= NEAR * found[:-1])
    codes = np.empty(values.size, dtype=np.int64)
    codes[order] = np.cumsum(new) - 1
    return codes


def design_codes(sets: Index, params: Array, tokens: Array) -> Index:
    """Int codes of equal (data set, N, D), the numbers to within 1e-6.

    Parameters
    ----------
    sets : int array (n,)
        Codes of data sets.
    params, tokens : array (n,)
    """
    codes = np.arange(sets.size)
    sizes = near_codes(params)
    at = np.flatnonzero(np.bincount(sizes)[sizes] > 1)  # the others are alone already
    order = at[np.lexsort((tokens[at], sizes[at], sets[at]))]
    last, this = order[:-1], order[1:]
    new = np.ones(order.size, dtype=bool)
    new[1:] = (sets[last] != sets[this]) | (sizes[last] != sizes[this])
    with np.errstate(invalid="ignore"):
        new[1:] |= ~(tokens[this] - tokens[last] <= NEAR * tokens[last])
    codes[order] = order[new][np.cumsum(new) - 1]
    return codes
