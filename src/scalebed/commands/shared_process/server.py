"""The server: imports once, then forks a process for each request.

``python -m scalebed.commands.shared_process.server OWNER SOCKET KIND`` with the listening socket as
stdin. It runs no operation of torch and has one thread, so that what it forks is as good as new; it
refuses to serve otherwise. It ends with its owner or when nobody has asked for a while.

How things end:

- A signal to a client is passed on to its process, by the client.
- A client has ended: its process, should it still be there, is killed before the next request.
- The owner is gone: every process gets SIGTERM, on which a training saves, and SIGKILL in a minute.
- The server is gone: the kernel kills its processes; their clients then run the verbs themselves.
"""

import atexit
import contextlib
import ctypes
import gc
import importlib
import marshal
import os
import resource
import select
import shutil
import signal
import socket
import sys
from pathlib import Path
from typing import NoReturn

from scalebed.commands import cli
from scalebed.commands.shared_process.client import socket_path

_MODULES = {
    "train": (
        "scalebed.train.cell",
        "scalebed.train.torch_backend",
        "scalebed.evaluate.losses",
        "scalebed.evaluate.scoring",
        "pandas",  # pyarrow imports it at its first array
    ),
    "tasks": (
        "scalebed.evaluate.tasks",
        "scalebed.evaluate.lm_eval_model",
        "scalebed.evaluate.measures",
        "lm_eval.evaluator",
    ),
    "analysis": (
        "scalebed.tables.tabulate",
        "scalebed.predict.study",
        "scalebed.tables.database",
        "scalebed.report.figures.render",
        "scalebed.report.write",
        "numba",
        "pandas",
        "scipy.optimize",
    ),
}
"""What a server of each kind imports; the rest is imported by whoever needs it."""
_PR_SET_PDEATHSIG = 1


def serve(listener: socket.socket, owner: int, idle_seconds: float = 60.0) -> list[int]:
    """Fork a process for each client; return the processes left when the owner has ended.

    Clients connect to `listener`; `owner` is a descriptor of the workflow's main process (pidfd).
    Nobody is waited for any longer after `idle_seconds` without a client, and none is left then.
    """
    jobs: dict[int, tuple[int, socket.socket]] = {}  # process and client, by its descriptor
    poll = select.poll()
    poll.register(owner, select.POLLIN)
    poll.register(listener, select.POLLIN)
    while True:
        ready = [descriptor for descriptor, _ in poll.poll(1000 * idle_seconds)]
        for descriptor in jobs.keys() & ready:
            poll.unregister(descriptor)
            pid, client = jobs.pop(descriptor)
            os.kill(pid, signal.SIGKILL)  # the number is nobody else's before it is waited for
            os.waitpid(pid, 0)
            client.close()
        if owner in ready or not (ready or jobs):
            return [pid for pid, _ in jobs.values()]
        if listener.fileno() in ready:
            client, _ = listener.accept()
            pid = os.fork()
            if not pid:
                _become_command(client)
            jobs[client.fileno()] = pid, client
            poll.register(client, 0)  # for its end alone: the message is for the process


def stop(processes: list[int], grace_seconds: float = 60.0) -> None:
    """Ask processes to end and wait for them, or else die, which they do not survive."""
    for pid in processes:
        os.kill(pid, signal.SIGTERM)
    signal.setitimer(signal.ITIMER_REAL, grace_seconds)
    for pid in processes:
        os.waitpid(pid, 0)


def _become_command(client: socket.socket) -> NoReturn:
    """Be, in a forked process, what the client would have been."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    message, files, _, _ = socket.recv_fds(client, 1 << 20, 4)  # the kernel sends nothing longer
    if len(files) != 4:  # the client has been killed meanwhile
        os._exit(1)
    *standard, answer = files
    os.set_inheritable(answer, False)
    for descriptor, file in enumerate(standard):
        os.dup2(file, descriptor)
        os.close(file)
    # A client that has been killed meanwhile reads no answer.
    with contextlib.suppress(BrokenPipeError):
        os.write(answer, b"%d\n" % os.getpid())
        # The client that started the server had blocked what it forwards. From here on it arrives.
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.write(answer, b"%d\n" % _run(marshal.loads(message)))
    # A usual end takes down what was imported, which takes longer than a client does to start.
    os._exit(0)


def _run(words: list[str]) -> int:
    """Run the verb as ``python -m scalebed`` does and return its exit status."""
    try:
        status = cli.main(words)
    except SystemExit as stopped:
        status = int(stopped.code or 0)
    except Exception:
        sys.excepthook(*sys.exc_info())
        status = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024e-6
    sys.stderr.write(f"{sum(os.times()[:4]):.1f} s of CPU, at most {peak:.0f} MB\n")
    return status & 0xFF


def _load(kind: str) -> None:
    """Import what the verbs of a kind need, and leave the environment as it was."""
    before = dict(os.environ)
    # Arrow's allocator starts a thread of its own when it is loaded, unless told not to.
    os.environ["JE_ARROW_MALLOC_CONF"] = "background_thread:false"
    if kind == "tasks":
        from scalebed.evaluate.loading import work_offline

        work_offline(Path("state"))
    for name in _MODULES[kind]:
        importlib.import_module(name)
    os.environ.clear()
    os.environ.update(before)
    # Collections of the forked processes would copy every page with an object on it.
    gc.collect()
    gc.freeze()


def main() -> None:
    """Serve."""
    pid, path, kind = sys.argv[1:]
    owner = os.pidfd_open(int(pid))
    with socket.socket(fileno=0) as listener:
        _load(kind)
        if socket_path(os.path.dirname(path), kind) != path:
            raise RuntimeError("the code was edited while it was imported")
        if (threads := len(os.listdir("/proc/self/task"))) > 1:
            raise RuntimeError(f"{threads} threads after the imports, expected one")
        left = serve(listener, owner)
        if select.select([owner], [], [], 0)[0]:
            shutil.rmtree(os.path.dirname(path), ignore_errors=True)
        else:
            os.unlink(path)
    stop(left)


if __name__ == "__main__":
    main()
