"""The server: imports once, then forks a process for each request.

``python -m scalebed.commands.shared_process.server OWNER SOCKET KIND`` with the listening socket
as descriptor 3. It runs no operation of torch and has one thread, so that what it forks is as good
as new; it refuses to serve otherwise. It ends with its owner or when nobody has asked for a while,
and it never sends a signal to anything but the processes it has forked.

How things end:

- A signal to a client is passed on to its process.
- A client that is gone without a word was killed: its process is killed, before the next request.
- The owner is gone: every process gets SIGTERM, on which a training saves, and SIGKILL in a minute.
- The server is gone: the kernel kills its processes; their clients then run the verbs themselves.
"""

import contextlib
import gc
import importlib
import os
import selectors
import shutil
import signal
import socket
import sys
import time
from pathlib import Path

from scalebed.commands.shared_process import protocol
from scalebed.commands.shared_process.lifetime import (
    Owner,
    count_threads,
    die_with_parent,
    read_owner,
)
from scalebed.commands.shared_process.process import become, run

_LISTENER = 3
_IDLE_SECONDS = 60.0
_GRACE_SECONDS = 60.0
_REQUEST_SECONDS = 5.0
_ALLOWED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
_TRAIN = (
    "scalebed.commands.cli",
    "scalebed.commands.train_cell",
    "scalebed.commands.rules",
    "scalebed.train.cell",
    "scalebed.train.torch_backend",
    "scalebed.evaluate.losses",
    "scalebed.evaluate.scoring",
    "scalebed.data.sequences",
    "pandas",  # pyarrow imports it at its first array
    "pyarrow.parquet",
)
_TASKS = (
    "scalebed.commands.cli",
    "scalebed.evaluate.tasks",
    "scalebed.evaluate.lm_eval_model",
    "scalebed.evaluate.encoding",
    "scalebed.evaluate.measures",
    "scalebed.data.tokenizer",
    "lm_eval.evaluator",
    "lm_eval.tasks",
)
MODULES = {"train": _TRAIN, "tasks": _TASKS}
"""What a server of each kind imports; the rest is imported by whoever needs it."""


