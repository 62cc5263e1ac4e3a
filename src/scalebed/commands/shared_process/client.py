"""The messenger: has a server run a verb and ends as the verb ended.

Whatever goes wrong with the server, the verb runs here after all; sharing is never an error.
"""

import contextlib
import fcntl
import os
import signal
import socket
import sys

from scalebed.commands.shared_process import protocol
from scalebed.commands.shared_process.lifetime import SWITCH, VARIABLE, Owner, read_owner

_KINDS = {"train-cell": "train", "evaluate-losses": "train", "evaluate-tasks": "tasks"}
"""Which server runs a verb. Others gain nothing: they run once a study, or import little."""
_FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
_START_SECONDS = 120.0


class _Signals:
    """Passes signals on over a link while one is set, and remembers them."""

    def __init__(self) -> None:
        self.link: socket.socket | None = None
        self.seen: list[int] = []
        self._before = {number: signal.getsignal(number) for number in _FORWARDED}

    def __enter__(self) -> "_Signals":
        for number, before in self._before.items():
            if before is not signal.SIG_IGN:  # under nohup, for one
                signal.signal(number, self._forward)
        return self

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def _forward(self, number: int, _frame: object) -> None:
        self.seen.append(number)
        if self.link is not None:
            with contextlib.suppress(OSError):  # it is gone, which the main line notices
                self.link.send(bytes([number]))


def run_shared(words: list[str]) -> int | None:
    """Have a server run the verb; return its exit status, or None if it is to be run here.

    A verb that was ended by a signal ends this process by the same one.

    Parameters
    ----------
    words
        The command line after ``python -m scalebed``.
    """
    owner = read_owner(os.environ.get(VARIABLE, ""))
    kind = _kind(words)
    # With options of its own, or under another name, this is not the Python a server would be.
    plain = sys.orig_argv[1:3] == ["-m", "scalebed"]
    if owner is None or kind is None or not plain or os.environ.get(SWITCH) == "0":
        return None
    with _Signals() as signals:
        try:
            report = _ask(owner, kind, words, signals)
        except (OSError, ValueError, EOFError, TypeError):
            report = None
    if report is None:
        for number in signals.seen:  # whoever sent it wants this process to end
            os.kill(os.getpid(), number)
        return None
    sys.stderr.write(f"{report.cpu_seconds:.1f} s of CPU, at most {report.peak_mb:.0f} MB\n")
    return _end_like(report.status)


def _kind(words: list[str]) -> str | None:
    """Return which server runs a verb, None if none does."""
    kind = _KINDS.get(words[0]) if words else None
    if kind == "tasks" and not _only_local_tasks(words):
        return None
    return kind


def _only_local_tasks(words: list[str]) -> bool:
    """Tell whether no task needs the hub: the server's lm-eval has been told to stay offline."""
    import json

    try:
        tasks = json.loads(words[words.index("--params") + 1])["suite"]["tasks"]
        local = all(entry and "lm_eval" not in entry for entry in tasks.values())
    except (ValueError, LookupError, TypeError, AttributeError):
        return False
    return local and not any(word.startswith("--sta") for word in words)


def _ask(owner: Owner, kind: str, words: list[str], signals: _Signals) -> protocol.Report | None:
    if not owner.alive() or os.stat(owner.folder).st_uid != os.geteuid():
        return None
    key = protocol.server_key(kind)
    path = protocol.socket_path(owner.folder, key)
    if os.path.exists(f"{path}.off"):  # a server that could not serve left it
        return None
    link = _connect(path) or _start(path, owner, kind)
    if link is None:
        return None
    with link:
        mask = os.umask(0)
        os.umask(mask)
        request = protocol.Request(key, words, os.getcwd(), dict(os.environb), mask)
        protocol.send_request(link, request)
        signals.link = link
        for number in tuple(signals.seen):
            link.send(bytes([number]))
        try:
            return protocol.receive_report(link)
        finally:
            signals.link = None


def _connect(path: str) -> socket.socket | None:
    link = socket.socket(socket.AF_UNIX)
    try:
        link.connect(path)
    except OSError:
        link.close()
        return None
    return link


def _start(path: str, owner: Owner, kind: str) -> socket.socket | None:
    """Start a server unless another client just did, and return a connection to it."""
    lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if link := _connect(path):
            return link
        # The socket listens before there is a server, so clients need not wait to connect.
        with socket.socket(socket.AF_UNIX) as listener:
            if os.path.exists(path):  # of a server that died
                os.unlink(path)
            listener.bind(path)
            listener.listen(512)
            _spawn(listener, path, owner, kind)
        return _connect(path)
    finally:
        os.close(lock)


def _spawn(listener: socket.socket, path: str, owner: Owner, kind: str) -> None:
    words = [
        sys.executable,
        "-m",
        "scalebed.commands.shared_process.server",
        owner.text(),
        path,
        kind,
    ]
    null = (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)
    # What a server has to say is of interest only to who looks for why there is none.
    log = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    actions = [
        null,
        (os.POSIX_SPAWN_OPEN, 1, f"{path}.log", log, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
        (os.POSIX_SPAWN_DUP2, listener.fileno(), 3),
    ]
    # A session of its own: ^C in a terminal is for the workflow, which tells the jobs.
    child = os.posix_spawn(sys.executable, words, os.environ, file_actions=actions, setsid=True)
    os.waitpid(child, 0)  # it forks at once, so that it is nobody's child


def _end_like(status: int) -> int:
    """Return the exit status in a wait status; ends this process if that is a signal's."""
    if not os.WIFSIGNALED(status):
        return os.waitstatus_to_exitcode(status)
    number = os.WTERMSIG(status)
    sys.stderr.flush()
    if number not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    return 128 + number
