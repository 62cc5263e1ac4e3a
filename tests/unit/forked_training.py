"""Training as started from a shell or by torchrun, but forked from a process that imported torch.

To start a Python and import torch takes ten times longer than the training that tests need.
"""

import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

from fork_server import server

from scalebed.commands.cli import main

_IMPORTED = [
    "torch._dynamo",
    "scalebed.train.torch_backend",
    "scalebed.train.distributed.replicated",
    "scalebed.train.distributed.sharded",
]


class Forked:
    """Processes that run a verb of the command line, as one `subprocess.Popen` with its stderr."""

    def __init__(self, folder: Path, words: list[str], facts: list[dict[str, Any]]) -> None:
        self._err = folder / "err.txt"
        self._err.write_text("")
        context = server(_IMPORTED)
        self._processes = [
            context.Process(target=_be_process, args=(folder, words, one)) for one in facts
        ]
        for process in self._processes:
            process.start()

    def poll(self) -> int | None:
        """Return the exit status of one that has ended."""
        ended = (process.exitcode for process in self._processes)
        return next((status for status in ended if status is not None), None)

    def send_signal(self, number: int) -> None:
        """Send a signal to all, as the launcher does."""
        for process in self._processes:
            assert process.pid is not None
            os.kill(process.pid, number)

    def kill(self) -> None:
        """Kill all."""
        for process in self._processes:
            process.kill()

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for all, and return what they wrote."""
        for process in self._processes:
            process.join(timeout)
        return "", self._err.read_text()

    @property
    def returncode(self) -> int | None:
        """Exit status, if it is the same of all."""
        found = {process.exitcode for process in self._processes}
        return found.pop() if len(found) == 1 else None


class Pair(Forked):
    """Two ranks."""

    def __init__(self, folder: Path, words: list[str]) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        common = {"WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2, "TORCHELASTIC_RUN_ID": "test"}
        common |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        super().__init__(
            folder, words, [common | {"RANK": rank, "LOCAL_RANK": rank} for rank in (0, 1)]
        )


def fork_training(
    folder: Path,
    params: dict[str, Any],
    dataset: Path,
    out: str,
    *more: str,
    verb: str = "train-cell",
    ranks: int = 1,
) -> Forked:
    """Do what `training_cells.start_training` does; with two ranks as the launcher would."""
    words = [verb, "--params", json.dumps(params), "--dataset", str(dataset), "--out", out]
    words += ["--checkpoint-seconds", "0", *more]
    return Pair(folder, words) if ranks == 2 else Forked(folder, words, [{}])


def _be_process(folder: Path, words: list[str], facts: dict[str, Any]) -> None:
    os.environ.update({name: str(value) for name, value in facts.items()})
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    os.chdir(folder)
    with Path("err.txt").open("a") as err:
        os.dup2(err.fileno(), 2)
        sys.exit(main(words))