class _Process:
    """A process forked for a client."""

    def __init__(self, pid: int, link: socket.socket) -> None:
        self.pid = pid
        self.handle = os.pidfd_open(pid)
        self.link = link

    def send(self, number: int) -> None:
        """Send a signal, to this very process even if its number has been given away."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.handle, number)


class Server:
    """Serves one kind of request until its owner is gone."""

    def __init__(self, listener: socket.socket, path: str, owner: Owner, key: bytes) -> None:
        self._listener = listener
        self._path = path
        self._key = key
        self._processes: dict[int, _Process] = {}
        """By descriptor, that of the process and that of the link alike."""
        self._selector = selectors.DefaultSelector()
        self._owner = os.pidfd_open(owner.pid)
        self._wakeup, self._alarm = socket.socketpair()
        for end in (self._wakeup, self._alarm, listener):
            end.setblocking(False)
        signal.set_wakeup_fd(self._alarm.fileno())
        signal.signal(signal.SIGTERM, lambda *_: None)
        for what in (listener, self._owner, self._wakeup):
            self._selector.register(what, selectors.EVENT_READ)

    def serve(self) -> protocol.Request | None:
        """Serve; return None in the end, and in each forked process the request it is for."""
        while True:
            ready = self._selector.select(_IDLE_SECONDS)
            if not ready and not self._processes:
                return None
            descriptors = {key.fd for key, _ in ready}
            for descriptor in descriptors & self._processes.keys():
                # One event may have ended the process that another is about.
                if descriptor in self._processes:
                    self._hear(descriptor)
            if descriptors & {self._owner, self._wakeup.fileno()}:
                self._stop_all()
                return None
            if self._listener.fileno() in descriptors and (request := self._accept()):
                return request

    def _accept(self) -> protocol.Request | None:
        try:
            link, _ = self._listener.accept()
        except OSError:
            return None
        link.settimeout(_REQUEST_SECONDS)
        try:
            request, files = protocol.receive_request(link)
        except (OSError, ValueError, EOFError, TypeError):
            link.close()
            return None
        try:
            return self._fork(link, request, files)
        finally:
            for file in files:
                os.close(file)

    def _fork(
        self, link: socket.socket, request: protocol.Request, files: list[int]
    ) -> protocol.Request | None:
        if request.key != self._key:
            link.close()
            return None
        server = os.getpid()
        # Until the new process has handlers of its own, a signal to it would wake this one.
        signal.pthread_sigmask(signal.SIG_BLOCK, _ALLOWED)
        pid = os.fork()
        if pid:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _ALLOWED)
            process = _Process(pid, link)
            for descriptor in (process.handle, link.fileno()):
                self._processes[descriptor] = process
                self._selector.register(descriptor, selectors.EVENT_READ)
            return None
        die_with_parent(server, signal.SIGKILL)
        self._forget()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ALLOWED)
        become(request, files)
        return request

    def _forget(self) -> None:
        """Let go of what is the server's, in a forked process.

        Its own link stays open: the client is to learn of the server's end only when this process
        has ended as well.
        """
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        self._selector.close()
        for process in set(self._processes.values()):
            os.close(process.handle)
            process.link.close()
        os.close(self._owner)
        for end in (self._wakeup, self._alarm, self._listener):
            end.close()

    def _hear(self, descriptor: int) -> None:
        process = self._processes[descriptor]
        if descriptor == process.handle:
            self._end(process)
            return
        try:
            numbers = process.link.recv(64)
        except OSError:
            numbers = b""
        for number in numbers:
            if number in _ALLOWED:
                process.send(number)
        if not numbers:
            process.send(signal.SIGKILL)
            self._end(process)

    def _end(self, process: _Process) -> None:
        """Wait for a process that has ended or is about to, and tell its client."""
        _, status, used = os.wait4(process.pid, 0)
        report = protocol.Report(status, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024e-6)
        for descriptor in (process.handle, process.link.fileno()):
            self._selector.unregister(descriptor)
            del self._processes[descriptor]
        with contextlib.suppress(OSError):
            protocol.send_report(process.link, report)
        process.link.close()
        os.close(process.handle)

    def _stop_all(self) -> None:
        """End every process: politely, then not."""
        self.close()
        deadline = time.monotonic() + _GRACE_SECONDS
        for process in set(self._processes.values()):
            process.send(signal.SIGTERM)
        while self._processes:
            left = deadline - time.monotonic()
            if left <= 0:
                for process in set(self._processes.values()):
                    process.send(signal.SIGKILL)
            ready = self._selector.select(max(left, 1.0))
            for descriptor in {key.fd for key, _ in ready} & self._processes.keys():
                if descriptor in self._processes:
                    self._hear(descriptor)

    def close(self) -> None:
        """Take no more requests."""
        with contextlib.suppress(OSError):
            os.unlink(self._path)  # noqa: PTH108
        for what in (self._listener, self._owner, self._wakeup):
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(what)
        self._listener.close()


def _load(kind: str) -> None:
    # Arrow's allocator starts a thread of its own when it is loaded, unless told not to.
    os.environ["JE_ARROW_MALLOC_CONF"] = "background_thread:false"
    if kind == "tasks":
        from scalebed.evaluate.loading import work_offline

        work_offline(Path("state"))
    for name in MODULES[kind]:
        importlib.import_module(name)
    # Collections of the forked processes would copy every page with an object on it.
    gc.collect()
    gc.freeze()


def main() -> None:
    """Serve."""
    if os.fork():
        os._exit(0)
    words, path, kind = sys.argv[1:]
    owner = read_owner(words)
    if owner is None or not owner.alive():
        return
    # Taken before anything is imported: clients with newer code have another key.
    stamp = protocol.code_stamp()
    key = protocol.server_key(kind)
    listener = socket.socket(fileno=_LISTENER)
    listener.set_inheritable(False)
    try:
        _load(kind)
        if protocol.code_stamp() != stamp:
            raise RuntimeError("the code was edited while it was imported")
        if count_threads() > 1:
            raise RuntimeError(f"{count_threads()} threads after the imports, expected one")
        server = Server(listener, path, owner, key)
    except BaseException:
        Path(f"{path}.off").touch()
        raise
    request = server.serve()
    if request is not None:
        run(request.words)
    server.close()
    if not owner.alive():
        shutil.rmtree(owner.folder, ignore_errors=True)


if __name__ == "__main__":
    main()
