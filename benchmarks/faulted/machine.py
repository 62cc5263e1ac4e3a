"""What the campaign of conditions asks of a machine: processes and mounts of its own, limits."""

from __future__ import annotations

import ctypes
import os
import pickle
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

NOBODY = 65534
CGROUP = Path("/sys/fs/cgroup/memory")
_NEW_MOUNTS = 0x20000


def apart(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a function returns in a process of its own.

    What is forked from here has to find one thread, and much of what reads files starts some.
    """
    reading, writing = os.pipe()
    if not (process := os.fork()):
        os.close(reading)
        with os.fdopen(writing, "wb") as pipe:
            try:
                pickle.dump((True, function(*arguments)), pipe)
            except BaseException as error:
                pickle.dump((False, f"{type(error).__name__}: {error}"), pipe)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        content = pipe.read()
    os.waitpid(process, 0)
    done, value = pickle.loads(content) if content else (False, "its process died")
    if not done:
        raise RuntimeError(value)
    return value


def own_mounts() -> None:
    """Let this process and its children have mounts that nobody else sees and that end with them.

    Raises
    ------
    OSError
        If the machine does not allow it.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_NEW_MOUNTS):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    mount("--make-rprivate", "/")


def mount(*words: str | Path) -> None:
    """Run ``mount``."""
    done = subprocess.run(["mount", *map(str, words)], capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"mount {' '.join(map(str, words))}: {done.stderr.strip()}")


def unmount(folder: Path) -> None:
    """Take the topmost mount away from a folder."""
    subprocess.run(["umount", "--lazy", str(folder)], capture_output=True, check=True)


def without_mounts() -> str | None:
    """Return why nothing can be mounted here; None if it can."""
    if os.geteuid() != 0:
        return "mounts need root"

    def tried() -> None:
        own_mounts()
        mount("-t", "tmpfs", "none", "/mnt")

    try:
        apart(tried)
    except RuntimeError as error:
        return f"this machine refuses mounts: {error}"
    return None


def without_root() -> str | None:
    """Return why nobody else can be played; None if it can."""
    return None if os.geteuid() == 0 else "to become another user needs root"


def without_cgroup() -> str | None:
    """Return why the memory of a process cannot be limited for good; None if it can."""
    if not (CGROUP / "memory.limit_in_bytes").exists() or not os.access(CGROUP, os.W_OK):
        return f"no folder of memory control groups to write at {CGROUP}"
    return None


def without_faketime() -> str | None:
    """Return why clocks cannot be set for single processes; None if they can."""
    return None if shutil.which("faketime") else "there is no command faketime (Debian: faketime)"


def pages(size: int) -> int:
    """Return a size as a whole number of pages, which is how a disk in memory counts."""
    return size // 4096 * 4096


def fill(folder: Path, left: int) -> Path:
    """Fill the disk of a folder but for so many bytes, and return the file that does."""
    filler = folder / "filler"
    free = os.statvfs(folder)
    taken = free.f_bavail * free.f_frsize - pages(left)
    with filler.open("wb") as file:
        if taken > 0:
            os.posix_fallocate(file.fileno(), 0, taken)
    return filler
