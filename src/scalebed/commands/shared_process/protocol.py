"""What client and server say to each other over a Unix socket.

The client sends one request (a length, then values by `marshal`, with its standard files beside
them), later a byte for each signal it gets; the server answers with one report when the process has
ended. Both are the same Python and the same code: the key of a server says so.
"""

import marshal
import os
import socket
import struct
import sys
import zlib
from typing import NamedTuple

_LENGTH = struct.Struct("!I")
_FILES = 3
# Shells count and note here what says nothing about how a job runs.
_PASSING = frozenset((b"_", b"SHLVL", b"PWD", b"OLDPWD"))
_PACKAGE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Request(NamedTuple):
    """What to run, and as whom."""

    key: bytes
    """What the server has to be, see `server_key`."""
    words: list[str]
    """The words of the command line after ``python -m scalebed``."""
    folder: str
    """Current folder."""
    environment: dict[bytes, bytes]
    umask: int


class Report(NamedTuple):
    """How a process ended."""

    status: int
    """As `os.wait4` gives it."""
    cpu_seconds: float
    peak_mb: float
    """Resident memory, that shared with the server included, in 10⁶ bytes."""


def code_stamp(package: str = _PACKAGE) -> tuple[tuple[str, int, int], ...]:
    """Return path, modification time and size of every source file of the package."""
    found = []
    folders = [package]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.name.endswith((".py", ".yaml")):
                    facts = entry.stat()
                    found.append((entry.path, facts.st_mtime_ns, facts.st_size))
                elif entry.name != "__pycache__" and entry.is_dir():
                    folders.append(entry.path)
    return tuple(sorted(found))


def server_key(kind: str) -> bytes:
    """Return everything that a server must share with the processes it stands in for.

    Parameters
    ----------
    kind
        Which modules it has imported.
    """
    kept = sorted((k, v) for k, v in os.environb.items() if k not in _PASSING)
    here = os.getcwd()
    # Version 2 of the format is the last in which equal values give equal bytes.
    return marshal.dumps((kind, here, sys.executable, sys.version, code_stamp(), kept), 2)


def socket_path(folder: str, key: bytes) -> str:
    """Return where the server with a key listens.

    Keys that share a name are told apart by the server, which compares them whole.
    """
    return f"{folder}/{zlib.crc32(key):08x}{zlib.adler32(key):08x}"


def send_request(link: socket.socket, request: Request) -> None:
    """Send a request with the standard files of this process."""
    body = marshal.dumps(tuple(request))
    socket.send_fds(link, [_LENGTH.pack(len(body))], range(_FILES))
    link.sendall(body)


def receive_request(link: socket.socket) -> tuple[Request, list[int]]:
    """Return a request and the descriptors of the client's standard files.

    Raises
    ------
    ConnectionError
        If the client sends something else or hangs up.
    """
    head, files, _, _ = socket.recv_fds(link, _LENGTH.size, _FILES)
    try:
        if len(head) != _LENGTH.size or len(files) != _FILES:
            raise ConnectionError("no request")
        return Request(*marshal.loads(_receive(link, _LENGTH.unpack(head)[0]))), files
    except BaseException:
        for file in files:
            os.close(file)
        raise


def send_report(link: socket.socket, report: Report) -> None:
    """Send a report."""
    body = marshal.dumps(tuple(report))
    link.sendall(_LENGTH.pack(len(body)) + body)


def receive_report(link: socket.socket) -> Report:
    """Wait for the report.

    Raises
    ------
    ConnectionError
        If the server and the process it started are gone.
    """
    return Report(*marshal.loads(_receive(link, _LENGTH.unpack(_receive(link, _LENGTH.size))[0])))


def _receive(link: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = link.recv(count - len(data))
        if not part:
            raise ConnectionError("the other side hung up")
        data += part
    return data
