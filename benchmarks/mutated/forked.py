"""Tests in a process forked from one that has imported the libraries, which take longest."""

from __future__ import annotations

import contextlib
import importlib
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from mutated.operators import Mutant

_LIBRARIES = (
    "numpy pandas pyarrow.parquet scipy.optimize scipy.stats duckdb torch numba pydantic yaml "
    "matplotlib.pyplot jsonschema statsmodels.api"
)
_UNLIMITED = 1e6
STUCK = 60.0
"""Seconds without any work after which tests count as stuck."""
CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGFPE, signal.SIGILL)
"""Signals of a process that crashed by itself."""
_ARGUMENTS = ["-q", "-p", "no:xdist", "-p", "no:cacheprovider", "-p", "no:faulthandler"]


class Outcome(NamedTuple):
    """What came of tests.

    Attributes
    ----------
    noticed : bool or None
        Whether a test failed; None if time ran out before it was known.
    by : str
        The first test that failed, or what else happened.
    """

    noticed: bool | None
    by: str
    seconds: float


def warm() -> None:
    """Import what tests import, but nothing of this package."""
    # Beside the commands lies a file with the name of a library.
    here = Path(__file__).parents[1]
    sys.path[:] = [path for path in sys.path if Path(path).resolve() != here]
    for name in _LIBRARIES.split():
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def run(tree: Path, tests: Sequence[str], cpu: float) -> Outcome:
    """Run tests of a tree up to the first that fails, for so many seconds of the processor."""
    with tempfile.TemporaryDirectory() as folder:
        out, started = Path(folder) / "out", time.monotonic()
        status = _forked(tree, [*_ARGUMENTS, "-x", *tests], _First(out), cpu)
        seconds = time.monotonic() - started
        said = out.read_text() if out.exists() else ""
    code = -signal.SIGXCPU if status is None else status
    if said or code in (1, 2, 3) or -code in CRASHES:
        return Outcome(True, said or f"exit {code}", seconds)
    if code == -signal.SIGXCPU:
        return Outcome(None, "out of time", seconds)
    return Outcome(False if code == 0 else None, f"exit {code}", seconds)


def in_loop(tree: Path, files: Sequence[Path], loop: object) -> None:
    """Collect the tests of some files in a process and let a plugin run them."""
    _forked(tree, [*_ARGUMENTS, "--capture=sys", *map(str, files)], loop, _UNLIMITED)


def _forked(tree: Path, arguments: Sequence[str], plugin: object, cpu: float) -> int | None:
    """Return the status of a process that runs tests; None if it had to be ended."""
    base = tempfile.mkdtemp()
    child = os.fork()
    if child == 0:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_CPU, (int(cpu) + 1, int(cpu) + 20))
        os.chdir(tree)
        sys.path.insert(0, str(tree / "src"))
        sys.dont_write_bytecode = True
        os.environ.update(PYTHONPATH=str(tree / "src"), PYTHONDONTWRITEBYTECODE="1")
        null = os.open(os.environ.get("MUTANTS_LOG", os.devnull), os.O_RDWR | os.O_CREAT)
        for number in (0, 1, 2):
            os.dup2(null, number)
        code = 70
        with contextlib.suppress(BaseException):
            code = int(pytest.main([*arguments, f"--basetemp={base}/tests"], [plugin]))
        os._exit(code)
    # What waits for mutants hardly works itself.
    status = waited(child, 20 * cpu + 60, STUCK if cpu < _UNLIMITED else cpu)
    os.system(f"rm -rf {base}")
    return status


def waited(child: int, wall: float, stuck: float = STUCK) -> int | None:
    """Wait for a process and end all it started; its exit code, None if it had to be ended.

    It is ended after some seconds, or when nothing of its session has worked for some.
    """
    until, status = time.monotonic() + wall, None
    busy, used, look = time.monotonic(), -1, 0.0
    while status is None and time.monotonic() < min(until, busy + stuck):
        ended, code = os.waitpid(child, os.WNOHANG)
        status = os.waitstatus_to_exitcode(code) if ended else None
        if time.monotonic() > look:
            look = time.monotonic() + 5
            if (now := _used(child)) != used:
                busy, used = time.monotonic(), now
        time.sleep(0.02)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    if status is None:
        os.waitpid(child, 0)
    return status


def _used(session: int) -> int:
    """Ticks of the processor that the processes of a session have used."""
    ticks = 0
    for file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # A name may have blanks and brackets: fields are counted from its end.
            fields = file.read_text().rpartition(")")[2].split()
            if int(fields[3]) == session:
                ticks += int(fields[11]) + int(fields[12])
    return ticks


@contextlib.contextmanager
def changed(file: Path, mutant: Mutant) -> Iterator[None]:
    """Write a mutant to a file, and put back what was there."""
    source, stat = file.read_bytes(), file.stat()
    try:
        file.write_bytes(mutant.applied(source))
        # Python compares size and time with what it compiled.
        os.utime(file, (stat.st_atime + 1000, stat.st_mtime + 1000))
        yield
    finally:
        file.write_bytes(source)
        os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))


class _First:
    """Writes the name of the first test that fails."""

    def __init__(self, out: Path) -> None:
        self._out = out

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and not self._out.exists():
            self._out.write_text(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed and not self._out.exists():
            self._out.write_text(f"import for {report.nodeid}")
