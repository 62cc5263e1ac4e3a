"""What a machine does to whole runs of a small study, of which one cell is made anew."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import machine
from checkouts import DONE, FAULT, SKEW, Checkout, end, forget_cell, result, run, start
from healings import numbers

_YEAR = 365 * 86400
_ASIDE = ("logs", "benchmarks", ".snakemake")


def one(
    name: str, source: Path, root: Path, study: str, draw: random.Random
) -> tuple[str, str, str]:
    """Bring a finished study into a folder, and return what came of one trial there."""
    for path in root.iterdir():
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    shutil.copytree(source, root, symlinks=True, dirs_exist_ok=True)
    place = Checkout(root, study, machine.apart(numbers, root))
    return RUNS[name].make(place, draw)


def full_disk(place: Checkout, draw: random.Random) -> tuple[str, str, str]:
    """Fill the disk of results and state, or of all there is."""
    everything, left = draw.random() < 0.5, int(1000 * 3000 ** draw.random())
    forget_cell(place, draw)
    with contextlib.ExitStack() as mounts:
        for name in () if everything else _ASIDE:
            mounts.enter_context(_elsewhere(place.root / name))
        filler = machine.fill(place.root, left)
        ended = run(place)
        filler.unlink()
    told = f"{machine.pages(left)} bytes left of {'everything' if everything else 'the results'}"
    clear = "No space left on device" in ended.said or " is full: " in ended.said
    wrong = None if clear or not ended.status else "the run does not say that the disk is full"
    if not everything and "Traceback" in ended.said:
        wrong = "a traceback"
    return result(place, told, ended, wrong)


@contextlib.contextmanager
def _elsewhere(folder: Path) -> Iterator[None]:
    """Have a folder on another disk."""
    with tempfile.TemporaryDirectory(dir=folder.parents[1]) as name:
        shutil.copytree(folder, name, symlinks=True, dirs_exist_ok=True)
        machine.mount("--bind", name, folder)
        try:
            yield
        finally:
            shutil.copytree(name, f"{folder}.new", symlinks=True)
            machine.unmount(folder)
            shutil.rmtree(folder)
            Path(f"{folder}.new").rename(folder)


def two_runs(place: Checkout, draw: random.Random) -> tuple[str, str, str]:
    """Start a second run while the first one goes on."""
    forget_cell(place, draw)
    pause = draw.choice((0.0, draw.random() * 20))
    first = start(place, "snakemake")
    time.sleep(pause)
    second = start(place, "snakemake")
    ends = [end(first), end(second)]
    refused = [one for one in ends if one.status]
    wrong = None
    if len(refused) == 2:
        wrong = "both were refused"
    elif refused and "lock" not in refused[0].said.lower():
        wrong = "the second was not refused for the lock"
    said = refused[0] if refused else ends[0]
    return result(place, f"a second after {pause:.1f} s", said, wrong)


def two_without_lock(place: Checkout, draw: random.Random) -> tuple[str, str, str]:
    """Have two runs go on at once, which Snakemake has been told to allow."""
    forget_cell(place, draw)
    pause = draw.choice((0.0, draw.random() * 10))
    first = start(place, "snakemake", "--nolock")
    time.sleep(pause)
    second = start(place, "snakemake", "--nolock")
    ends = [end(first), end(second)]
    failed = [one for one in ends if one.status] or ends
    wrong = "a traceback" if any("Traceback" in one.said for one in ends) else None
    return result(place, f"a second without lock after {pause:.1f} s", failed[0], wrong)


def clock(place: Checkout, draw: random.Random) -> tuple[str, str, str]:
    """Let the clock jump while a study runs."""
    forget_cell(place, draw)
    offset = place.root.parent / "clock"
    offset.write_text("+0\n")
    jumps = []
    more = {"FAKETIME_TIMESTAMP_FILE": str(offset), "FAKETIME_CACHE_DURATION": "1"}
    more |= {"FAKETIME_DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1"}
    # The command would set a time of its own; the library reads the file.
    process = start(place, "snakemake", LD_PRELOAD=str(_faketime()), **more)
    while process.poll() is None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(draw.random() * 10)
        jumps.append(int(draw.choice((3600, 86400, _YEAR)) * draw.uniform(-5, 5)))
        offset.write_text(f"{jumps[-1]:+d}\n")
    ended = end(process)
    clear = SKEW in ended.said or not ended.status
    wrong = None if clear else f"the run failed under the clock: {ended.said[-1000:]}"
    return result(place, f"{len(jumps)} jumps", ended, wrong or _negative(place))


def _faketime() -> Path:
    return next(Path("/usr/lib").rglob("libfaketime.so.1"))


def _negative(place: Checkout) -> str | None:
    """Return which record tells a negative duration."""
    import json

    for path in place.root.glob("results/cells/**/*.json"):
        record = json.loads(path.read_text())
        if any(record.get(name, 0) < 0 for name in ("seconds", "wall_seconds")):
            return f"{path} tells of negative seconds"
    return None


def file_times(place: Checkout, draw: random.Random) -> tuple[str, str, str]:
    """Run in two parts, the first of which a wrong clock wrote."""
    forget_cell(place, draw)
    shift = draw.choice((3600, 86400, _YEAR)) * draw.uniform(-3, 3)
    until = draw.choice(("train_cell", "evaluate_losses", "tabulate_cells", "fit_laws"))
    began = time.time()
    first = run(place, "snakemake", "--until", until)
    for path in place.root.rglob("*"):
        stat = path.lstat()
        if stat.st_mtime >= began and path.is_file() and "src" not in path.parts:
            os.utime(path, (stat.st_atime, stat.st_mtime + shift))
    wrong = f"the first part failed: {first.said[-1000:]}" if first.status else None
    second = run(place)
    if second.status and SKEW not in second.said:
        wrong = f"the second part failed: {second.said[-1000:]}"
    return result(place, f"{until} {shift / 3600:+.1f} h", second, wrong)


def touched(place: Checkout, draw: random.Random) -> tuple[str, str, str]:
    """Give files times of the past and future; nothing is to run for that."""
    files = sorted(
        p for name in ("results", "text") for p in (place.root / name).rglob("*") if p.is_file()
    )
    chosen = draw.sample(files, draw.randint(1, 60))
    for path in chosen:
        moment = time.time() + draw.choice((60, 86400, _YEAR)) * draw.uniform(-5, 5)
        os.utime(path, (moment, moment))
    planned = run(place, "snakemake", "--dry-run")
    idle = "Nothing to be done" in planned.said
    wrong = None if idle or planned.status else f"runs again: {planned.said[-1500:]}"
    return f"{len(chosen)} files", DONE if idle else FAULT, wrong or ""


def late_files(place: Checkout, draw: random.Random) -> tuple[str, str, str]:
    """Let outputs appear some seconds after their job has ended, as on a shared disk."""
    cell = forget_cell(place, draw)
    name = draw.choice(("losses.json", "tasks.json", "metrics.json", "curve.parquet"))
    delay, stop = draw.random() * 8, threading.Event()
    path = place.root / cell / name
    with _hidden(path, delay, stop):
        ended = run(place)
    return result(place, f"{name} {delay:.1f} s late", ended, None)


@contextlib.contextmanager
def _hidden(path: Path, delay: float, stop: threading.Event) -> Iterator[None]:
    def hide() -> None:
        while not stop.is_set():
            if path.exists():
                aside = path.with_name(f"{path.name}.late")
                path.rename(aside)
                time.sleep(delay)
                if not path.exists():
                    aside.rename(path)
                return
            time.sleep(0.0005)

    thread = threading.Thread(target=hide)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


class Kind(NamedTuple):
    """A kind of condition of a whole run."""

    make: Callable[[Checkout, random.Random], tuple[str, str, str]]
    without: tuple[Callable[[], str | None], ...] = ()
    """Say why a machine cannot have it."""


RUNS = {
    "run, full disk": Kind(full_disk, (machine.without_mounts,)),
    "two runs": Kind(two_runs),
    "two, no lock": Kind(two_without_lock),
    "clock jumps": Kind(clock, (machine.without_faketime,)),
    "wrong clock": Kind(file_times),
    "files touched": Kind(touched),
    "late files": Kind(late_files),
}
"""By name."""
