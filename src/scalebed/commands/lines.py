"""Lines of output, each of which is one whatever is in it."""

from scalebed.core.shown import in_line


def print_lines(*lines: str) -> None:
    """Print lines; a line break in a name, that of a file say, begins none.

    Parameters
    ----------
    *lines : str
        What is printed.
    """
    for line in lines:
        print(in_line(line))
