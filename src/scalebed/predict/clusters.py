"""Scatter about a law where branches of a trunk, or repeats, go together.

Residuals r_gi of n points in G groups are split by one-way analysis of variance with random effects
(Searle, Casella and McCulloch 1992, chapter 3): with SSW about the means of groups and SSB between
them, s_w^2 = SSW/(n - G), MSB = SSB/(G - p) for a law of p parameters, which are taken from the
means, and s_b^2 = max(0, (MSB - s_w^2)/m) with m the size of a group. The variance of a point is
s_b^2 + s_w^2; its degrees of freedom are those of Satterthwaite (1946).
"""

from __future__ import annotations

import numpy as np

from scalebed.fit.result import FitResult
from scalebed.fit.sensitivity import unit
from scalebed.laws.forms.base import Array, Index
from scalebed.predict.scatter import Sigma


def clustered(sigma: Sigma, fit: FitResult, sampling: Array, groups: Index) -> Sigma | None:
    """Return the scatter of a fit about its law with the part that groups share.

    Parameters
    ----------
    sigma : Sigma
        The scatter from the same residuals, taken for independent.
    fit : FitResult
    sampling : array (n,)
        Sampling errors of the values.
    groups : int array (n,)
        Codes from 0 on, equal for points that go together.

    Returns
    -------
    Sigma or None
        `shared` is the part of the lack of fit, measurement left out, that groups share. None if
        the groups leave no degree of freedom between them or within.
    """
    residuals = fit.residuals / unit(fit, fit.fitted)
    points, count = residuals.size, int(groups.max()) + 1
    between, within = count - len(fit.law.parameters), points - count
    if between < 1 or within < 1:
        return None
    sizes = np.bincount(groups)
    means = np.bincount(groups, residuals) / sizes
    own = float(np.sum((residuals - means[groups]) ** 2)) / within
    each = (points - float(np.sum(sizes**2)) / points) / (count - 1)
    over = float(np.sum(sizes * means**2)) / between / each
    common = max(over - own / each, 0.0)
    if not common:
        return sigma
    variance = common + own
    dof = variance**2 / (over**2 / between + ((1 - 1 / each) * own) ** 2 / within)
    rest = max(variance - float(np.mean(sampling**2)), common)
    where = f"this fit's own residuals, {common / rest:.0%} of their variance shared by groups"
    where += f" such as trunks, {dof:.3g} degrees of freedom"
    return Sigma(float(np.sqrt(rest)), dof, where, own=True, shared=common / rest)
