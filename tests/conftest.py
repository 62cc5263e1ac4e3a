"""What holds for all tests."""

import signal
import sys


def pytest_configure() -> None:
    """Let Ctrl-C reach the processes that tests start, whoever started this one.

    A shell starts what runs in its background with SIGINT ignored, and children inherit that.
    """
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_runtest_setup() -> None:
    """Undo what training in this process did to its arithmetic.

    Training flushes denormal numbers to zero, which other tests must not depend on.
    """
    if "torch" in sys.modules:
        sys.modules["torch"].set_flush_denormal(False)
