"""Compute-optimal runs of the laws that fall with ``A N^-alpha + B D^-beta``."""

from __future__ import annotations

import numpy as np

from scalebed.laws.forms.base import Array, ComputeOptimal


def balanced(
    log_size: Array, log_data: Array, alpha: Array, beta: Array, flops: Array
) -> ComputeOptimal:
    """N* and D* that minimise A N^-alpha + B D^-beta at C = 6 N D.

    Hoffmann et al., arXiv 2203.15556, Eq. 4: with G = (alpha A / (beta B))^(1 / (alpha + beta)),
    N* = G (C / 6)^(beta / (alpha + beta)) and D* = C / (6 N*).

    Parameters
    ----------
    log_size, log_data : array
        Logarithms of A and B; -inf where a weight is 0.
    alpha, beta : array
    flops : array
        C.
    """
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        compute = np.log(np.asarray(flops, dtype=float) / 6)
        total = np.log(alpha) - np.log(beta) + log_size - log_data + beta * compute
        log_params = total / (alpha + beta)
        return ComputeOptimal(np.exp(log_params), np.exp(compute - log_params))
