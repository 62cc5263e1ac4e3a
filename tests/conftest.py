"""What holds for all tests."""

import sys


def pytest_runtest_setup() -> None:
    """Undo what training in this process did to its arithmetic.

    Training flushes denormal numbers to zero, which other tests must not depend on.
    """
    if "torch" in sys.modules:
        sys.modules["torch"].set_flush_denormal(False)
