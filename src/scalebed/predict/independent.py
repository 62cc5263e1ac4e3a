"""How many independent runs or designs stand behind the points of a fit."""

from __future__ import annotations

import numpy as np

from scalebed.laws.forms.base import Index


def independent(unit: Index | None, design: Index | None, points: int) -> int:
    """Count groups of points that share a unit or a design, joined transitively.

    Parameters
    ----------
    unit, design : int array (points,) or None
        Codes that are not negative, equal for points of one run and of one design; None where
        every point has its own.
    points : int
    """
    codes = [np.unique(code, return_inverse=True)[1] for code in (unit, design) if code is not None]
    # Codes that are all different join nothing.
    joined = [code for code in codes if code.max(initial=-1) + 1 < points]
    if not joined:
        return points
    if len(joined) == 1:
        return int(joined[0].max()) + 1
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    units, designs = joined
    first, second = int(units.max()) + 1, int(designs.max()) + 1
    edges = coo_array((np.ones(points), (units, first + designs)), shape=(first + second,) * 2)
    return int(connected_components(edges, directed=False)[0])
