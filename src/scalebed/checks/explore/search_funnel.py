"""The power law L = E + s C^-eta through the kept runs of a search, with a bootstrap band."""

from typing import Any

import numpy as np

from scalebed.checks.explore.constant_ratio import Ray, fit_ray
from scalebed.laws.forms.base import Array
from scalebed.tables.declared.columns import Table, number
from scalebed.tables.reader import StudyDatabase

TABLE = Table(
    "search_funnel",
    "The power law of the kept runs of a search over compute.",
    ("flops",),
    (
        number("flops", "C", "FLOPs"),
        number("fit", "Loss by the law", "nats/token", nullable=True),
        number("low", "Lower end of 90 % of the bootstrap", "nats/token", nullable=True),
        number("high", "Upper end of it", "nats/token", nullable=True),
    ),
)
_KEPT = """
SELECT flops, loss FROM search WHERE loss IS NOT NULL AND kept ORDER BY flops, configuration
"""
# Three parameters need more than three distinct runs.
_LEAST_RUNS = 4
_POINTS = 60


def rows(study: StudyDatabase, options: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of the table; none with too few kept runs.

    `max_loss` leaves runs out, `reach` is the compute up to which the law is wanted.
    """
    kept = study.frame(_KEPT)
    if options["max_loss"]:
        kept = kept[kept["loss"] <= options["max_loss"]]
    if len(kept) < _LEAST_RUNS:
        return []
    flops, loss = kept["flops"].to_numpy(), kept["loss"].to_numpy()
    grid = np.geomspace(flops.min(), max(flops.max(), options["reach"]), _POINTS)
    rng = np.random.default_rng(options["seed"])
    index = rng.integers(0, loss.size, (options["draws"], loss.size))
    index = index[[len(set(row)) >= _LEAST_RUNS for row in index.tolist()]]
    fit = _at(fit_ray(flops, loss), grid)[0]
    low = high = np.full(grid.size, np.nan)
    if len(index):
        low, high = np.quantile(_at(fit_ray(flops[index], loss[index]), grid), [0.05, 0.95], axis=0)
    columns = zip(grid.tolist(), fit.tolist(), low.tolist(), high.tolist(), strict=True)
    return [dict(zip(TABLE.names, values, strict=True)) for values in columns]


def _at(ray: Ray, flops: Array) -> Array:
    result: Array = ray.floor[:, None] + ray.scale[:, None] * flops ** -ray.eta[:, None]
    return result
