"""The plan of a study: every cell with its cost and state, totals, warnings and refusals."""

from pathlib import Path
from typing import Any, NamedTuple

from scalebed.core import arithmetic
from scalebed.core.cells import Cell
from scalebed.plan import rule_params
from scalebed.plan.budgets import combined, over_budget, unchecked
from scalebed.plan.estimates import Calibration, makespan
from scalebed.plan.evaluation import Evaluation, Job, estimate_evaluation
from scalebed.plan.site import not_installed, spread_out, step_time
from scalebed.plan.states import State, Upstream, judge, upstream
from scalebed.study.hardware import LAPTOP, Hardware
from scalebed.study.sections import Budget
from scalebed.study.trained import Study, roles
from scalebed.train.memory import Layout

FEW_STEPS = 100
"""A run with fewer steps than this is mostly warm-up and teaches a law little."""


class Row(NamedTuple):
    """One cell of the plan."""

    cell: Cell
    roles: dict[str, bool]
    params: int
    """N."""
    tokens: int
    """D."""
    steps: int
    warmup_steps: int
    flops: float
    """C = 6ND."""
    seconds: float | None
    """Seconds of the whole training on its devices: estimated, or taken if it is over."""
    measured: bool
    """False when `seconds` is extrapolated from the FLOPs of a smaller model."""
    epochs: float | None
    """D over `available`; None when nobody knows how many there are."""
    available: int | None
    """Tokens of one epoch, in whole sequences."""
    state: State
    layout: Layout | None = None
    """How it is spread over the GPUs of the site; None without GPUs or when it fits none."""
    unfit: str | None = None
    """Why it fits none."""
    taken: bool = False
    """Whether it is taken from a checkpoint instead of trained."""

    @property
    def device_seconds(self) -> float | None:
        """Seconds summed over the devices it takes."""
        ranks = self.layout.ranks if self.layout else 1
        return None if self.seconds is None else ranks * self.seconds


class Plan(NamedTuple):
    """A study's plan."""

    study: str
    rows: list[Row]
    devices: int
    evaluation: Evaluation
    """Time of evaluating what is not evaluated."""
    warnings: list[str]
    refusals: list[str]
    """Reasons not to run the study, one sentence each."""
    hardware: Hardware = LAPTOP
    """The site it is planned for."""

    @property
    def to_train(self) -> list[Row]:
        """The cells that a run would train."""
        return [row for row in self.rows if row.state.to_train and not row.taken]

    @property
    def flops(self) -> float:
        """Training FLOPs (6ND) of the cells to train."""
        return sum(row.flops for row in self.to_train)

    @property
    def seconds(self) -> float | None:
        """Seconds of training summed over cells and devices; None when any is unknown."""
        parts = [row.device_seconds for row in self.to_train]
        return None if None in parts else sum(part for part in parts if part is not None)

    @property
    def wall_seconds(self) -> float | None:
        """Seconds of training on all devices together; None when any cell's are unknown."""
        rows = self.to_train
        parts = [row.seconds for row in rows if row.seconds is not None]
        if len(parts) < len(rows):
            return None
        widths = [row.layout.ranks if row.layout else 1 for row in rows]
        return makespan(parts, self.devices, [min(width, self.devices) for width in widths])

    @property
    def money(self) -> float | None:
        """Price of training; None where no price or not all times are known."""
        gpu, seconds = self.hardware.gpu, self.seconds
        if gpu is None or gpu.price_per_hour is None or seconds is None:
            return None
        return seconds / 3600 * gpu.price_per_hour

    @property
    def lost_seconds(self) -> float:
        """Device seconds of trainings that diverged or failed."""
        lost = [row for row in self.rows if row.state.name in ("diverged", "failed")]
        return sum(row.device_seconds or 0.0 for row in lost)

    def summary(self) -> dict[str, Any]:
        """Return totals, warnings and refusals as built-in values."""
        return {
            "cells": len(self.rows),
            "to_train": len(self.to_train),
            "flops": self.flops,
            "core_seconds": None if self.hardware.gpu else self.seconds,
            "gpu_seconds": self.seconds if self.hardware.gpu else None,
            "wall_seconds": self.wall_seconds,
            "money": self.money,
            "lost_seconds": self.lost_seconds,
            "devices": self.devices,
            "evaluation_seconds": self.evaluation._asdict(),
            "warnings": self.warnings,
            "refusals": self.refusals,
        }


