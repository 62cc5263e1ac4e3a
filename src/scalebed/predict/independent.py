"""How many independent runs or designs stand behind the points of a fit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scalebed.laws.forms.base import Index


def independent(codes: Sequence[Index], points: int) -> int:
    """Count groups of points that share a run, a design or a trunk, joined transitively.

    Parameters
    ----------
    codes : sequence of int arrays (points,)
        Each is equal for points of one run, or of one design, or of one trunk.
    points : int
    """
    return int(joined(codes, points).max(initial=-1)) + 1


def joined(codes: Sequence[Index], points: int) -> Index:
    """Codes from 0 on, (points,), equal for points that share any of some codes, transitively.

    Parameters
    ----------
    codes : sequence of int arrays (points,)
    points : int
    """
    kinds = [np.unique(code, return_inverse=True)[1] for code in codes]
    # Codes that are all different join nothing.
    kinds = [kind for kind in kinds if kind.max(initial=-1) + 1 < points]
    if not kinds:
        return np.arange(points)
    if len(kinds) == 1:
        return kinds[0]
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    starts = points + np.cumsum([0, *(int(kind.max()) + 1 for kind in kinds)])
    ends = np.concatenate([kind + start for kind, start in zip(kinds, starts, strict=False)])
    rows = np.tile(np.arange(points), len(kinds))
    edges = coo_array((np.ones(rows.size), (rows, ends)), shape=(int(starts[-1]),) * 2)
    found: Index = connected_components(edges, directed=False)[1][:points]
    return np.unique(found, return_inverse=True)[1]
