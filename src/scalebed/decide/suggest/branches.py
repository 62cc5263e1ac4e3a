"""What a run costs that branches off a trunk: the lengthening of the trunk, and its cool-down.

A run of D tokens leaves the trunk of its size at (1 - f) D tokens. The trunk goes on from the
latest state it has: that of the longest run D' <= D on it. So the run costs

    6 N (D - (1 - f) D'),

and 6 N D where there is no such run. Repeats of a run have seeds of their own, and trunks: the k-th
repeat goes on from runs that were made k times and once more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from scalebed.decide.suggest.designs import Cost, Run, same

_NEAR: Final = np.log(1.1)
"""Largest difference of logarithms between amounts that differ by rounding, as in `same`."""


def branching(cooldown: float) -> Cost:
    """Return the cost of a run as a branch of a trunk that cools down over a share of its steps."""

    def cost(run: Run, existing: Sequence[Run]) -> float:
        seed = int(same(run, existing).sum())
        mates = [
            one.tokens
            for one in existing
            if _one_trunk(run, one)
            and one.tokens <= run.tokens
            and int(same(one, existing).sum()) > seed
        ]
        return 6 * run.params * (run.tokens - (1 - cooldown) * max(mates, default=0.0))

    return cost


def _one_trunk(run: Run, other: Run) -> bool:
    """Whether two runs have the size and the data of one trunk, whatever their tokens."""
    if abs(np.log(run.params / other.params)) >= _NEAR:
        return False
    fresh = [one.unique_tokens > one.tokens / 1.1 for one in (run, other)]
    near = abs(np.log(run.unique_tokens / other.unique_tokens)) < _NEAR
    return all(fresh) or bool(not any(fresh) and near)
