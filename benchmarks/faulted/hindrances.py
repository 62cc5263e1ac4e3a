"""What a machine does to a single job: each yields what the job is told, and ends it again."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import machine
import rule_jobs
from rule_jobs import Ended, Job

MEGABYTE = 1 << 20
_ROOTS = (("results",), ("state",), ("results", "state"))


def _nothing() -> None:
    """Do nothing."""


class Hindrance(NamedTuple):
    """What stands in the way of one job."""

    told: str
    """What was drawn."""
    inside: Callable[[], None] = _nothing
    """Called in the process of the job before it begins."""
    beside: Callable[[int], None] = lambda process: None
    """Called with the number of that process while it runs."""
    words: tuple[str, ...] = ()
    """Words of which the job has to say one if it fails."""
    others: Sequence[Ended] = ()
    """How other processes ended that ran meanwhile, known when the job has."""


class Place(NamedTuple):
    """Where jobs run."""

    root: Path
    """Project, on a disk of its own in memory."""
    base: Path
    """The same as it was."""
    sizes: int
    """Bytes that the job writes, about."""
    seconds: float
    """How long such a job takes, about."""
    values: dict[Path, str]
    """What is read of each file that the job writes."""


Make = Callable[[Place, Job, random.Random], contextlib.AbstractContextManager[Hindrance]]


@contextlib.contextmanager
def full_disk(place: Place, job: Job, draw: random.Random) -> Iterator[Hindrance]:
    """Leave so many bytes of the disk."""
    most = place.sizes + place.sizes // 3 + 3 * 4096
    left = draw.choice((draw.randrange(most), int(most ** draw.random())))
    filler = machine.fill(place.root, left)
    try:
        yield Hindrance(f"{machine.pages(left)} bytes left", words=("No space left on device",))
    finally:
        filler.unlink()


@contextlib.contextmanager
def file_limit(place: Place, job: Job, draw: random.Random) -> Iterator[Hindrance]:
    """Let no file be longer than so many bytes."""
    # What the job says goes into a file as well.
    most = max(500, draw.randrange(1, max(place.sizes, 2)))

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    yield Hindrance(f"files of {most} bytes", limit, words=("File too large",))


@contextlib.contextmanager
def read_only(place: Place, job: Job, draw: random.Random) -> Iterator[Hindrance]:
    """Have results, state or both read-only, from the beginning or from some moment on."""
    folders = [place.root / name for name in draw.choice(_ROOTS)]
    late = draw.random() < 0.5
    moment = draw.random() * place.seconds if late else 0.0
    told = " and ".join(folder.name for folder in folders)
    mounted: list[Path] = []

    def close(process: int) -> None:
        time.sleep(moment)
        for folder in mounted:
            _until_read_only(folder, process)

    for folder in folders:
        machine.mount("--bind", folder, folder)
        mounted.append(folder)
        if not late:
            machine.mount("-o", "remount,bind,ro", folder)
    try:
        what = f"{told} read-only" + (f" after {moment:.2f} s" if late else "")
        beside = close if late else Hindrance("").beside
        yield Hindrance(what, beside=beside, words=("Read-only file system",))
    finally:
        for folder in mounted:
            machine.unmount(folder)


def _until_read_only(folder: Path, process: int) -> None:
    """Make a mount read-only as soon as nobody has a file of it open for writing."""
    while True:
        with contextlib.suppress(OSError):
            machine.mount("-o", "remount,bind,ro", folder)
            return
        if os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            return


@contextlib.contextmanager
def not_mine(place: Place, job: Job, draw: random.Random) -> Iterator[Hindrance]:
    """Run as somebody to whom the files do not belong."""
    secret = draw.choice((None, *job.inputs))
    path = place.root / secret if secret else None
    if path and not path.is_file():
        path = None
    mode = path.stat().st_mode if path else 0

    def become() -> None:
        os.setgroups([])
        os.setgid(machine.NOBODY)
        os.setuid(machine.NOBODY)

    if path:
        path.chmod(0o600)
    try:
        told = f"by nobody, {secret} private" if path else "by nobody"
        yield Hindrance(told, become, words=("Permission denied",))
    finally:
        if path:
            path.chmod(mode)


@contextlib.contextmanager
def vanishing(place: Place, job: Job, draw: random.Random) -> Iterator[Hindrance]:
    """Delete a file of the study, or all that is hidden beside the output, while the job runs."""
    files = sorted(path for path in (place.base / "results").rglob("*") if path.is_file())
    beside = (path for name in job.inputs for path in (place.base / name).parent.glob("*"))
    near = [path for path in beside if path.is_file()]
    kind = draw.choice(("any", "near", "near", "temporary"))
    path = draw.choice(near or files) if kind == "near" else draw.choice(files)
    path = place.root / path.relative_to(place.base)
    moment = draw.choice((0.0, draw.random() * place.seconds))

    def delete(process: int) -> None:
        time.sleep(moment)
        if kind != "temporary":
            path.unlink(missing_ok=True)
            return
        end = time.monotonic() + place.seconds
        folder = (place.root / job.outputs[0]).parent
        while time.monotonic() < end and folder.is_dir():
            for hidden in folder.glob(".*"):
                if hidden.is_file() and hidden.suffix != ".sha256":
                    hidden.unlink(missing_ok=True)
                    return

    what = "a temporary file" if kind == "temporary" else str(path.relative_to(place.root))
    yield Hindrance(f"{what} gone after {moment:.2f} s", beside=delete)


@contextlib.contextmanager
def little_memory(place: Place, job: Job, draw: random.Random) -> Iterator[Hindrance]:
    """Let the process have so much more memory than it begins with."""
    more = int(MEGABYTE * 2 ** (draw.random() * 10))

    def limit() -> None:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + more
        resource.setrlimit(resource.RLIMIT_AS, (most, most))

    yield Hindrance(f"{more / MEGABYTE:.1f} MB more", limit, words=("emory", "thread"))


@contextlib.contextmanager
def killed_for_memory(place: Place, job: Job, draw: random.Random) -> Iterator[Hindrance]:
    """Put the process into a control group with so much memory of its own."""
    limit = int(MEGABYTE * 2 ** (1 + draw.random() * 7))
    group = machine.CGROUP / f"scalebed-{os.getpid()}"
    group.mkdir()
    (group / "memory.limit_in_bytes").write_text(str(limit))

    def enter() -> None:
        (group / "tasks").write_text(str(os.getpid()))

    try:
        yield Hindrance(f"{limit / MEGABYTE:.1f} MB", enter, words=("memory",))
    finally:
        for _ in range(100):
            with contextlib.suppress(OSError):
                group.rmdir()
                break
            time.sleep(0.05)


@contextlib.contextmanager
def layered(place: Place, job: Job, draw: random.Random) -> Iterator[Hindrance]:
    """Have what is there in the lower layer of an overlay, copied up when it changes."""
    upper, work = place.root / ".upper", place.root / ".work"
    names = draw.choice(_ROOTS)
    for name in names:
        for folder in (upper / name, work / name):
            folder.mkdir(parents=True)
        layers = f"lowerdir={place.root / name},upperdir={upper / name},workdir={work / name}"
        machine.mount("-t", "overlay", "-o", layers, "overlay", place.root / name)
    try:
        yield Hindrance(f"{' and '.join(names)} overlaid")
    finally:
        for name in names:
            machine.unmount(place.root / name)
        subprocess.run(["rm", "-rf", str(upper), str(work)], check=True)


@contextlib.contextmanager
def twice(place: Place, job: Job, draw: random.Random) -> Iterator[Hindrance]:
    """Run the same job once more at the same time, as two runs without a lock would."""
    moment = draw.choice((0.0, draw.random() * place.seconds))
    others: list[Ended] = []

    def again(process: int) -> None:
        time.sleep(moment)
        others.append(rule_jobs.run(place.root, job.words, place.base.parent / "said of another"))

    yield Hindrance(f"a second after {moment:.2f} s", beside=again, others=others)
