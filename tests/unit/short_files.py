"""A limit on the length of files, which writes run into as into a full disk, without root."""

import contextlib
import resource
from collections.abc import Iterator


@contextlib.contextmanager
def short_files(most: int) -> Iterator[None]:
    """Let no file of this process grow beyond so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
