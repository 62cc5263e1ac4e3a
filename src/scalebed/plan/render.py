"""A plan as text: one line a cell, then totals and warnings."""

from scalebed.plan.plan import Plan, Row

_HEADER = ("cell", "N", "D", "M", "steps", "FLOPs", "time", "epochs", "role", "state")
_LEFT = {"cell", "role", "state"}


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
    return "\n".join(lines + _totals(plan) + [f"warning: {text}" for text in plan.warnings])


def _table(plan: Plan) -> list[str]:
    ordered = sorted(plan.rows, key=lambda row: (row.cell.dataset, row.params, row.cell))
    rows = [_HEADER, *(_columns(row, _naming(plan)) for row in ordered)]
    widths = [max(len(row[index]) for row in rows) for index in range(len(_HEADER))]
    lines = []
    for row in rows:
        parts = []
        for text, width, name in zip(row, widths, _HEADER, strict=True):
            parts.append(text.ljust(width) if name in _LEFT else text.rjust(width))
        lines.append("  ".join(parts).rstrip())
    return lines


def _naming(plan: Plan) -> list[str]:
    """Return the coordinates worth showing: M has a column, others only where they differ."""
    always = ["dataset", "size"]
    seen = {name: {getattr(row.cell, name) for row in plan.rows} for name in ("recipe", "seed")}
    return always + [name for name, values in seen.items() if len(values) > 1]


def _columns(row: Row, naming: list[str]) -> tuple[str, ...]:
    state = row.state
    roles = [
        name
        for name, key in (("fit", "fit_loss"), ("error", "fit_error"), ("target", "target"))
        if row.roles[key]
    ]
    # Cells of the loss law usually fit the error law too; saying both would say nothing.
    if roles == ["fit", "error"]:
        roles = ["fit"]
    return (
        " ".join(
            f"{'seed ' if name == 'seed' else ''}{getattr(row.cell, name)}" for name in naming
        ),
        quantity(row.params),
        quantity(row.tokens),
        str(row.cell.ratio),
        f"{row.steps:,}",
        f"{row.flops:.2e}".replace("e+", "e"),
        duration(row.seconds, row.measured),
        "?" if row.epochs is None else f"{row.epochs:.2g}",
        "+".join(roles) or "-",
        f"{state.name}: {state.reason}" if state.reason else state.name,
    )


def _totals(plan: Plan) -> list[str]:
    todo = plan.to_train
    counts: dict[str, int] = {}
    for row in plan.rows:
        counts[row.state.name] = counts.get(row.state.name, 0) + 1
    states = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    measured = all(row.measured for row in todo)
    lines = [f"study {plan.study}: {len(plan.rows)} cells ({states}), {len(todo)} to train"]
    if todo:
        core = duration(plan.seconds, measured)
        wall = duration(plan.wall_seconds, measured)
        unit = "device" if plan.devices == 1 else "devices"
        flops = f"{plan.flops:.4g}".replace("e+", "e")
        lines.append(
            f"training: {flops} FLOPs, {core} on one core; {wall} on {plan.devices} {unit}"
        )
        if not measured and plan.seconds is not None:
            lines.append("times marked ~ are extrapolated from the FLOPs of a small model")
    losses, tasks = plan.evaluation
    if losses != 0 or tasks != 0:
        lines.append(f"evaluation on one core: losses {_about(losses)}, tasks {_about(tasks)}")
    return lines


def _about(seconds: float | None) -> str:
    return "not known yet" if seconds is None else f"~{duration(seconds, True)}"


def quantity(value: float) -> str:
    """Return a count with four digits and a suffix, such as ``10.57M``."""
    for suffix, unit in (("T", 1e12), ("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= unit:
            return f"{value / unit:.4g}{suffix}"
    return f"{value:g}"


def duration(seconds: float | None, measured: bool) -> str:
    """Return a time for people: such as ``47 s`` or ``3.1 h``; ``~`` marks an extrapolation."""
    if seconds is None:
        return "?"
    mark = "" if measured else "~"
    if seconds < 120:
        return f"{mark}{seconds:.0f} s"
    if seconds < 2 * 3600:
        return f"{mark}{seconds / 60:.1f} min"
    if seconds < 72 * 3600:
        return f"{mark}{seconds / 3600:.1f} h"
    if seconds < 1000 * 86400:
        return f"{mark}{seconds / 86400:.0f} d"
    return f"{mark}{seconds / (365.25 * 86400):,.0f} years"
