"""The plan of a study: every cell with its cost and state, totals, warnings and refusals."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from scalebed.core import arithmetic
from scalebed.core.cells import Cell
from scalebed.core.trunks import leaves_at, marginal
from scalebed.plan import rule_params
from scalebed.plan.budgets import combined, over_budget, unchecked
from scalebed.plan.cautions import refusals, warnings
from scalebed.plan.estimates import Calibration, Timed, makespan
from scalebed.plan.evaluation import Evaluation, Job, estimate_evaluation
from scalebed.plan.sealing import Barrier, barrier
from scalebed.plan.site import not_installed, spread_out, step_time
from scalebed.plan.states import State, Upstream, judge, upstream
from scalebed.plan.trunks import Disk, Piece, disk, pieces_of, state_of
from scalebed.study.hardware import LAPTOP, Hardware
from scalebed.study.sections import Budget
from scalebed.study.trained import Study, roles
from scalebed.train.memory import Layout


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
    """Seconds of its own steps on its devices: estimated, or taken if they are over."""
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
    trunk: str | None = None
    """Record of the state it leaves its trunk at; None for one that has no trunk."""
    begun: int = 0
    """Steps that its trunk trains for it."""

    @property
    def cost(self) -> float:
        """6ND of its own tokens: those of its cool-down, if it has a trunk."""
        return self.flops * (self.steps - self.begun) / self.steps

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
    pieces: Sequence[Piece] = ()
    """The pieces of trunks that its cells branch off."""
    disk: Disk = Disk(0, 0, 0, 0)
    """What states of trunks take."""
    seal: Barrier | None = None
    """What waits until predictions are sealed; None where nothing does."""

    @property
    def to_train(self) -> list[Row]:
        """The cells that a run would train."""
        return [row for row in self.rows if row.state.to_train and not row.taken]

    @property
    def work(self) -> list[Row | Piece]:
        """What a run would train: cells, each without its trunk, and pieces of trunks."""
        return [*self.to_train, *(piece for piece in self.pieces if piece.to_train)]

    @property
    def flops(self) -> float:
        """Training FLOPs (6ND) of all there is to train."""
        return sum(part.cost for part in self.work)

    @property
    def seconds(self) -> float | None:
        """Seconds of training summed over devices; None when any is unknown."""
        parts = [part.device_seconds for part in self.work]
        return None if None in parts else sum(part for part in parts if part is not None)

    @property
    def wall_seconds(self) -> float | None:
        """Seconds of training on all devices together; None when any are unknown."""
        held = self.seal.waiting if self.seal else frozenset()
        first = [part for part in self.work if _path(part) not in held]
        then = [part for part in self.work if _path(part) in held]
        times = [_makespan(work, self.devices) for work in (first, then)]
        return None if None in times else sum(time for time in times if time is not None)

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
        parts: list[Row | Piece] = [*self.rows, *self.pieces]
        lost = [part for part in parts if part.state.name in ("diverged", "failed")]
        return sum(part.device_seconds or 0.0 for part in lost)

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
            "trunk_bytes": self.disk._asdict(),
            "waiting_for_seal": self.seal.cells if self.seal else 0,
            "warnings": self.warnings,
            "refusals": self.refusals,
        }


def _path(part: Row | Piece) -> str:
    return part.leg.path if isinstance(part, Piece) else part.cell.path


def _makespan(work: Sequence[Row | Piece], devices: int) -> float | None:
    """Return the seconds that some work takes on all devices; None when any are unknown."""
    if any(part.seconds is None for part in work):
        return None
    ends = {piece.leg.path: i for i, piece in enumerate(work) if isinstance(piece, Piece)}
    jobs = []
    for part in work:
        before = part.before if isinstance(part, Piece) else part.trunk
        width = min(part.layout.ranks if part.layout else 1, devices)
        jobs.append(Timed(part.seconds or 0.0, width, ends.get(before or "")))
    return makespan(jobs, devices)


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
    cells = {
        row.cell.path: (rule_params.cell(study, row.cell), row.state.to_train) for row in trained
    }
    pieces = pieces_of(cells, data, root, calibration, hardware)
    told = warnings(trained, pieces)
    space = disk(pieces, root, study.trunk_states)
    held = barrier(study, {path: spec for path, (spec, _) in cells.items()}, root)
    plan = Plan(study.name, rows, devices, evaluation, told, [], hardware, pieces, space, held)
    budget = combined(study.budget, budget)
    plan.warnings.extend(unchecked(plan, budget))
    used = {study.recipes[row.cell.recipe].backend for row in plan.to_train}
    found = refusals(rows, study.allow_repeats, not_installed(used))
    return plan._replace(refusals=found + over_budget(plan, budget))


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
        spread, unfit = spread_out(marginal(spec), hardware)
        estimate = step_time(spec, spread, hardware, calibration)
        seconds = None if estimate is None else estimate.seconds * marginal(spec)["steps"]
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
        trunk=state_of(spec),
        begun=leaves_at(spec) or 0,
    )


def _job(row: Row) -> Job:
    seconds = row.device_seconds
    share = (row.steps - row.begun) / row.steps
    rate = None if seconds is None else seconds / (share * row.tokens)
    return Job(row.cell, row.state.to_train, rate)


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
            "trunk": row.trunk,
            "trunk_steps": row.begun,
            "own_flops": row.cost,
            "seconds": row.seconds,
            "seconds_measured": row.measured,
            **(row.layout._asdict() if row.layout else dict.fromkeys(Layout._fields)),
            "epochs": row.epochs,
            "state": row.state.name,
            "reason": row.state.reason,
        }
        for row in plan.rows
    ]
    trunks = [piece.record() for piece in plan.pieces]
    return {"study": plan.study, "cells": cells, "trunks": trunks, "totals": plan.summary()}
