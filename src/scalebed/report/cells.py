"""The cells of a study with their headline numbers, and whether these are in order."""

from typing import Any

import pandas as pd

from scalebed.tables.lints import losses
from scalebed.tables.lints.losses import Rise
from scalebed.tables.reader import StudyDatabase

_CELLS = """
SELECT c.*, l.loss, l.loss_sequences_lower, l.loss_sequences_upper, l.loss_tokens_lower,
       l.loss_tokens_upper, a.error, s.role, s.last_step
FROM cells c JOIN cell_status s USING (cell)
LEFT JOIN losses l ON l.cell = c.cell AND l.validation = $yardstick
LEFT JOIN (SELECT cell, avg(error) AS error FROM tasks WHERE in_average GROUP BY cell) a
    ON a.cell = c.cell
ORDER BY c.dataset, c.params, c.ratio, c.recipe, c.seed
"""


def cell_frame(study: StudyDatabase) -> pd.DataFrame:
    """Return one row per cell: the cells table, yardstick loss, mean error and role."""
    return study.frame(_CELLS, {"yardstick": study.yardstick})


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return rows as dictionaries, None where a value is missing."""
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]


def rises(cells: pd.DataFrame) -> tuple[list[Rise], int]:
    """Return where loss rises with N at fixed M or with M at fixed N, and the pairs compared."""
    finished = cells[cells["loss"].notna()]
    both = [losses.rises(finished, along) for along in ("N", "M")]
    return [rise for found, _ in both for rise in found], sum(compared for _, compared in both)


def spearman(cells: pd.DataFrame) -> tuple[float, int]:
    """Return Spearman's rank correlation of mean error and yardstick loss, and its n.

    NaN if fewer than three cells have both, or one of them does not vary.
    """
    both = cells[["loss", "error"]].dropna().rank()
    if len(both) < 3 or both["loss"].nunique() < 2 or both["error"].nunique() < 2:
        return float("nan"), len(both)
    return float(both["loss"].corr(both["error"])), len(both)
