"""A plan as text: one line a cell, then totals and warnings."""

from collections.abc import Mapping, Sequence

from scalebed.core.cells import Cell
from scalebed.core.quantities import amount_text
from scalebed.core.shown import in_line
from scalebed.plan.durations import duration
from scalebed.plan.plan import Plan, Row
from scalebed.plan.render_devices import device_lines
from scalebed.plan.render_trunks import trunk_lines
from scalebed.plan.sealing import Barrier

_HEADER = ("cell", "N", "D", "M", "steps", "FLOPs", "time", "epochs", "role", "state")
_LEFT = {"cell", "role", "state"}
_GPU_HEADER = ("GPUs", "GB each")
_TIME = _HEADER.index("time")


def render(plan: Plan, cells: bool = True) -> str:
    """Return the plan as text.

    Parameters
    ----------
    plan
        The plan.
    cells
        Whether to list every cell; otherwise only totals, warnings and refusals are told.
    """
    lines = [*_table(plan), ""] if cells else []
    lines += [*_totals(plan), *(f"warning: {text}" for text in plan.warnings)]
    return "\n".join(map(in_line, lines))


def _table(plan: Plan) -> list[str]:
    ordered = sorted(plan.rows, key=lambda row: (row.cell.dataset, row.params, row.cell))
    called = naming([row.cell for row in plan.rows])
    rows = [_HEADER, *(_columns(row, called) for row in ordered)]
    if plan.hardware.gpu:
        more = [_GPU_HEADER, *(_gpu_columns(row) for row in ordered)]
        rows = [(*row[:_TIME], *extra, *row[_TIME:]) for row, extra in zip(rows, more, strict=True)]
    return aligned(rows)


def aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Return lines of columns; the first row is the header, numbers stand to the right."""
    header = rows[0]
    widths = [max(len(row[index]) for row in rows) for index in range(len(header))]
    lines = []
    for row in rows:
        parts = []
        for text, width, name in zip(row, widths, header, strict=True):
            parts.append(text.ljust(width) if name in _LEFT else text.rjust(width))
        lines.append("  ".join(parts).rstrip())
    return lines


def naming(cells: Sequence[Cell]) -> list[str]:
    """Return the coordinates worth showing: M has a column, others only where they differ."""
    always = ["dataset", "size"]
    seen = {name: {getattr(cell, name) for cell in cells} for name in ("recipe", "seed")}
    return always + [name for name, values in seen.items() if len(values) > 1]


def role_text(flags: Mapping[str, bool]) -> str:
    """Say what a cell is there for, from its roles."""
    roles = [
        name
        for name, key in (("fit", "fit_loss"), ("error", "fit_error"), ("target", "target"))
        if flags[key]
    ]
    # Cells of the loss law usually fit the error law too; saying both would say nothing.
    if roles == ["fit", "error"]:
        roles = ["fit"]
    return "+".join(roles) or "-"


def _columns(row: Row, called: list[str]) -> tuple[str, ...]:
    state = row.state
    return (
        " ".join(
            f"{'seed ' if name == 'seed' else ''}{getattr(row.cell, name)}" for name in called
        ),
        amount_text(row.params, 4),
        amount_text(row.tokens, 4),
        str(row.cell.ratio),
        f"{row.steps:,}",
        f"{row.cost:.2e}".replace("e+", "e"),
        duration(row.seconds, row.measured),
        "?" if row.epochs is None else f"{row.epochs:.2g}",
        role_text(row.roles),
        f"{state.name}: {state.reason}" if state.reason else state.name,
    )


def _gpu_columns(row: Row) -> tuple[str, str]:
    """Return how many GPUs a cell takes and how, and the memory it needs on each."""
    spread = row.layout
    if spread is None:
        return ("none fits" if row.unfit else "-"), "-"
    marks = ("sharded",) * spread.sharded + ("recomputing",) * spread.recompute
    return " ".join((str(spread.ranks), *marks)), f"{spread.bytes_per_rank / 1e9:.1f}"


def _totals(plan: Plan) -> list[str]:
    todo = plan.to_train
    counts: dict[str, int] = {}
    for row in plan.rows:
        counts[row.state.name] = counts.get(row.state.name, 0) + 1
    states = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    measured = all(part.measured for part in plan.work)
    lines = [f"study {plan.study}: {len(plan.rows)} cells ({states}), {len(todo)} to train"]
    lines += trunk_lines(plan)
    if plan.work:
        lines.append(_training(plan, measured))
        if not measured and plan.seconds is not None:
            lines.append(_basis(plan))
    lines += device_lines(plan)
    losses, tasks = plan.evaluation
    if losses != 0 or tasks != 0:
        lines.append(
            f"evaluation on one core: losses {_about(losses)}, tasks {_about(tasks)}{_share(plan)}"
        )
    if plan.seal:
        lines.append(_sealed(plan.seal))
    if plan.lost_seconds:
        lost = duration(plan.lost_seconds, True)
        lines.append(f"trainings that diverged or failed have cost {lost} already")
    return lines


def _sealed(seal: Barrier) -> str:
    many = "target trains" if seal.cells == 1 else "targets train"
    there = "is there" if seal.there else "is made before any of them begins"
    return f"{seal.cells} {many} after predictions are sealed: {seal.path} {there}"


def _training(plan: Plan, measured: bool) -> str:
    wall = duration(plan.wall_seconds, measured)
    flops = f"{plan.flops:.4g}".replace("e+", "e")
    gpu = plan.hardware.gpu
    if gpu is None:
        core = duration(plan.seconds, measured)
        unit = "device" if plan.devices == 1 else "devices"
        return f"training: {flops} FLOPs, {core} on one core; {wall} on {plan.devices} {unit}"
    hours = "?" if plan.seconds is None else f"~{plan.seconds / 3600:,.0f}"
    price = "" if plan.money is None else f" (~{plan.money:,.2f} in money)"
    spread = f"{wall} on {plan.devices} {gpu.name}"
    return f"training: {flops} FLOPs, {hours} GPU-hours{price}; {spread}"


def _basis(plan: Plan) -> str:
    gpu = plan.hardware.gpu
    if gpu is None:
        return "times marked ~ are extrapolated from the FLOPs of a small model"
    return (
        f"times marked ~ follow from FLOPs at {gpu.utilization:.0%} of {gpu.flops / 1e12:g} "
        "TFLOP/s (utilization in the hardware file)"
    )


def _share(plan: Plan) -> str:
    """Say what part of all device time evaluation is."""
    parts = (*plan.evaluation, plan.seconds)
    if plan.hardware.gpu or any(part is None for part in parts):
        return ""
    whole = sum(part for part in parts if part is not None)
    return f"; {1 - (plan.seconds or 0.0) / whole:.0%} of all there is to do" if whole else ""


def _about(seconds: float | None) -> str:
    return "not known yet" if seconds is None else f"~{duration(seconds, True)}"
