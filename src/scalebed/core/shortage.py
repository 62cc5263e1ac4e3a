"""Whether an error says that memory or threads were short: nothing is wrong with a file then."""

_WORDS = (
    *("can't allocate memory", "Cannot allocate memory", "cannot allocate memory"),
    *("out of memory", "Out of Memory", "bad_alloc", "can't start new thread"),
    *("Failed to launch worker thread", "thread pool has not been initialized"),
    "can't spawn worker thread",
)
"""How libraries say it that have no exception of Python's for it."""


def is_shortage(error: BaseException) -> bool:
    """Tell whether an error is for want of memory or threads."""
    return isinstance(error, MemoryError) or any(words in str(error) for words in _WORDS)
