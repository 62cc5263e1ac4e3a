"""Data frames of a study that figures and explorations share.

Columns: ``params`` N, ``tokens`` D, ``M`` the nominal token multiplier D/N, ``flops`` C = 6ND,
``loss`` and ``error`` as measured, ``predicted_loss`` and so on with the interval.
"""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from scalebed.laws import get_law
from scalebed.laws.forms.base import Law
from scalebed.tables.reader import StudyDatabase

_POINTS = """
WITH average AS (
    SELECT cell, avg(error) AS error, sqrt(sum(error_stderr ** 2)) / count(*) AS error_stderr,
           avg(chance_error) AS chance_error
    FROM tasks WHERE in_average GROUP BY cell
),
loss_predictions AS (SELECT * FROM predictions WHERE kind = 'loss' AND response = $yardstick),
error_predictions AS (SELECT * FROM predictions WHERE kind = 'error' AND response = 'average')
SELECT c.dataset, c.size, c.ratio AS M, c.status, c.params, c.tokens,
       c.flops, c.fit_loss, c.fit_error, c.target,
       CASE WHEN c.target THEN 'target' WHEN c.fit_loss THEN 'fit' ELSE 'held out' END AS role,
       CASE WHEN c.target THEN 'target' WHEN c.fit_error THEN 'fit' ELSE 'held out' END
           AS error_role,
       l.loss, a.error, a.error_stderr, a.chance_error,
       lp.predicted AS predicted_loss, lp.lower AS loss_lower, lp.upper AS loss_upper,
       ep.predicted AS predicted_error, ep.lower AS error_lower, ep.upper AS error_upper
FROM cells c
LEFT JOIN losses l ON l.cell = c.cell AND l.validation = $yardstick
LEFT JOIN average a ON a.cell = c.cell
LEFT JOIN loss_predictions lp ON lp.cell = c.cell
LEFT JOIN error_predictions ep ON ep.cell = c.cell
ORDER BY c.dataset, c.params, c.ratio, c.cell
"""

_FITTED = """
SELECT f.dataset, f.law, f.fit, p.parameter, p.value
FROM {beside}fits f JOIN {beside}fit_parameters p USING (fit)
WHERE f.kind = ? AND f.response = ? AND f.status = 'fitted' AND p.value IS NOT NULL
ORDER BY f.dataset
"""


class FittedLaw(NamedTuple):
    """A law with its parameters, `theta` in the law's own order."""

    law: Law
    theta: np.ndarray


def points(study: StudyDatabase) -> pd.DataFrame:
    """Return one row per cell with what was measured and predicted of it."""
    return study.frame(_POINTS, {"yardstick": study.yardstick})


def fitted_laws(study: StudyDatabase, kind: str, beside: bool = False) -> dict[str, FittedLaw]:
    """Return the fitted law of the yardstick loss or of the average error, by data set.

    With `beside` that of the fit beside the usual one, where the study has one.
    """
    beside = beside and bool(study.rows("SELECT 1 FROM beside_fits LIMIT 1"))
    query = _FITTED.format(beside="beside_" if beside else "")
    response = study.yardstick if kind == "loss" else "average"
    values: dict[tuple[str, str], dict[str, Any]] = {}
    for row in study.rows(query, [kind, response]):
        values.setdefault((row["dataset"], row["law"]), {})[row["parameter"]] = row["value"]
    laws = {}
    for (dataset, name), found in values.items():
        law = get_law(name, ("error", "direct") if kind == "error" else kind)
        laws[dataset] = FittedLaw(law, np.array([found[p.name] for p in law.parameters]))
    return laws
