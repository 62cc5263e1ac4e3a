"""The one exception whose text is meant for the person at the keyboard."""

from scalebed.core.shown import sentence


class ScalebedError(Exception):
    """Bad input or a broken environment, told in one sentence.

    The sentence names the file, key or row, the value found, and what was expected; a long value is
    cut, and control characters are written out. The command line prints it and exits with status 2;
    nothing else in the package catches it.
    """

    def __init__(self, message: str) -> None:
        super().__init__(sentence(message))
