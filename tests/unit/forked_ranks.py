"""Ranks as torchrun would start them, but forked from a process that has imported what they need.

Three interpreters that import torch take ten times longer than the training that tests need.
"""

import multiprocessing
import os
import socket
import sys
from pathlib import Path

from scalebed.commands.cli import main

_IMPORTED = [
    "torch._dynamo",
    "scalebed.train.torch_backend",
    "scalebed.train.distributed.replicated",
    "scalebed.train.distributed.sharded",
]


class Pair:
    """Two ranks that run a verb of the command line, as one `subprocess.Popen` with its stderr."""

    def __init__(self, folder: Path, words: list[str]) -> None:
        server = multiprocessing.get_context("forkserver")
        server.set_forkserver_preload(_IMPORTED)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self._err = folder / "err.txt"
        self._err.write_text("")
        self._ranks = [
            server.Process(target=_be_rank, args=(rank, port, folder, words)) for rank in (0, 1)
        ]
        for rank in self._ranks:
            rank.start()

    def poll(self) -> int | None:
        """Return the exit status of one that has ended."""
        return next((rank.exitcode for rank in self._ranks if rank.exitcode is not None), None)

    def send_signal(self, number: int) -> None:
        """Send a signal to both, as the launcher does."""
        for rank in self._ranks:
            assert rank.pid is not None
            os.kill(rank.pid, number)

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for both, and return what they wrote."""
        for rank in self._ranks:
            rank.join(timeout)
        return "", self._err.read_text()

    @property
    def returncode(self) -> int | None:
        """Exit status, if it is the same of both."""
        one, other = (rank.exitcode for rank in self._ranks)
        return one if one == other else None


def _be_rank(rank: int, port: int, folder: Path, words: list[str]) -> None:
    facts = {"RANK": rank, "WORLD_SIZE": 2, "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": 2}
    facts |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "TORCHELASTIC_RUN_ID": "test"}
    os.environ.update({name: str(value) for name, value in facts.items()})
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    os.chdir(folder)
    with Path("err.txt").open("a") as err:
        os.dup2(err.fileno(), 2)
        sys.exit(main(words))
