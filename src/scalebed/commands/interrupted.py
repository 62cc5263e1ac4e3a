"""How a command ends that is stopped by ^C: by the signal, with a word and no traceback."""

import sys


def say_interrupted(*_: object) -> None:
    """Take the place of `sys.excepthook`; Python itself then ends by the signal."""
    print("scalebed: interrupted", file=sys.stderr)
