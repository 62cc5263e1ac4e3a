"""What several figures draw alike."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from scalebed.tables.frames import FittedLaw


def iso_ratio_curve(fitted: FittedLaw, M: float, flops: np.ndarray) -> np.ndarray:
    """Return the loss along a line of constant M, from N = sqrt(C / 6M) and D = M N."""
    N = np.sqrt(flops / (6 * M))
    return fitted.law.predict(fitted.theta, (N, M * N))


def panel_names(datasets: pd.Series, laws: Mapping[str, FittedLaw]) -> pd.Series:
    """Return the heading of each row's panel: the data set, and whether it has no law."""
    return datasets.map(lambda name: name if name in laws else f"{name} (no law fitted)")
