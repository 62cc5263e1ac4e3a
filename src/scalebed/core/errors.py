"""The one exception whose text is meant for the person at the keyboard."""


class ScalebedError(Exception):
    """Bad input or a broken environment, told in one sentence.

    The sentence names the file, key or row, the value found, and what was expected. The command
    line prints it and exits with status 2; nothing else in the package catches it.
    """
