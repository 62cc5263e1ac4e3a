"""Training as started from a shell, but forked from a process that imported torch.

To start a Python and import torch takes ten times longer than the training that tests need. Ranks
are forked by `forked_ranks`.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from fork_server import server

from scalebed.commands.cli import main

_IMPORTED = ["torch._dynamo", "scalebed.train.torch_backend"]


class Forked:
    """A process that runs a verb of the command line, as a `subprocess.Popen` with its stderr."""

    def __init__(self, folder: Path, words: list[str]) -> None:
        self._err = folder / "err.txt"
        self._err.write_text("")
        self._process = server(_IMPORTED).Process(target=_be_process, args=(folder, words))
        self._process.start()

    def poll(self) -> int | None:
        """Return the exit status once it has ended."""
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        """Send a signal."""
        assert self._process.pid is not None
        os.kill(self._process.pid, number)

    def kill(self) -> None:
        """Kill it."""
        self._process.kill()

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for it, and return what it wrote."""
        self._process.join(timeout)
        return "", self._err.read_text()

    @property
    def returncode(self) -> int | None:
        """Exit status."""
        return self._process.exitcode


def fork_training(
    folder: Path, params: dict[str, Any], dataset: Path, out: str, *more: str, verb: str
) -> Forked:
    """Do what `training_cells.start_training` does."""
    words = [verb, "--params", json.dumps(params), "--dataset", str(dataset), "--out", out]
    return Forked(folder, [*words, "--checkpoint-seconds", "0", *more])


def _be_process(folder: Path, words: list[str]) -> None:
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    os.chdir(folder)
    with Path("err.txt").open("a") as err:
        os.dup2(err.fileno(), 2)
        sys.exit(main(words))
