"""Paired differences between entries, with a bootstrap over clusters of cells.

Data sets share their designs, runs of the same N and M deviate alike, and branches share what their
trunk is off, so what is resampled are the distinct (N, M), or the sizes that trunks join them to,
each with all of its predictions. All predictions of a split share its fits:
what the noise of the fitted runs does to the difference no resample shows, so it is added.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from scalebed.laws.forms.base import Array, Index, Mask

Draws = Array
"""How often each cluster is drawn, (draws, clusters)."""


@dataclass(frozen=True)
class Differences:
    """Weighted mean differences of rows of errors, each with an interval.

    Attributes
    ----------
    mean, lower, upper : array (rows,)
        Mean, and quantiles of its bootstrap.
    established : bool array (rows,)
        Whether the interval, widened for few clusters and few degrees of freedom, leaves out zero.
    """

    mean: Array
    lower: Array
    upper: Array
    established: Mask


class Shared(NamedTuple):
    """What the noise of the fitted runs does to mean differences.

    Attributes
    ----------
    sd : array (rows,)
        Root of the mean covariance of two clusters' differences over the redraws of the fitted
        runs, 0 if it is negative.
    dof : array (rows,)
        Degrees of freedom of the scatter they were redrawn with; with none, the deviation is
        unknown and nothing is established.
    """

    sd: Array
    dof: Array


def cluster_draws(clusters: int, draws: int, rng: np.random.Generator) -> Draws:
    """Resample clusters with replacement: counts, (draws, clusters)."""
    return rng.multinomial(clusters, np.full(clusters, 1 / clusters), draws).astype(float)


def shared_noise(
    errors: Array, redrawn: Array, row: int, weights: Array, clusters: Index, dof: Array
) -> Shared:
    """Deviation of the differences from one row over the redraws of the fitted runs.

    Parameters
    ----------
    errors : array (rows, targets)
        NaN where there is no prediction.
    redrawn : array (rows, draws, targets)
        The errors of laws fitted to redrawn runs.
    row : int
        Row that the others are compared with.
    weights : array (targets,)
    clusters : int array (targets,)
    dof : array (rows,)
        Degrees of freedom of the scatter of the fitted runs; of two rows the fewer count.

    Notes
    -----
    Let d be the differences of g clusters of equal weight and G their covariance over the redraws.
    The variance of their mean is the sum of G over g squared. The bootstrap over clusters expects
    (mean of the diagonal of G - mean of the rest of G) / g of it; what it lacks is the mean of the
    rest of G. Clusters of other weights count by the products of their weights.
    """
    indicator = (clusters[:, None] == np.arange(clusters.max() + 1)).astype(float)
    variance = np.full(len(errors), np.nan)
    for i, valid in enumerate(np.isfinite(errors - errors[row]) * weights):
        use = valid > 0
        if not use.any():
            continue
        rest = redrawn[i][:, use] - redrawn[row][:, use]
        shares = valid[use, None] * indicator[use] / valid.sum()
        moved = (rest - rest.mean(0)) @ shares
        total, own = moved.sum(1), (moved**2).sum(1)
        size = shares.sum(0)
        pairs = 1 - float(size @ size)
        between = float((total**2 - own).sum()) / (len(rest) - 1)
        variance[i] = max(between, 0.0) / pairs if pairs > 1e-12 else 0.0
    return Shared(np.sqrt(variance), np.minimum(dof, dof[row]))


def differences(
    errors: Array,
    against: Array,
    weights: Array,
    clusters: Index,
    draws: Draws,
    level: float,
    shared: Shared | None = None,
) -> Differences:
    """Compare rows of errors with one row, prediction by prediction.

    Parameters
    ----------
    errors : array (rows, targets)
        NaN where there is no prediction; such a target does not count for that row.
    against : array (targets,)
    weights : array (targets,)
        Weight of each prediction in the mean.
    clusters : int array (targets,)
        Number of each prediction's cluster.
    draws : array (draws, clusters)
        From `cluster_draws`.
    level : float
        Probability content of the interval.
    shared : Shared, optional
        What the fits that all predictions share add; none where the fits are taken as they are.

    Notes
    -----
    The percentile bootstrap of g clusters underestimates the spread by sqrt((g - 1) / g) and takes
    the tails for normal. For `established` its distances from the mean are stretched by
    sqrt(g / (g - 1)) and the ratio of Student's and the normal quantile. To the square of each
    distance that of the shared noise is added, its standard deviation times the normal quantile,
    and for `established` Student's.
    """
    from scipy.stats import norm, t

    count = draws.shape[1]
    rest = errors - against
    valid = np.isfinite(rest) * weights
    indicator = (clusters[:, None] == np.arange(count)).astype(float)
    sums, sizes = (np.where(valid > 0, rest, 0.0) * valid) @ indicator, valid @ indicator
    present = (sizes > 0).sum(1)
    tail = (1 - level) / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = sums.sum(1) / sizes.sum(1)
        sampled = (sums @ draws.T) / (sizes @ draws.T)
        stretch = t.isf(tail, np.maximum(present - 1, 1)) / norm.isf(tail)
        stretch = stretch * np.sqrt(present / np.maximum(present - 1, 1))
    ends = _quantiles(sampled, np.array([tail, 1 - tail]))
    below, above = mean - ends[0], ends[1] - mean
    if shared is None:
        shared = Shared(np.zeros(len(errors)), np.full(len(errors), np.inf))
    usual = norm.isf(tail) * shared.sd
    known = shared.dof > 0
    wide = t.isf(tail, np.where(known, shared.dof, 1.0)) * shared.sd
    low = mean - np.hypot(stretch * below, wide)
    high = mean + np.hypot(stretch * above, wide)
    established = known & (present > 1) & ((low > 0) | (high < 0))
    return Differences(
        mean, mean - np.hypot(below, usual), mean + np.hypot(above, usual), established
    )


def _quantiles(samples: Array, levels: Array) -> Array:
    """Quantiles along the last axis; NaN where a row has no sample, (levels, rows)."""
    result = np.full((levels.size, samples.shape[0]), np.nan)
    known = np.isfinite(samples)
    whole = known.all(1)
    if whole.any():
        result[:, whole] = np.quantile(samples[whole], levels, axis=1)
    for row in np.flatnonzero(~whole & known.any(1)):
        result[:, row] = np.quantile(samples[row, known[row]], levels)
    return result
