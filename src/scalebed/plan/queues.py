"""Which partition of a site a job goes to, and how long one may be."""

import math

from scalebed.study.hardware import Hardware


def partition(hardware: Hardware, minutes: int, gpu: bool) -> str:
    """Return the first partition that allows a job of so many minutes.

    The one with the longest jobs if none does; "" (the cluster's default) if the site names none.
    """
    wanted = _partitions(hardware, gpu)
    for name, limit in wanted.items():
        if minutes <= limit:
            return name
    return max(wanted, key=wanted.__getitem__, default="")


def longest(hardware: Hardware, gpu: bool) -> int:
    """Return the minutes of the longest job to ask for."""
    limit = max(_partitions(hardware, gpu).values(), default=math.inf)
    return int(min(hardware.slice_minutes, limit))


def _partitions(hardware: Hardware, gpu: bool) -> dict[str, float]:
    """Return the time limits, in minutes, of the partitions for jobs with or without GPU."""
    kind = [part for part in hardware.partitions if part.gpu == gpu]
    return {part.name: part.minutes or math.inf for part in kind or hardware.partitions}
