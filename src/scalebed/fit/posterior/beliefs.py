"""What is believed of a loss law before its runs are seen."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Beliefs:
    """Priors of L = E + A N^-alpha + B D^-beta and of the scatter of runs about it.

    E and the two terms in the middle of the runs are uniform above 0.

    Attributes
    ----------
    alpha, alpha_sd : float
        Normal; published exponents lie in 0.2 .. 0.75, most of them in 0.25 .. 0.4.
    tie_sd : float
        Of log(beta / alpha), normal about 0: the exponents are alike, not equal.
    scatter, scatter_sd : float
        Median of the standard deviation of a run about the law, relative to its loss, and the
        standard deviation of its logarithm.
    single : float
        Probability that runs of one size have nothing in common but the law; else the ratio of the
        variance they share to their own is one of `shared`, all alike.
    shared : tuple of float
    shared_most : float
        What runs of one size share is hardly ever larger than this, relative to the loss.
    repeats : tuple of float
        Ratios, all alike, of the variance of repeats (rows of one design or one run) to what they
        share.
    between_sd : float
        Of the logarithm of the scatter between data sets: half normal.
    """

    alpha: float = 0.3
    alpha_sd: float = 0.15
    tie_sd: float = 0.3
    scatter: float = 0.008
    scatter_sd: float = 1.0
    single: float = 0.5
    shared: tuple[float, ...] = (0.5, 2.0, 8.0, 32.0, 128.0)
    shared_most: float = 0.03
    repeats: tuple[float, ...] = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
    between_sd: float = 0.8
