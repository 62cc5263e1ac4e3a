"""Bootstrap intervals of a mean loss over sequences and over tokens.

Percentile intervals from resamples with replacement (Efron & Tibshirani 1993, chapter 13), as in
the paper's data files, which give both. Over tokens the resampling treats neighbouring tokens as
independent and is narrower than it should be; over sequences it keeps their dependence.
"""

import numpy as np

_BINS = 256


def interval(means: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Return the central interval that holds a share `level` of resampled means."""
    tail = (1 - level) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)


def resample_sequences(
    sums: np.ndarray, counts: np.ndarray, resamples: int, rng: np.random.Generator
) -> np.ndarray:
    """Return the token-mean loss of each resample of whole sequences.

    Parameters
    ----------
    sums
        Summed loss of each sequence in nats, shape (n,).
    counts
        Tokens of each sequence, shape (n,).
    resamples
        Number of resamples.
    rng
        Source of randomness.

    Returns
    -------
    numpy.ndarray
        Shape (resamples,): ratio of resampled sums, sum of losses / sum of tokens.
    """
    n = len(sums)
    means = np.empty(resamples)
    block = max(1, 4_000_000 // n)  # at most 32 MB of indices at a time
    for start in range(0, resamples, block):
        drawn = rng.integers(n, size=(min(block, resamples - start), n))
        means[start : start + block] = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    return means


def resample_tokens(losses: np.ndarray, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Return the mean loss of each resample of single tokens, without drawing n numbers for each.

    The sorted losses are cut into bins of (nearly) equal count. How many of n draws with
    replacement fall into each bin is multinomial and drawn as such, so the shape of the loss
    distribution is kept. The sum of the draws within a bin is replaced by a normal with the bin's
    mean and variance, so that mean and variance of the resampled mean are exactly those of the
    ordinary bootstrap, s²/n with s² the variance of the losses. With at most `_BINS` distinct
    losses nothing is approximated.

    Parameters
    ----------
    losses
        Loss of each token in nats, shape (n,).
    resamples
        Number of resamples.
    rng
        Source of randomness.
    """
    n = len(losses)
    ordered = np.sort(losses)
    edges = np.unique(np.linspace(0, n, min(_BINS, n) + 1).astype(np.int64))
    sizes = np.diff(edges)
    means = np.add.reduceat(ordered, edges[:-1]) / sizes
    centred = ordered - np.repeat(means, sizes)
    variances = np.add.reduceat(centred**2, edges[:-1]) / sizes
    counts = rng.multinomial(n, sizes / n, size=resamples)
    spread = np.sqrt(counts @ variances)
    return (counts @ means + spread * rng.standard_normal(resamples)) / n
