"""Tests in a process forked from one that has imported the libraries, which take longest."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import resource
import signal
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple

import pytest

_LIBRARIES = (
    "numpy pandas pyarrow.parquet scipy.optimize scipy.stats duckdb torch numba pydantic yaml "
    "matplotlib.pyplot jsonschema statsmodels.api"
)
# Of pytest, and signals of a process that crashed by itself.
_FAILED = (1, 2, 3, -signal.SIGSEGV, -signal.SIGABRT, -signal.SIGFPE, -signal.SIGILL)
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
    code = -signal.SIGXCPU if status is None else os.waitstatus_to_exitcode(status)
    if said or code in _FAILED:
        return Outcome(True, said or f"exit {code}", seconds)
    if code == -signal.SIGXCPU:
        return Outcome(None, "out of time", seconds)
    return Outcome(False if code == 0 else None, f"exit {code}", seconds)


def reached(tree: Path, file: str, cpu: float) -> dict[str, Any] | None:
    """Run one file of tests and return which functions of the package each of them called.

    Tests that do not begin within the time are left out.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        _forked(tree, [*_ARGUMENTS, file], _Reached(tree, out), cpu)
        return json.loads(out.read_text()) if out.exists() else None


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
    until, status = time.monotonic() + 20 * cpu + 60, None
    while status is None and time.monotonic() < until:
        ended, code = os.waitpid(child, os.WNOHANG)
        status = code if ended else None
        time.sleep(0.02)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    if status is None:
        os.waitpid(child, 0)
    os.system(f"rm -rf {base}")
    return status


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


class _Reached:
    """Writes the functions that each test calls; those of shared fixtures count for all of a file.

    Functions are named ``path:qualified name``.
    """

    def __init__(self, tree: Path, out: Path) -> None:
        self._package, self._out = f"{tree}/src/scalebed/", out
        self._calls: dict[str, set[CodeType]] = defaultdict(set)
        self._now = self._calls["*"]
        self._seconds: dict[str, float] = defaultdict(float)
        self._failed: list[str] = []
        signal.signal(signal.SIGXCPU, signal.default_int_handler)
        threading.settrace(self._trace)
        sys.settrace(self._trace)

    def _trace(self, frame: FrameType, event: str, argument: object) -> None:
        self._now.add(frame.f_code)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Any:
        self._now = self._calls[item.nodeid]
        try:
            return (yield)
        finally:
            self._now = self._calls["*"]

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Any:
        before = self._now
        self._now = before if fixturedef.scope == "function" else self._calls["*"]
        try:
            return (yield)
        finally:
            self._now = before

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._seconds[report.nodeid] += report.duration
        if report.failed:
            self._failed.append(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        sys.settrace(None)
        length = len(self._package)
        names = {
            test: sorted(
                {
                    f"{code.co_filename[length:]}:{code.co_qualname}"
                    for code in calls
                    if code.co_filename.startswith(self._package)
                }
            )
            for test, calls in self._calls.items()
        }
        files = [getattr(module, "__file__", None) or "" for module in sys.modules.values()]
        loaded = sorted(file[length:] for file in files if file.startswith(self._package))
        self._out.write_text(
            json.dumps(
                {
                    "calls": names,
                    "seconds": dict(self._seconds),
                    "failed": self._failed,
                    "loaded": loaded,
                }
            )
        )
