"""Exact Newton's method for y = E + exp(a - p u) + exp(b - q v), one row of data at a time.

Coordinates z = (E, a, b, p, q): the floor itself, which may be 0, and the logarithms of the
weights. All derivatives of the objective are 22 sums over the points of products of the terms with
u and v; one loop makes them and the value. Objectives are Huber's loss of r = log f - log y, with
an infinite limit for least squares of logarithms, and least squares of f - y.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from scalebed.fit.solvers.kernels.compiling import compiled
from scalebed.fit.solvers.kernels.sums import SUMS, copy, lengths, sums

_STEPS = 200
_STALLED = 1e12  # of the Levenberg parameter: no step helps any more
_SHORTEST = 0.05  # least factor of a weight in one step, which could else become negative
# A weight whose term is below e^-40 of the response at every point is nothing in double precision,
# and one below e^-23 that the gradient pushes further down is on its way there.
_NOTHING, _VANISHING = -40.0, -23.0
_BLOCKED = 1e-3  # of a step that a bound leaves
_DECREASE = 1e-15  # predicted decrease, relative, that ends the search
_EPS = 2.220446049250313e-16


@compiled
def derivatives(s: Any, tied: bool, g: Any, H: Any) -> None:
    """Gradient (5,) and Hessian (5, 5) from the sums; one exponent is put at p."""
    g[0], g[1], g[2], g[3], g[4] = s[17], s[18], s[21], -s[19], -s[22]
    H[0, 0], H[1, 0], H[2, 0], H[3, 0], H[4, 0] = s[2], s[3], s[5], -s[4], -s[6]
    H[1, 1], H[2, 1], H[3, 1], H[4, 1] = s[7], s[10], -s[8] - s[19], -s[12]
    H[2, 2], H[3, 2], H[4, 2] = s[14], -s[11], -s[15] - s[22]
    H[3, 3], H[4, 3], H[4, 4] = s[9] + s[20], s[13], s[16] + s[23]
    if tied:
        g[3] += g[4]
        g[4] = 0.0
        H[3, 0] += H[4, 0]
        H[3, 1] += H[4, 1]
        H[3, 2] += H[4, 2]
        H[3, 3] += 2.0 * H[4, 3] + H[4, 4]


@compiled
def solve(H: Any, g: Any, scale: Any, held: Any, damping: float, L: Any, step: Any) -> float:
    """Damped Newton step in scaled coordinates by Cholesky; returns the predicted decrease.

    Negative if the matrix is not positive definite.
    """
    for i in range(5):
        for j in range(i + 1):
            if held[i] or held[j]:
                x = 1.0 if i == j else 0.0
            else:
                x = H[i, j] / (scale[i] * scale[j])
                if i == j:
                    x += damping
            for k in range(j):
                x -= L[i, k] * L[j, k]
            if i == j:
                if not x > 1e-14:
                    return -1.0
                L[i, i] = np.sqrt(x)
            else:
                L[i, j] = x / L[j, j]
    decrease = 0.0
    for i in range(5):
        x = 0.0 if held[i] else -g[i] / scale[i]
        for k in range(i):
            x -= L[i, k] * step[k]
        step[i] = x / L[i, i]
        decrease += step[i] * step[i]
    for i in range(4, -1, -1):
        x = step[i]
        for k in range(i + 1, 5):
            x -= L[k, i] * step[k]
        step[i] = x / L[i, i]
    for i in range(5):
        step[i] = 0.0 if held[i] else step[i] / scale[i]
    return 0.5 * decrease


@compiled
def hold(z: Any, g: Any, low: Any, high: Any, free: Any, reach: Any, held: Any) -> bool:
    """Which coordinates stay: not free, or at a bound with the gradient pointing outwards.

    A weight that vanishes takes its own exponent with it; returns whether one just did, so that
    the sums are out of date. reach (2,) is the largest -u and -v.
    """
    vanished = False
    for i in range(5):
        held[i] = not free[i] or (z[i] <= low[i] and g[i] >= 0) or (z[i] >= high[i] and g[i] <= 0)
    for j in (1, 2):
        top = z[j] + z[j + 2] * reach[j - 1]
        if free[j] and (top < _NOTHING or (top < _VANISHING and g[j] > 0)):
            vanished = vanished or z[j] > -np.inf
            z[j] = -np.inf
        if z[j] == -np.inf:
            held[j] = True
            # With one exponent it is still that of the other term.
            if free[4] or j == 2:
                held[j + 2] = True
    return vanished


@compiled
def scales(
    points: Any, m: int, z: Any, log_scale: bool, delta: float, tied: bool, size: Any, scale: Any
) -> None:
    """Units of the coordinates in which steps are damped and gradients judged, (13,).

    Five lengths with the weights of Huber's loss, the squared length of the response, both weights,
    and five lengths of the derivatives of the residual. They only shape damped steps and say how
    large a gradient is, so those of the common start serve all samples.
    """
    lengths(points, m, z, log_scale, delta, size)
    if tied:
        size[0, 3] += size[0, 4]
        size[1, 3] += size[1, 4]
    for i in range(5):
        scale[i] = np.sqrt(size[1, i]) if size[1, i] > 0 else 1.0
        scale[8 + i] = np.sqrt(size[0, i])
    scale[5], scale[6], scale[7] = size[0, 5], z[1], z[2]


@compiled
def _move(z: Any, step: Any, low: Any, high: Any, trial: Any) -> None:
    """Go along a step, up to the first bound on the way; steps of weights are relative to them.

    The coordinates are strongly coupled, so one must not be cut short alone. Only where a bound
    leaves nothing of the step the rest goes on without that coordinate.
    """
    share = 1.0
    for i in range(5):
        room = np.inf
        if i == 1 or i == 2:
            room = (1.0 - _SHORTEST) / -step[i] if step[i] < 0.0 else np.inf
        elif step[i] < 0.0:
            room = (z[i] - low[i]) / -step[i]
        elif step[i] > 0.0:
            room = (high[i] - z[i]) / step[i]
        if room > _BLOCKED:
            share = min(share, room)
    for i in range(5):
        move = share * step[i]
        if i == 1 or i == 2:
            move = np.log(max(1.0 + move, _SHORTEST))
        trial[i] = min(max(z[i] + move, low[i]), high[i])


@compiled
def units(z: Any, scale: Any, first: int, tied: bool, unit: Any) -> None:
    """Adjust the units of `scales` from `first` on to the weights: derivatives grow with them."""
    size = np.exp(z[1] - scale[6]) if z[1] > -np.inf else 1.0
    data = np.exp(z[2] - scale[7]) if z[2] > -np.inf else 1.0
    unit[0], unit[1], unit[2] = scale[first], scale[first + 1] * size, scale[first + 2] * data
    unit[3] = scale[first + 3] * (max(size, data) if tied else size)
    unit[4] = scale[first + 4] * data


@compiled
def descend(
    points: Any,
    m: int,
    z: Any,
    low: Any,
    high: Any,
    free: Any,
    tied: bool,
    reach: Any,
    log_scale: bool,
    delta: float,
    scale: Any,
    given: bool,
    first: Any,
    work: Any,
    held: Any,
) -> int:
    """Minimise from z in place; returns the number of evaluations.

    scale: see `scales`; first: the sums at z, if given; work (16, SUMS).
    """
    s, trial_s, g, H, L = work[0], work[1], work[2], work[3:8], work[8:13]
    step, trial, unit = work[13], work[14], work[15]
    least = scale[5] * _EPS * _EPS
    if given:
        copy(first, SUMS, s)
        count = 0
    else:
        sums(points, m, z, log_scale, delta, s)
        count = 1
    damping = 0.0
    for _ in range(_STEPS):
        if not np.isfinite(s[0]):
            break
        derivatives(s, tied, g, H)
        if hold(z, g, low, high, free, reach, held):
            sums(points, m, z, log_scale, delta, s)
            count += 1
            continue
        units(z, scale, 0, tied, unit)
        decrease = solve(H, g, unit, held, damping, L, step)
        while decrease < 0.0 and damping < _STALLED:
            damping = max(10.0 * damping, 1e-3)
            decrease = solve(H, g, unit, held, damping, L, step)
        if decrease < 0.0 or (decrease <= _DECREASE * s[0] + least and damping < 1.0):
            break
        _move(z, step, low, high, trial)
        if tied:
            trial[4] = trial[3]
        sums(points, m, trial, log_scale, delta, trial_s)
        count += 1
        if trial_s[0] <= s[0] * (1.0 + 4.0 * _EPS) + least:
            copy(trial, 5, z)
            copy(trial_s, SUMS, s)
            damping = damping / 10.0 if damping > 1e-6 else 0.0
        else:
            damping = max(10.0 * damping, 1e-3)
            if damping > _STALLED:
                break
    return count