def make_plan(
    study: Study,
    root: Path,
    calibration: Calibration,
    devices: int,
    budget: Budget | None = None,
    hardware: Hardware = LAPTOP,
) -> Plan:
    """Return the plan of a study.

    Parameters
    ----------
    study
        The study.
    root
        Folder that holds ``results`` and ``state``.
    calibration
        Times of training steps.
    devices
        Cores, or GPUs, that cells are trained on at a time.
    budget
        What is given here replaces what the study says.
    hardware
        The site. Where it has GPUs, times follow from FLOPs and cells take as many as they need.

    Raises
    ------
    ScalebedError
        If a record on disk cannot be read.
    """
    data = {name: upstream(study, name, root) for name in study.datasets}
    rows = [
        _row(study, cell, role, data[cell.dataset], root, calibration, hardware)
        for cell, role in roles(study).items()
    ]
    evaluation = estimate_evaluation(study, [_job(row) for row in rows], root)
    trained = [row for row in rows if not row.taken]
    plan = Plan(study.name, rows, devices, evaluation, _warnings(trained), [], hardware)
    budget = combined(study.budget, budget)
    plan.warnings.extend(unchecked(plan, budget))
    refusals = [] if study.allow_repeats else _repeats(rows)
    used = {study.recipes[row.cell.recipe].backend for row in plan.to_train}
    refusals += not_installed(used) + _unfit(rows) + over_budget(plan, budget)
    return plan._replace(refusals=refusals)


def _row(
    study: Study,
    cell: Cell,
    role: dict[str, bool],
    data: Upstream,
    root: Path,
    calibration: Calibration,
    hardware: Hardware,
) -> Row:
    spec = rule_params.cell(study, cell)
    shape = arithmetic.shape_of(spec["model"])
    params = arithmetic.count_params(shape).total
    available = data.epoch_tokens(shape.context)
    state = judge(spec, cell.path, data, root)
    seconds, measured = state.seconds, True
    spread, unfit = None, None
    taken = "checkpoint" in spec
    if taken:
        seconds = available = None
    elif state.to_train:
        spread, unfit = spread_out(spec, hardware)
        estimate = step_time(spec, spread, hardware, calibration)
        seconds = None if estimate is None else estimate.seconds * spec["steps"]
        measured = estimate is not None and estimate.measured
    return Row(
        cell=cell,
        roles=role,
        params=params,
        tokens=spec["tokens"],
        steps=spec["steps"],
        warmup_steps=spec["recipe"]["warmup_steps"],
        flops=arithmetic.flops(params, spec["tokens"]),
        seconds=seconds,
        measured=measured,
        epochs=None if available is None else spec["tokens"] / max(1, available),
        available=available,
        state=state,
        layout=spread,
        unfit=unfit,
        taken=taken,
    )


def _job(row: Row) -> Job:
    rate = None if row.device_seconds is None else row.device_seconds / row.tokens
    return Job(row.cell, row.state.to_train, rate)


def _warnings(rows: list[Row]) -> list[str]:
    warnings = []
    long = [row for row in rows if row.warmup_steps * 2 > row.steps]
    if long:
        warnings.append(
            f"warm-up takes more than half of the steps in {_some(long)}: "
            f"{long[0].warmup_steps} of {long[0].steps}"
        )
    few = [row for row in rows if row.steps < FEW_STEPS]
    if few:
        warnings.append(f"fewer than {FEW_STEPS} steps in {_some(few)}: {few[0].steps}")
    bad = [row for row in rows if row.state.name in ("diverged", "failed")]
    if bad:
        warnings.append(
            f"{bad[0].state.name} and not to be trained again as it is: {_some(bad)}; "
            "change its recipe or delete its metrics.json"
        )
    return warnings


def _some(rows: list[Row]) -> str:
    more = f" and {len(rows) - 1} more" if len(rows) > 1 else ""
    return f"{rows[0].cell.path}{more}"


def _repeats(rows: list[Row]) -> list[str]:
    over = [row for row in rows if row.epochs is not None and row.epochs > 1]
    if not over:
        return []
    worst = max(over, key=lambda row: row.epochs or 0)
    more = f" ({len(over) - 1} more cells do)" if len(over) > 1 else ""
    return [
        f"the cell {worst.cell.path} would repeat data: it trains on {worst.tokens:,} tokens and "
        f"{worst.cell.dataset} has {worst.available:,}{more}; take more text, or set "
        "allow_repeats: true"
    ]


def _unfit(rows: list[Row]) -> list[str]:
    """Return a refusal for the first cell that fits no number of GPUs."""
    over = [row for row in rows if row.unfit]
    if not over:
        return []
    more = f" ({len(over) - 1} more cells do not fit)" if len(over) > 1 else ""
    return [f"{over[0].cell.path} does not fit: {over[0].unfit}{more}"]


def record(plan: Plan) -> dict[str, Any]:
    """Return the whole plan as built-in values, for ``--json``."""
    cells = [
        {
            "cell": row.cell.path,
            **row.cell._asdict(),
            **row.roles,
            "params": row.params,
            "tokens": row.tokens,
            "steps": row.steps,
            "flops": row.flops,
            "seconds": row.seconds,
            "seconds_measured": row.measured,
            **(row.layout._asdict() if row.layout else dict.fromkeys(Layout._fields)),
            "epochs": row.epochs,
            "state": row.state.name,
            "reason": row.state.reason,
        }
        for row in plan.rows
    ]
    return {"study": plan.study, "cells": cells, "totals": plan.summary()}
