"""General checks of the data of a study: what looks wrong or odd, in one sentence each.

Nothing is changed or dropped, and no check knows a study, run, task or data set by name.
"""

from collections.abc import Callable, Iterator

from scalebed.tables.lints.arguments import (
    batch_implausible,
    samples_contradict_tokens,
    sources_disagree,
)
from scalebed.tables.lints.base import Row, Tables
from scalebed.tables.lints.cells import (
    compute_overflows,
    evaluations_missing,
    params_contradict_shape,
    recorded_late,
)
from scalebed.tables.lints.losses import loss_rises_with_params, loss_rises_with_tokens
from scalebed.tables.lints.tasks import never_above_guessing, worse_than_guessing

Check = Callable[[Tables, str], Iterator[Row]]

CHECKS: tuple[Check, ...] = (
    sources_disagree,
    batch_implausible,
    samples_contradict_tokens,
    params_contradict_shape,
    evaluations_missing,
    loss_rises_with_tokens,
    loss_rises_with_params,
    worse_than_guessing,
    never_above_guessing,
    recorded_late,
    compute_overflows,
)


def lint(tables: Tables, yardstick: str) -> list[Row]:
    """Run every check.

    Parameters
    ----------
    tables
        The tables ``cells``, ``losses``, ``tasks`` and ``arguments`` of a study.
    yardstick
        The validation set whose loss is expected to fall with parameters and tokens.

    Returns
    -------
    list of dict
        Rows of the table ``lints``: check by check in the order of `CHECKS`, and within a check
        by cell, task or source.
    """
    return [row for check in CHECKS for row in check(tables, yardstick)]
