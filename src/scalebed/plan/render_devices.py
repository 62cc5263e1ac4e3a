"""Why cells take as many GPUs as they do, in one sentence of the plan."""

from collections import Counter
from collections.abc import Iterator

from scalebed.plan.devices import seconds_allowed
from scalebed.plan.durations import duration
from scalebed.plan.plan import Plan


def device_lines(plan: Plan) -> Iterator[str]:
    """Yield the rule that chose the GPUs of each training, its keys and what came of it."""
    gpu = plan.hardware.gpu
    todo = [part for part in plan.work if part.layout]
    if gpu is None or not todo:
        return
    allowed = seconds_allowed(plan.hardware)
    key = "slice_minutes and the partitions" if gpu.cell_hours is None else "gpu.cell_hours"
    counts = Counter(part.layout.ranks for part in todo if part.layout)
    taken = ", ".join(f"{number} on {ranks}" for ranks, number in sorted(counts.items()))
    text = (
        f"GPUs: a training takes the fewest that hold it and end it within {_hours(allowed)} "
        f"({key}), at most {min(gpu.most, gpu.per_node)} (gpu.most, gpu.per_node): {taken}"
    )
    longer = [part.seconds for part in todo if part.seconds and part.seconds > allowed]
    if longer:
        text += f"; {len(longer)} take longer even so, the longest {duration(max(longer), False)}"
    yield text


def _hours(seconds: float) -> str:
    hours = seconds / 3600
    return f"{hours:,.0f} h" if hours >= 100 else f"{hours:.3g} h"
