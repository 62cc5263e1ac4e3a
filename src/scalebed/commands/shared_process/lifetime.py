"""Whose servers they are: the main process of one workflow on this machine."""

import os
import sys

VARIABLE = "SCALEBED_SERVERS"
"""Names the main process of a local workflow and the folder of its sockets: ``PID:FOLDER``."""
SWITCH = "SCALEBED_SHARE"
"""Set to 0 by whoever wants every job to be a process of its own."""

_PREFIX = "scalebed-run-"


def offer(local: bool) -> bool:
    """Let the jobs that this process starts from now on share processes; tell whether they can.

    Parameters
    ----------
    local
        Whether this is the main process of a workflow whose jobs run on this machine. A cluster's
        jobs share nothing: it would kill, and could not account for, what is no child of theirs.
    """
    os.environ.pop(VARIABLE, None)
    if not local or os.environ.get(SWITCH) == "0" or not possible():
        return False
    import atexit
    import contextlib
    import tempfile
    from pathlib import Path

    from scalebed.core.aside import folder_in

    held = contextlib.ExitStack()
    # Those of main processes that were killed, and all their servers, go as well.
    folder = held.enter_context(folder_in(Path(tempfile.gettempdir()), _PREFIX))
    atexit.register(held.close)
    os.environ[VARIABLE] = f"{os.getpid()}:{folder}"
    return True


def possible() -> bool:
    """Tell whether processes can be shared on this machine.

    Not with a GPU, which a forked process cannot use once its parent has touched it, nor without
    pidfd (Linux 5.3).
    """
    devices = os.listdir("/dev") if sys.platform == "linux" else []
    gpus = any(name == "kfd" or (name[:6] == "nvidia" and name[6:].isdigit()) for name in devices)
    return bool(devices) and not gpus and hasattr(os, "pidfd_open")
