"""Mutants in processes forked from one that has collected the tests of a room.

Nothing is imported again: functions that live already get the code of the changed file, which is
also written, for processes that tests start.
"""

from __future__ import annotations

import gc
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import CodeType, FunctionType, ModuleType

import pytest

from mutated.chosen import COMPILED, order
from mutated.forked import CRASHES, Outcome, changed, waited
from mutated.operators import Mutant

Answer = Callable[[Mutant, Outcome | None], None]


def swap(path: Path, source: bytes) -> int:
    """Give all functions of a file the code of another source; return how many changed."""
    codes = {
        (code.co_qualname, code.co_firstlineno): code
        for code in _codes(compile(source, str(path), "exec", dont_inherit=True))
    }
    changed = 0
    for one in gc.get_objects():
        # Some objects are imported when asked what they are.
        if type(one) is FunctionType and one.__code__.co_filename == str(path):
            code = codes.get((one.__code__.co_qualname, one.__code__.co_firstlineno))
            if code is not None and code != one.__code__:
                one.__code__ = code
                changed += 1
    return changed


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for one in code.co_consts:
        if isinstance(one, CodeType):
            yield from _codes(one)


class Loop:
    """Runs the collected tests once for every mutant, up to the first that fails.

    Parameters
    ----------
    package
        Of the copy whose files are changed.
    mutants
        In the order they are tried in.
    cpu
        Seconds of the processor for each.
    answer
        Takes the mutant and what came of it; None if a new process has to tell: its code is in no
        function, or it survived.
    """

    def __init__(
        self, package: Path, mutants: Sequence[Mutant], cpu: float, answer: Answer
    ) -> None:
        self._package, self._mutants = package, mutants
        self._cpu, self._answer = cpu, answer

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        for mutant in self._mutants:
            started = time.monotonic()
            path = self._package / mutant.path
            with changed(path, mutant):
                said = self._forked(session, mutant, path)
            first = said.partition(" ")[0]
            outcome = Outcome(first == "noticed" or None, said, time.monotonic() - started)
            # What was computed when the file was imported is still that of the code before.
            self._answer(mutant, None if first in ("not", "survived") else outcome)
        return True

    def _forked(self, session: pytest.Session, mutant: Mutant, path: Path) -> str:
        if mutant.path.startswith(COMPILED):
            return "not swapped"
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            os.setsid()
            resource.setrlimit(resource.RLIMIT_CPU, (int(self._cpu) + 1, int(self._cpu) + 5))
            try:
                said = self._run(session, mutant, path)
            except BaseException as error:
                said = f"broken: {error!r}"
            os.write(write, said.encode())
            os._exit(0)
        os.close(write)
        status = waited(child, 30 * self._cpu)
        # What tests started may still hold the other end.
        os.set_blocking(read, False)
        with suppress(BlockingIOError):
            said = os.read(read, 4096).decode()
        os.close(read)
        if not said and status is not None and -status in CRASHES:
            return f"noticed by signal {-status}"
        return said or "out of time"

    def _run(self, session: pytest.Session, mutant: Mutant, path: Path) -> str:
        loaded = [
            vars(one).get("__file__") for one in sys.modules.values() if type(one) is ModuleType
        ]
        if not swap(path, path.read_bytes()) and str(path) in loaded:
            return "not swapped"
        items = sorted(session.items, key=lambda item: order(mutant, item.path))
        first: list[str] = []
        hook = session.config.hook
        session.config.pluginmanager.register(_First(first))
        for item, following in zip(items, [*items[1:], None], strict=True):
            hook.pytest_runtest_protocol(item=item, nextitem=following)
            if first:
                return f"noticed by {first[0]}"
        return f"survived {len(items)} tests"


class _First:
    def __init__(self, found: list[str]) -> None:
        self._found = found

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._found.append(report.nodeid)
