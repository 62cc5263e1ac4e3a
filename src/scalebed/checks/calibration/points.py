"""Some of the runs of a data set: what a fit takes of them, and how many are independent."""

from __future__ import annotations

import numpy as np

from scalebed.laws.forms.base import Array, Index, Inputs, Mask
from scalebed.predict.runs import Runs


def take(x: Inputs, use: Mask) -> Inputs:
    """Return some rows of all inputs."""
    return tuple(column[use] for column in x)


def known(errors: Array) -> Array | None:
    """Return the sampling errors, if all of them are known."""
    return errors if np.all(np.isfinite(errors) & (errors > 0)) else None


def clusters(runs: Runs, used: Mask) -> Index | None:
    """Return the trunks of some runs, if several branch off one."""
    if runs.trunk is None or units(runs, used) == np.count_nonzero(used):
        return None
    return runs.trunk[used]


def units(runs: Runs, used: Mask) -> int:
    """Count the trunks of some runs; without trunks, the runs."""
    return np.unique(np.flatnonzero(used) if runs.trunk is None else runs.trunk[used]).size
