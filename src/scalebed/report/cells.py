"""The cells of a study with their headline numbers, and whether these are in order."""

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import pandas as pd

from scalebed.tables.reader import StudyDatabase

_CELLS = """
SELECT c.*, l.loss, l.loss_sequences_lower AS loss_lower, l.loss_sequences_upper AS loss_upper,
       a.error, s.role, s.last_step
FROM cells c JOIN cell_status s USING (cell)
LEFT JOIN losses l ON l.cell = c.cell AND l.validation = $yardstick
LEFT JOIN (SELECT cell, avg(error) AS error FROM tasks WHERE in_average GROUP BY cell) a
    ON a.cell = c.cell
ORDER BY c.dataset, c.params, c.ratio, c.recipe, c.seed
"""


class Rise(NamedTuple):
    """Two neighbouring cells of which the larger one has the higher loss.

    Attributes
    ----------
    along
        ``"N"`` (M fixed) or ``"M"`` (N fixed).
    better, worse
        The cheaper cell with the lower loss and the dearer one with the higher.
    noise
        Whether their evaluation intervals overlap.
    """

    along: str
    better: dict[str, Any]
    worse: dict[str, Any]
    noise: bool


def cell_frame(study: StudyDatabase) -> pd.DataFrame:
    """Return one row per cell: the cells table, yardstick loss, mean error and role."""
    return study.frame(_CELLS, {"yardstick": study.yardstick})


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return rows as dictionaries, None where a value is missing."""
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]


def comparisons(cells: pd.DataFrame, along: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield neighbouring finished cells along N at fixed M, or along M at fixed N."""
    fixed, moving = (["ratio"], "params") if along == "N" else (["size"], "ratio")
    finished = cells[cells["loss"].notna()]
    for _, group in finished.groupby(["dataset", "recipe", "seed", *fixed]):
        rows = records(group.sort_values(moving))
        for first, second in itertools.pairwise(rows):
            if second[moving] > first[moving]:
                yield first, second


def rises(cells: pd.DataFrame) -> tuple[list[Rise], int]:
    """Return where loss rises with N at fixed M or with M at fixed N, and the pairs compared."""
    found, compared = [], 0
    for along in ("N", "M"):
        for first, second in comparisons(cells, along):
            compared += 1
            if second["loss"] >= first["loss"]:
                noise = second["loss_lower"] <= first["loss_upper"]
                found.append(Rise(along, first, second, bool(noise)))
    return found, compared


def spearman(cells: pd.DataFrame) -> tuple[float, int]:
    """Return Spearman's rank correlation of mean error and yardstick loss, and its n.

    NaN if fewer than three cells have both, or one of them does not vary.
    """
    both = cells[["loss", "error"]].dropna().rank()
    if len(both) < 3 or both["loss"].nunique() < 2 or both["error"].nunique() < 2:
        return float("nan"), len(both)
    return float(both["loss"].corr(both["error"])), len(both)
