"""What a plan says of trunks, in a few lines; ``--json`` has every piece."""

from collections.abc import Iterator

from scalebed.plan.durations import duration
from scalebed.plan.plan import Plan

_UNITS = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def trunk_lines(plan: Plan) -> Iterator[str]:
    """Yield a line about the work of trunks and one about their states; none without trunks."""
    if plan.pieces:
        todo = [piece for piece in plan.pieces if piece.to_train]
        trunks = len({piece.leg.trunk for piece in plan.pieces})
        text = f"trunks: {_many(len(plan.pieces), 'piece')} of {_many(trunks, 'trunk')}"
        text += f", {len(todo)} to train"
        if todo:
            flops = f"{sum(piece.cost for piece in todo):.4g}".replace("e+", "e")
            text += f" ({flops} FLOPs, {_time(plan)}); a branch is counted without its trunk"
        yield text
        yield f"cells and trunks together take {_share(plan):.0%} of the FLOPs of cells alone"
    needed, there, others, kept = plan.disk
    if plan.pieces or others:
        text = f"states of trunks: {bytes_text(needed)} on disk"
        text += f", {bytes_text(kept)} when the study is done" if kept < needed else ""
        text += f"; {bytes_text(there)} of them are there" if there else ""
        if others:
            text += f"; {bytes_text(others)} more that no cell of this study leaves at"
        yield text


def _time(plan: Plan) -> str:
    todo = [piece for piece in plan.pieces if piece.to_train]
    parts = [piece.device_seconds for piece in todo]
    seconds = None if None in parts else sum(part for part in parts if part is not None)
    if plan.hardware.gpu:
        return "? GPU-hours" if seconds is None else f"~{seconds / 3600:,.0f} GPU-hours"
    return f"{duration(seconds, all(piece.measured for piece in todo))} on one core"


def _share(plan: Plan) -> float:
    """Return what the cells that are trained cost with their trunks over what they cost without."""
    rows = [row for row in plan.rows if not row.taken]
    whole = sum(piece.whole for piece in plan.pieces)
    return (sum(row.cost for row in rows) + whole) / sum(row.flops for row in rows)


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")


def bytes_text(size: float) -> str:
    """Return an amount of memory or disk for people, such as ``1.2 GB``."""
    for unit, name in _UNITS:
        if size >= unit:
            return f"{size / unit:.3g} {name}"
    return f"{size:.0f} bytes"
