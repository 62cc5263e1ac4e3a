"""The messenger: has a server run a verb and ends as the verb ended.

It runs at the start of every job, so it imports little. Whatever goes wrong with the server, the
verb runs here after all; sharing is never an error.

A server listens on a socket whose name is a digest of all that it has in common with the command.
One message asks it for a process: the words of the command line, and beside them stdin, stdout,
stderr and a pipe. The process writes two lines to the pipe, its number and at last its exit status;
the end of the pipe before them says that there is no process, or none any more.
"""

import hashlib
import marshal
import os
import signal
import socket
import sys
from collections.abc import Iterator
from itertools import pairwise

from scalebed.commands.shared_process.lifetime import SWITCH, VARIABLE

_KINDS = {
    **dict.fromkeys(
        (
            *("extract-corpus", "train-tokenizer", "tokenize-corpus", "build-dataset"),
            *("build-suite", "train-trunk", "drop-states", "train-cell", "convert-checkpoint"),
            "evaluate-losses",
        ),
        "train",
    ),
    "evaluate-tasks": "tasks",
    **dict.fromkeys(
        (
            *("import-cells", "tabulate-cells", "choose-ladder", "fit-laws", "run-check"),
            *("seal-predictions", "judge-predictions"),
            *("gather-study", "explore", "bundle-script", "plot-figure", "write-report"),
        ),
        "analysis",
    ),
}
"""Which server runs a verb. Other verbs of rules import little; those for people run alone."""
_FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
# Shells count and note here what says nothing about how a job runs.
_PASSING = (b"_", b"SHLVL", b"PWD", b"OLDPWD")
_PACKAGE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def run_shared(words: list[str]) -> int | None:
    """Have a server run the verb; return its exit status, or None if it is to be run here.

    `words` is the command line after ``python -m scalebed``. A signal that ends the process of the
    verb ends this one too.
    """
    owner = os.environ.pop(VARIABLE, "")  # what a verb itself starts shares nothing
    kind = _kind(words)
    # With options of its own, or under another name, this is not the Python a server would be.
    plain = sys.orig_argv[1:3] == ["-m", "scalebed"]
    if kind is None or not plain or os.environ.get(SWITCH) == "0":
        return None
    sent: list[int] = []
    before = {number: signal.getsignal(number) for number in _FORWARDED}
    # Signals wait until there is a process to pass them on to, or it is clear that there is none.
    signal.pthread_sigmask(signal.SIG_BLOCK, _FORWARDED)
    try:
        return _ask(owner, kind, words, sent)
    except (OSError, ValueError):
        for number in sent:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        return None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _FORWARDED)


def _kind(words: list[str]) -> str | None:
    """Return which server runs a verb, None if none does."""
    kind = _KINDS.get(words[0]) if words else None
    if kind == "analysis" and "--threads" in words and ("--threads", "1") not in pairwise(words):
        return None  # it would have a server of its own, with several threads, that cannot serve
    if kind != "tasks":
        return kind
    import json

    try:
        tasks = json.loads(words[words.index("--params") + 1])["suite"]["tasks"]
        # The server's lm-eval has been told to stay offline, with its cache in the usual place.
        local = all(entry and "lm_eval" not in entry for entry in tasks.values())
    except (ValueError, LookupError, TypeError, AttributeError):
        return None
    return kind if local and not any(word.startswith("--sta") for word in words) else None


def _ask(owner: str, kind: str, words: list[str], sent: list[int]) -> int:
    pid, folder = owner.split(":", 1)
    path = socket_path(folder, kind)
    if not os.path.exists(path):  # one whose server has died would have the next one die as well
        _start(pid, path, kind)
    # The server kills the process when this connection is closed, be it by our own end.
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as link:
        link.connect(path)
        reply, answer = os.pipe()
        socket.send_fds(link, [marshal.dumps(words)], (0, 1, 2, answer))
        os.close(answer)
        with open(reply, encoding="ascii") as answers:
            process = int(answers.readline())

            def forward(number: int, _frame: object) -> None:
                sent.append(number)
                os.kill(process, number)

            for number in _FORWARDED:
                if signal.getsignal(number) is not signal.SIG_IGN:  # under nohup, for one
                    signal.signal(number, forward)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _FORWARDED)
            status = answers.readline()
            if not (status or os.path.exists(folder)):  # its owner is gone, and it had to go too
                sent.append(signal.SIGTERM)
            return int(status)


def socket_path(folder: str, kind: str) -> str:
    """Return where the server listens that has the code, environment and folder of this process."""
    environment = sorted((k, v) for k, v in os.environb.items() if k not in _PASSING)
    key = (kind, os.getcwd(), sys.executable, environment, sorted(_sources(_PACKAGE)))
    return f"{folder}/{hashlib.sha256(repr(key).encode()).hexdigest()[:32]}"


def _sources(folder: str) -> Iterator[tuple[str, int, int]]:
    """Yield path, modification time and size of every file of the package."""
    for entry in os.scandir(folder):
        if not entry.is_dir():
            yield entry.path, entry.stat().st_mtime_ns, entry.stat().st_size
        elif entry.name != "__pycache__":
            yield from _sources(entry.path)


def _start(owner: str, path: str, kind: str) -> None:
    """Start a server unless another client just did."""
    import subprocess

    own = f"{path}.{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        # It listens before there is a server, so clients need not wait to connect.
        listener.bind(own)
        listener.listen(512)
        try:
            os.link(own, path)
        except FileExistsError:
            return
        finally:
            os.unlink(own)
        words = [sys.executable, "-m", "scalebed.commands.shared_process.server", owner, path, kind]
        # What a server has to say is of interest only to who looks for why there is none. It has a
        # session of its own: ^C in a terminal is for the workflow, which tells the jobs.
        with open(f"{path}.log", "ab") as log:
            subprocess.Popen(words, 0, None, listener.fileno(), log, log, start_new_session=True)
