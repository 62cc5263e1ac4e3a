"""Checks of tasks against guessing: wrong labels and wrong numbers of choices show there."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy.stats import norm

from scalebed.tables.lints.base import (
    NOTE,
    WARNING,
    Row,
    Tables,
    count_of,
    done_cells,
    finding,
    records,
)

# Probability of one false finding in the whole study; Bonferroni shares it among all tests.
_LEVEL = 0.01
# The largest models, by compute, are asked whether a task can be learnt at all.
_LARGEST = 10


def worse_than_guessing(tables: Tables, yardstick: str) -> Iterator[Row]:
    """Yield tasks that some models solve significantly worse than guessing would."""
    scores = _scores(tables)
    limit = _limit(len(scores))
    for task, group in scores.groupby("task", sort=True):
        below = group[group["z"] > limit]
        if below.empty:
            continue
        worst = records(below.nlargest(1, "z"))[0]
        message = (
            f"{len(below)} of {len(group)} models are worse than guessing beyond {limit:.1f} "
            f"standard errors: guessing errs on {worst['chance_error']:.4f} of the items, "
            f"{worst['cell']} on {worst['error']:.4f} of {worst['items']:.0f} (z = "
            f"{worst['z']:.1f}); labels or the number of choices may be wrong."
        )
        yield finding("worse_than_guessing", WARNING, None, str(task), message)


def never_above_guessing(tables: Tables, yardstick: str) -> Iterator[Row]:
    """Yield tasks on which not even the models with most compute beat guessing significantly."""
    scores = _scores(tables)
    scores = scores.sort_values(["task", "flops", "cell"]).groupby("task").tail(_LARGEST)
    limit = _limit(len(scores))
    for task, largest in scores.groupby("task", sort=True):
        best = records(largest.nsmallest(1, "error"))[0]
        if best["z"] >= -limit:
            message = (
                f"None of the {count_of(len(largest), 'model')} with most compute beats guessing "
                f"beyond {limit:.1f} standard errors: it errs on {best['chance_error']:.4f} of the "
                f"items, the best of them on {best['error']:.4f} of {best['items']:.0f}."
            )
            yield finding("never_above_guessing", NOTE, None, str(task), message)


def _limit(tests: int) -> float:
    return float(norm.isf(_LEVEL / max(tests, 1)))


def _scores(tables: Tables) -> pd.DataFrame:
    """Return the scores with z, the standard errors by which they are worse than guessing.

    The standard error is that of guessing, binomial in the items. A task without choices has no
    chance of success, so a single right answer is beyond it and no model can be worse.
    """
    cells = done_cells(tables)[["cell", "flops"]]
    scores = tables["tasks"].merge(cells, on="cell")
    scores = scores.dropna(subset=["error", "chance_error", "items"])
    scores = scores.astype({"error": "float64", "chance_error": "float64", "items": "float64"})
    scores = scores[scores["items"] > 0]
    chance = scores["chance_error"].to_numpy()
    error = scores["error"].to_numpy() - chance
    spread = np.sqrt(chance * (1 - chance) / scores["items"].to_numpy())
    certain = np.where(error == 0, 0.0, np.copysign(np.inf, error))
    z = np.where(spread > 0, error / np.where(spread > 0, spread, 1.0), certain)
    return scores.assign(z=z).sort_values(["task", "cell"])
