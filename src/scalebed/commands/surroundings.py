"""What to say where the machine fails a command: disk, memory, permissions, files that vanish."""

from __future__ import annotations

import errno
from typing import Final

from scalebed.core.shortage import is_shortage

_DISK: Final = frozenset(
    (
        *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM),
        *(errno.EIO, errno.ESTALE, errno.ENOENT, errno.EMFILE, errno.ENFILE, errno.ETIMEDOUT),
    )
)


def advice(error: BaseException) -> str | None:
    """Return in a sentence what the machine did not give; None if something else is wrong.

    Parameters
    ----------
    error
        What ended a command.
    """
    said = " ".join(str(error).split()) or type(error).__name__
    if is_shortage(error):
        return f"the memory of this machine, or what is allowed of it, does not suffice: {said}"
    if isinstance(error, OSError) and error.errno in _DISK and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, OSError) and error.errno in _DISK - {errno.ENOENT}:
        return said
    return None
