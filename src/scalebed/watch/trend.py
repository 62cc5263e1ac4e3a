"""A number of a run predicted from that of others: a few simple forms in ln N and ln M together."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from scipy.special import ndtri, stdtrit

from scalebed.core.errors import ScalebedError
from scalebed.laws.forms.base import Array

NEAREST: Final = 3
_FORMS: Final = {"the mean": (), "ln N": (0,), "ln M": (1,), "ln N and ln M": (0, 1)}


class Ratio(NamedTuple):
    """ln(loss at f / final response) of a run, predicted: a normal.

    Attributes
    ----------
    value, sd : float
        For one new run; `sd` is that of the normal with the interval of Student's t.
    words : str
        How it was found.
    sampling : float
        Mean relative variance of the windows of the ladder, part of `sd`.
    """

    value: float
    sd: float
    words: str
    sampling: float = 0.0


class _Form(NamedTuple):
    """One way to predict y of one more row.

    Attributes
    ----------
    name : str
    without : float
        Root mean square of the error at each row, predicted from the others.
    value, sd : float
        As in `Ratio`.
    """

    name: str
    without: float
    value: float
    sd: float


def regress(x: Array, y: Array, target: Array, level: float, noise: float = 0.0) -> Ratio:
    """Predict y of one more row: the mean over a few forms, which of them is right is not known.

    A form weighs (root mean square of its errors at rows it does not see)^-n, a normal likelihood;
    that the forms disagree about the row is part of the error.

    Parameters
    ----------
    x : array (n, 2)
    y : array (n,)
    target : array (2,)
    level : float
    noise : float
        Variance of a row that is known, below which no scatter can be.

    Raises
    ------
    ScalebedError
        If no form can be fitted.
    """
    forms = [_regression(name, axes, x, y, target, level, noise) for name, axes in _FORMS.items()]
    known = [form for form in (*forms, _nearest(x, y, target, level)) if form is not None]
    if not known:
        raise ScalebedError("the runs of the ladder do not differ in a way that tells a trend")
    without = np.maximum([form.without for form in known], 1e-12)
    weights = (without / without.min()) ** -float(y.size)
    weights /= weights.sum()
    values = np.array([form.value for form in known])
    middle = float(weights @ values)
    variance = np.array([form.sd for form in known]) ** 2 + (values - middle) ** 2
    best = known[int(np.argmax(weights))].name
    return Ratio(middle, float(np.sqrt(weights @ variance)), f"most of all by {best}")


def _regression(
    name: str,
    axes: tuple[int, ...],
    x: Array,
    y: Array,
    target: Array,
    level: float,
    noise: float,
) -> _Form | None:
    """Fit a form that is linear in some axes; None without a degree of freedom for its error."""
    dof = y.size - len(axes) - 1
    # The target is the origin, so that its own row is (1, 0, 0).
    columns = np.c_[np.ones(y.size), x[:, axes] - target[list(axes)]]
    if dof < 1 or np.linalg.matrix_rank(columns) < columns.shape[1]:
        return None
    inverse = np.linalg.inv(columns.T @ columns)
    solution = inverse @ columns.T @ y
    rest = y - columns @ solution
    leverage = np.einsum("ij,jk,ik->i", columns, inverse, columns)
    if np.any(leverage > 1 - 1e-9):
        return None
    without = float(np.sqrt(np.mean((rest / (1 - leverage)) ** 2)))
    scatter = max(float(np.sum(rest**2)) / dof, noise)
    spread = float(np.sqrt(scatter * (1 + inverse[0, 0])))
    return _Form(name, without, float(solution[0]), _normal(spread, dof, level))


def _nearest(x: Array, y: Array, target: Array, level: float) -> _Form | None:
    """Take the mean of the nearest rows."""
    if y.size <= NEAREST + 1:
        return None
    off = np.empty(y.size)
    for i in range(y.size):
        others = np.delete(np.arange(y.size), i)
        apart = np.sum((x[others] - x[i]) ** 2, axis=1)
        off[i] = y[i] - y[others[np.argsort(apart, kind="stable")[:NEAREST]]].mean()
    without = float(np.sqrt(np.mean(off**2)))
    close = np.argsort(np.sum((x - target) ** 2, axis=1), kind="stable")[:NEAREST]
    sd = _normal(without, y.size - 1, level)
    return _Form(f"the mean of the {NEAREST} nearest", without, float(y[close].mean()), sd)


def _normal(spread: float, dof: int, level: float) -> float:
    """Return the standard deviation of the normal that has the interval of Student's t."""
    tail = (1 + level) / 2
    return spread * float(stdtrit(dof, tail) / ndtri(tail))
