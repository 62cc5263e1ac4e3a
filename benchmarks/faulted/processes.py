"""The processes of one run of Snakemake, as the kernel tells of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

VARIABLE = "SCALEBED_KILLED"
"""In the environment of every process of a study that is killed, with a word of its own."""
_SERVER = b"scalebed.commands.shared_process.server"
_TICKS = os.sysconf("SC_CLK_TCK")
JOB, VERB, SERVER = "job", "verb", "server"


class Process(NamedTuple):
    """A process of a run.

    Attributes
    ----------
    pid : int
        Its number.
    kind : str
        ``job`` for the command of a rule, ``verb`` for the process that a shared server forked for
        it, ``server`` for such a server; empty for any other.
    job : str
        Log of the job below ``logs/``, which tells it from all others; empty for a server.
    parent : int
        Number of its parent.
    seconds : float
        Processor time it has taken, its ended children left out.
    """

    pid: int
    kind: str
    job: str
    parent: int
    seconds: float


class Processes:
    """Those that carry a word in their environment."""

    def __init__(self, word: str, root: Path) -> None:
        self._mark = f"{VARIABLE}={word}".encode()
        self._logs = f"{root / 'logs'}/"
        # Later ones are looked at again: what was forked is Snakemake before it is a command.
        self._foreign = _numbers()

    def now(self) -> list[Process]:
        """Return those that are there, a zombie left out."""
        numbers = _numbers()
        self._foreign &= numbers
        found = [one for pid in sorted(numbers - self._foreign) for one in self._one(pid)]
        servers = {one.pid for one in found if one.kind == SERVER}
        return [
            # What was just forked still writes to the log of its server.
            one._replace(kind=VERB) if one.kind == SERVER and one.parent in servers else one
            for one in found
        ]

    def _one(self, pid: int) -> Iterator[Process]:
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes()
            if self._mark not in environment.split(b"\0"):
                return
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            out = str(Path(f"/proc/{pid}/fd/1").readlink())
            fields = _fields(pid)
        except OSError:
            return
        if fields[0] in "ZX":
            return
        job = out.removeprefix(self._logs) if out.startswith(self._logs) else ""
        kind = ""
        if _SERVER in words:
            kind = VERB if job else SERVER
        elif b"scalebed" in words and b"-m" in words:
            kind = JOB
        yield Process(pid, kind, job, int(fields[1]), _seconds(fields))


def spent(pid: int) -> float:
    """Return the processor time of a process, in seconds; infinite once it has ended."""
    try:
        return _seconds(_fields(pid))
    except OSError:
        return float("inf")


def _numbers() -> set[int]:
    return {int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()}


def _fields(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _seconds(fields: list[str]) -> float:
    return (int(fields[11]) + int(fields[12])) / _TICKS
