"""Whose server it is: the main process of one workflow on this machine, and how long that lives."""

import os
import sys
from typing import NamedTuple

VARIABLE = "SCALEBED_SHARE_OWNER"
"""Set by the main process of a local workflow; names it and the folder of its sockets."""
SWITCH = "SCALEBED_SHARE"
"""Set to 0 by whoever wants every job to be a process of its own."""
_LONGEST_FOLDER = 70  # the path of a Unix socket has 107 bytes at the most
_PR_SET_PDEATHSIG = 1


class Owner(NamedTuple):
    """The process servers work for."""

    pid: int
    started: int
    """When it started, in ticks since boot; tells it from a later process with the same number."""
    host: str
    folder: str
    """Private folder of the sockets."""

    def text(self) -> str:
        """Return the owner as one word."""
        return ":".join(map(str, self))

    def alive(self) -> bool:
        """Tell whether the process is there, on this machine."""
        return self.host == os.uname().nodename and _start_ticks(self.pid) == self.started


def read_owner(text: str) -> Owner | None:
    """Return the owner that `Owner.text` gave, or None if the word is of another form."""
    try:
        pid, started, host, folder = text.split(":", 3)
        return Owner(int(pid), int(started), host, folder)
    except ValueError:
        return None


def _start_ticks(pid: int) -> int | None:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            # The name of the program comes second, in brackets, and may hold anything.
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def offer(local: bool) -> bool:
    """Let the jobs that this process starts from now on share processes, if they can.

    Called by the workflow before its first job. Jobs find the owner in their environment.

    Parameters
    ----------
    local
        Whether this is the main process of a workflow whose jobs run on this machine. A cluster's
        jobs share nothing: it would kill, and could not account for, what is no child of theirs.

    Returns
    -------
    bool
        Whether they share. Not on a machine with a GPU, since a process that is forked cannot use
        one that its parent has touched; nor without pidfd (Linux 5.3).
    """
    os.environ.pop(VARIABLE, None)
    if not local or os.environ.get(SWITCH) == "0" or not _possible():
        return False
    import atexit
    import shutil
    import tempfile

    ticks = _start_ticks(os.getpid())
    folder = tempfile.mkdtemp(prefix="scalebed-")
    atexit.register(_leave, os.getpid(), folder)
    if ticks is None or len(os.fsencode(folder)) > _LONGEST_FOLDER:
        shutil.rmtree(folder, ignore_errors=True)
        return False
    os.environ[VARIABLE] = Owner(os.getpid(), ticks, os.uname().nodename, folder).text()
    return True


def _leave(pid: int, folder: str) -> None:
    """Remove the folder of the sockets at the end of the process that made it, not of a fork."""
    import shutil

    if os.getpid() == pid:
        shutil.rmtree(folder, ignore_errors=True)


def _possible() -> bool:
    devices = os.listdir("/dev") if sys.platform == "linux" else []
    gpus = any(name == "kfd" or (name[:6] == "nvidia" and name[6:].isdigit()) for name in devices)
    return bool(devices) and not gpus and hasattr(os, "pidfd_open")


def die_with_parent(parent: int, number: int) -> None:
    """Have the kernel send this process a signal when its parent ends.

    Raises
    ------
    OSError
        If the kernel refuses, or the parent has ended already.
    """
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
    if os.getppid() != parent:
        raise OSError("the parent has ended")


def count_threads() -> int:
    """Return the number of threads of this process, those of C libraries included."""
    return len(os.listdir("/proc/self/task"))
