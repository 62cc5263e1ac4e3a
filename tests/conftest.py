"""What holds for all tests."""

import signal
import sys


def pytest_configure() -> None:
    """Let signals of the keyboard reach the processes that tests start, whoever started this one.

    A shell starts what runs in its background with some ignored, and children inherit that.
    """
    usual = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGQUIT: signal.SIG_DFL,
        # What nohup ignores.
        signal.SIGHUP: signal.SIG_DFL,
    }
    for number, handler in usual.items():
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, handler)


def pytest_runtest_setup() -> None:
    """Undo what training in this process did to its arithmetic.

    Training flushes denormal numbers to zero, which other tests must not depend on.
    """
    if "torch" in sys.modules:
        sys.modules["torch"].set_flush_denormal(False)
