"""Watch a run of another schedule: through the Multi-Power Law, given or fitted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from scipy.special import ndtri, stdtrit

from scalebed.core.errors import ScalebedError
from scalebed.core.files import read_json
from scalebed.laws.forms.base import Array, Index
from scalebed.watch.ladder import WINDOW
from scalebed.watch.live import LiveCurve, read_live
from scalebed.watch.multi_power import Constants, Reference, Schedule, fit, loss_at, schedule_of
from scalebed.watch.trend import Ratio

SCATTER: Final = 0.004
"""Least error of ln(loss on the way / at the end): about what the law has on public curves that it
was not fitted to (`benchmarks/watched.py --schedules`)."""
MOST_STEPS: Final = 100_000_000
"""The rate of every step is kept."""


def read_constants(text: str) -> Constants:
    """Read constants of the law: ``L0=..,A=..,...`` or a JSON file with these keys.

    Raises
    ------
    ScalebedError
        If one is missing, unknown or not above 0.
    """
    expected = f"expected {', '.join(f'{name}=...' for name in Constants._fields)}"
    if "=" not in text:
        found = read_json(text)
        given = found if isinstance(found, dict) else {}
    else:
        pairs = [word.partition("=") for word in text.split(",")]
        given = {name.strip(): value for name, _, value in pairs}
    if set(given) != set(Constants._fields):
        raise ScalebedError(f"--multi-power has {', '.join(given) or 'nothing'}, {expected}")
    try:
        values = {name: float(given[name]) for name in Constants._fields}
    except (TypeError, ValueError, OverflowError):
        raise ScalebedError(f"--multi-power {text}: cannot read a number, {expected}") from None
    for name, value in values.items():
        if not 0 < value < float("inf"):
            raise ScalebedError(f"--multi-power: {name} is {value}, expected above 0")
    return Constants(**values)


def read_reference(path: str | Path, warmup: int | None = None) -> Reference:
    """Read a finished curve with its learning rates; rows of the warm-up are left out.

    Raises
    ------
    ScalebedError
        If it has no steps or no learning rates.
    """
    curve = read_live(path)
    schedule = planned(curve, warmup)
    used = np.isfinite(curve.loss) & (curve.step >= (warmup or 0)) & (curve.step > 0)
    return Reference(curve.name, schedule, curve.step[used].astype(int), curve.loss[used])


def planned(curve: LiveCurve, warmup: int | None) -> Schedule:
    """Return the schedule that the steps and learning rates of a curve tell."""
    known = np.isfinite(curve.lr) & np.isfinite(curve.step)
    if not known.any():
        raise ScalebedError(f"{curve.name} has no steps with learning rates, expected step and lr")
    steps, rates = curve.step[known], curve.lr[known]
    if rates.min() < 0 or not rates.max() > 0:
        raise ScalebedError(f"{curve.name}: learning rates are {rates.min():g} and more")
    return _schedule(curve.name, steps, rates, warmup)


def read_plan(path: str | Path, warmup: int | None) -> Schedule:
    """Read the schedule of a whole run: a CSV with step and lr.

    Raises
    ------
    ScalebedError
        If it lacks one of them.
    """
    from scalebed.tables.runs_columns import numbers, read_file

    table = read_file(Path(path), {})
    missing = [name for name in ("step", "lr") if name not in table.column_names]
    if missing:
        raise ScalebedError(f"{path} has no column {', '.join(missing)}, expected step and lr")
    steps, rates = (numbers(Path(path), name, table[name]) for name in ("step", "lr"))
    if not np.all(np.diff(steps) > 0) or not np.all(np.isfinite(rates)) or rates.min() < 0:
        raise ScalebedError(f"{path}: expected steps that rise, and learning rates of 0 and more")
    return _schedule(str(path), steps, rates, warmup)


def _schedule(where: str, steps: Array, rates: Array, warmup: int | None) -> Schedule:
    if not 0 <= steps[0] <= steps[-1] <= MOST_STEPS:
        raise ScalebedError(
            f"{where}: steps are {steps[0]:g} to {steps[-1]:g}, expected 0 to {MOST_STEPS:,}"
        )
    return schedule_of(steps, rates, int(steps[-1]), warmup)


def law_of(
    constants: Constants | None, references: Sequence[Reference]
) -> tuple[Constants, Sequence[Reference], str]:
    """Return the constants, given or fitted, the curves that tell their error, and words."""
    if constants is None:
        if not references:
            raise ScalebedError("a schedule law needs --multi-power or --reference")
        names = ", ".join(Path(one.name).name for one in references)
        return fit(references), references, f"the Multi-Power Law fitted to {names}"
    return constants, references, "the Multi-Power Law as given"


def ratio_of(
    constants: Constants,
    schedule: Schedule,
    references: Sequence[Reference],
    words: str,
    level: float,
) -> Callable[[float], Ratio]:
    """Return what tells ln(loss at a fraction / at the end) of a schedule.

    Its error is that of the same statement on three references or more, and at least `SCATTER`:
    curves that a law was fitted to flatter it.
    """
    last = schedule.rates.size - 1

    def ratio(fraction: float) -> Ratio:
        value = _change(constants, schedule, fraction, last)
        off = [_error(constants, one, fraction) for one in references]
        known = np.array([error for error in off if np.isfinite(error)])
        spread, source = SCATTER, f"an error of {SCATTER:.1%}"
        if known.size >= 3:
            root = float(np.sqrt(np.mean(known**2)))
            tail = (1 + level) / 2
            found = root * float(stdtrit(known.size, tail) / ndtri(tail))
            if found > SCATTER:
                spread, source = found, f"the error it has on {known.size} curves"
        return Ratio(value, spread, f"{words}, with {source}")

    return ratio


def _steps_of(fraction: float, last: int) -> Index:
    """Return some steps of the window before a fraction of a run."""
    low, high = max(1.0, (fraction - WINDOW) * last), max(1.0, fraction * last)
    return np.unique(np.linspace(low, high, 9).round().astype(int))


def _change(constants: Constants, schedule: Schedule, fraction: float, last: int) -> float:
    here = loss_at(constants, schedule, _steps_of(fraction, last))
    end = loss_at(constants, schedule, np.array([last]))
    return float(np.log(here.mean()) - np.log(end[0]))


def _error(constants: Constants, one: Reference, fraction: float) -> float:
    """Error of the law on a finished curve: of ln(loss at a fraction / at its end)."""
    last = int(one.steps[-1])

    def off(end: float) -> float:
        rows = (one.steps > (end - WINDOW) * last) & (one.steps <= end * last)
        if not rows.any():
            return float("nan")
        said = loss_at(constants, one.schedule, one.steps[rows])
        return float(np.log(one.loss[rows].mean()) - np.log(said.mean()))

    return off(fraction) - off(1.0)
