"""Which tasks an average takes in, by how far small models beat chance, and what that changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from scalebed.fit.result import FitRefusedError, fit_law
from scalebed.laws.decay import Decay
from scalebed.laws.forms.base import Array, Inputs, Law, Mask, Parameter


class _Uncapped(Decay):
    """The error law without the bound eps <= 1, which binds when few tasks are left."""

    name = "uncapped decay"
    parameters: tuple[Parameter, ...] = (
        Decay.parameters[0]._replace(upper=np.inf),
        *Decay.parameters[1:],
    )

    def predict(self, theta: Array, x: Inputs) -> Array:
        """Error, which may leave 0 .. 1."""
        top, weight, rate = (theta[..., i, None] for i in range(3))
        result: Array = top - weight * np.exp(-rate * x[0])
        return result


class Threshold(NamedTuple):
    """The averaged error at one threshold.

    Attributes
    ----------
    threshold
        A task is kept if some reference model beats chance by more than this, as a fraction.
    kept
        Number of tasks kept.
    predicted, measured
        Averaged error of the target; NaN where nothing is kept or the fit is refused.
    """

    threshold: float
    kept: int
    predicted: float
    measured: float

    @property
    def relative_error(self) -> float:
        """Return |predicted - measured| / measured."""
        return abs(self.predicted / self.measured - 1)


def best_gain(error: Array, chance: Array) -> Array:
    """Return the best gain over chance of each task: error (models, tasks), chance (tasks,)."""
    gain: Array = np.max(chance - error, axis=0)
    return gain


def sweep(
    gain: Array,
    thresholds: Sequence[float],
    fit: tuple[Array, Array],
    target: tuple[float, Array],
    capped: bool = True,
) -> list[Threshold]:
    """Fit the averaged error anew at every threshold and predict one target.

    Parameters
    ----------
    gain : array (tasks,)
        See `best_gain`.
    thresholds : sequence of float
        In the units of `gain`.
    fit : (array (n,), array (n, tasks))
        Measured loss and task errors of the fit cells.
    target : (float, array (tasks,))
        Predicted loss and measured task errors of the target.
    capped : bool
        Whether the error law obeys eps <= 1; the published numbers were made without.
    """
    law = Decay() if capped else _Uncapped()
    found: dict[tuple[bool, ...], tuple[float, float]] = {}
    result = []
    for value in thresholds:
        # One part in 1e9: a gain that equals the threshold does not pass by rounding.
        kept: Mask = gain > value + 1e-9
        key = tuple(kept.tolist())
        if key not in found:
            found[key] = _predict(kept, fit, target, law)
        result.append(Threshold(float(value), int(kept.sum()), *found[key]))
    return result


def _predict(
    kept: Mask, fit: tuple[Array, Array], target: tuple[float, Array], law: Law
) -> tuple[float, float]:
    if not kept.any():
        return float("nan"), float("nan")
    measured = float(target[1][kept].mean())
    try:
        fitted = fit_law(law, (fit[0],), fit[1][:, kept].mean(1))
    except FitRefusedError:
        return float("nan"), measured
    return float(fitted.predict(np.array([target[0]]))[0]), measured
