"""open_lm as a child process that never outlives its parent."""

import contextlib
import ctypes
import fcntl
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from scalebed.core.errors import ScalebedError

_PR_SET_PDEATHSIG = 1
_GRACE_SECONDS = 20.0
_LOCK_SECONDS = 60.0


@contextlib.contextmanager
def started(
    command: list[str], folder: Path, log: Path, environment: Mapping[str, str]
) -> Iterator["subprocess.Popen[bytes]"]:
    """Start a command in a folder and yield it; it is stopped when the block ends.

    It also gets SIGTERM when this process is killed (on Linux). It holds a lock as long as it
    lives, so that a later attempt waits for what is left of this one.

    Raises
    ------
    ScalebedError
        If an earlier attempt's process does not end.
    """
    prctl = getattr(ctypes.CDLL(None), "prctl", None)

    def before() -> None:
        if prctl is not None:
            prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)

    with (folder / "running").open("a") as lock, log.open("ab") as output:
        _wait_for(lock.fileno(), folder)
        process = subprocess.Popen(
            *(command,),
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=(lock.fileno(),),
            # Ctrl-C goes to a whole group: we pass it on when we are ready.
            start_new_session=True,
            preexec_fn=before,
        )
        try:
            yield process
        finally:
            stop(process)


def _wait_for(lock: int, folder: Path) -> None:
    end = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > end:
                raise ScalebedError(
                    f"the open_lm of an earlier attempt is still running in {folder}; stop it"
                ) from None
            time.sleep(0.1)


def stop(process: "subprocess.Popen[bytes]") -> None:
    """Stop a process started here: SIGTERM, which torchrun passes on, and in the end SIGKILL."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def last_words(log: Path) -> str:
    """Return the line of a log that most likely says what went wrong."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines()]
    # Python names the exception first; torchrun and DataLoader add lines of their own below it.
    said = re.compile(r"(\[rank\d+\]: )?[\w.]*(Error|Exception)\b")
    errors = [line for line in lines if said.match(line)]
    return (errors or [line for line in lines if line] or ["it wrote nothing"])[-1]
