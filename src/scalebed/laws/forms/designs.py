"""Refusals that the laws of N and D share."""

from __future__ import annotations

import numpy as np

from scalebed.laws.forms.base import Array, Index

# Token multipliers are whole numbers of steps, so cells of "one M" differ by a few per cent.
_ONE_RAY = 1.25
_ONE_SIZE = 1.05


def constant_in(params: Array, tokens: Array) -> str | None:
    """Name what all runs have in common, of N, D, M and C; None if they differ in all."""
    for name, values, most in (
        ("N", params, _ONE_SIZE),
        ("D", tokens, _ONE_SIZE),
        ("M", tokens / params, _ONE_RAY),
        ("C", params * tokens, _ONE_RAY),
    ):
        if np.max(values) / np.min(values) < most:
            return name
    return None


def design_refusal(params: Array, tokens: Array) -> str | None:
    """Say why runs at these N and D cannot tell a size term from a data term, or None."""
    constant = constant_in(params, tokens)
    if constant == "N":
        return f"no spread in N: every point has about {params[0]:.4g} parameters"
    if constant == "D":
        return f"no spread in D: every point has about {tokens[0]:.4g} tokens"
    if constant == "M":
        return (
            f"one ray of M: every point has about {np.median(tokens / params):.3g} tokens per "
            "parameter, so A and B cannot be told apart; add a point at another M"
        )
    return None


def levels(column: Array) -> Index:
    """Count the levels of the values; values within 5 % are one level."""
    order = np.argsort(column, kind="stable")
    ordered = column[order]
    result = np.empty(column.size, dtype=np.intp)
    start = level = 0
    while start < ordered.size:
        end = int(np.searchsorted(ordered, _ONE_SIZE * ordered[start], side="right"))
        result[order[start:end]] = level
        start, level = end, level + 1
    return result
