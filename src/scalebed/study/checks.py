"""Names of what a study may measure about itself, in the order of the report."""

from typing import Literal, get_args

Check = Literal["decisions", "calibration", "tournament", "contrasts", "reliability"]
"""A check is the folder of that name in `scalebed.checks`, and nothing else."""

CHECKS: tuple[str, ...] = get_args(Check)
