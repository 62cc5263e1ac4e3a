"""Signals that ask a training to stop: it saves its state first."""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

EXIT_STATUS = 75
"""EX_TEMPFAIL of sysexits.h: nothing is wrong, start again to go on."""

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Interrupted(Exception):  # noqa: N818 - it is an outcome, not an error
    """Training was asked to stop and has saved its state."""


class Stop:
    """Whether a signal has asked to stop."""

    def __init__(self) -> None:
        self.signal: str | None = None

    def __bool__(self) -> bool:
        return self.signal is not None


@contextlib.contextmanager
def stop_on_signal(once: bool = True) -> Iterator[Stop]:
    """Yield a flag that SIGTERM and SIGINT raise instead of ending the process.

    Parameters
    ----------
    once
        Whether a second signal of the same kind does what it usually does, so that a stuck process
        can still be stopped. A rank gets a signal from its launcher and perhaps from the queue too,
        and must not die of it while others save.
    """
    stop = Stop()
    before = {number: signal.getsignal(number) for number in _SIGNALS}

    def ask(number: int, _frame: FrameType | None) -> None:
        stop.signal = signal.Signals(number).name
        if once:
            signal.signal(number, before[signal.Signals(number)])

    for number in _SIGNALS:
        signal.signal(number, ask)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
