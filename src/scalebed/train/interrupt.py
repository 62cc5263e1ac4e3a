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


def end_on_sigterm() -> None:
    """Let SIGTERM end this process with `EXIT_STATUS` while no training is there to be asked.

    Before there is a step to save and after the state is saved it means the same: start again. A
    queue that sends it twice would otherwise have the process die of the second one.
    """
    signal.signal(signal.SIGTERM, _end)


def _end(_number: int, _frame: FrameType | None) -> None:
    # Python gives its own handlers up while it shuts down, but keeps to what is ignored.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise SystemExit(EXIT_STATUS)


@contextlib.contextmanager
def stop_on_signal(once: bool = True) -> Iterator[Stop]:
    """Yield a flag that SIGTERM and SIGINT raise instead of ending the process.

    A second SIGINT does what it usually does, so that a stuck process can still be stopped by hand.
    SIGTERM only ever asks: Slurm sends it several times, to the step, to the job and at the time
    limit, often before the state is saved, and means it by SIGKILL.

    Parameters
    ----------
    once
        Whether that holds for SIGINT. A rank gets a signal from its launcher and perhaps from the
        queue or the terminal too, and must not die of it while others save.
    """
    stop = Stop()
    before = {number: signal.getsignal(number) for number in _SIGNALS}

    def ask(number: int, _frame: FrameType | None) -> None:
        stop.signal = signal.Signals(number).name
        if once and number == signal.SIGINT:
            signal.signal(number, before[signal.SIGINT])

    for number in _SIGNALS:
        signal.signal(number, ask)
    failed = False
    try:
        yield stop
    except BaseException:
        failed = True
        raise
    finally:
        # Once asked, the process is about to end: asking again changes nothing. Nor does it for a
        # rank that failed, most likely because another is gone: its launcher now sends SIGTERM, and
        # has to hear of the failure instead.
        ending = stop or (failed and not once)
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if ending and handler is _end else handler)
