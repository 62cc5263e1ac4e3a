"""The commands of a study's rules, as Snakemake runs them, one at a time and in this process."""

from __future__ import annotations

import codecs
import hashlib
import importlib
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from healings import environment

from scalebed.commands import cli
from scalebed.commands.shared_process import server
from scalebed.evaluate.loading import work_offline

_RULE = re.compile(r"^(?:local)?rule (\w+):$")
_SECONDS = 240
_WHOLE = (
    *("extract-corpus", "train-tokenizer", "tokenize-corpus", "build-dataset", "build-suite"),
    *("tabulate-cells", "fit-laws"),
)
"""Verbs that write all of the folder of their output."""
_TRAINED = ("metrics.json", "curve.parquet", "model.safetensors", "model.json")


class Job(NamedTuple):
    """The job of a rule."""

    verb: str
    words: list[str]
    outputs: list[Path]
    inputs: list[Path]


class Ended(NamedTuple):
    """How a command ended: with a status, negative for a signal, and what it said."""

    status: int
    said: str
    seconds: float


def jobs(root: Path, study: str) -> list[Job]:
    """Return the jobs of all rules of a finished study, in the order of what they write."""
    words = ["snakemake", "--dry-run", "--forceall", "--printshellcmds", "--cores", "1"]
    said = subprocess.run(
        [*words, "--configfile", study], cwd=root, env=environment(), capture_output=True, text=True
    )
    if said.returncode:
        raise RuntimeError(said.stdout + said.stderr)
    found: list[Job] = []
    outputs, inputs = [], []
    for line in (said.stdout + said.stderr).splitlines():
        if _RULE.match(line):
            outputs, inputs = [], []
        elif line.strip().startswith("output: "):
            outputs = [Path(name) for name in line.split(": ", 1)[1].split(", ")]
        elif line.strip().startswith("input: "):
            inputs = [Path(name) for name in line.split(": ", 1)[1].split(", ")]
        elif "python -m scalebed " in line:
            command = shlex.split(line)
            command = command[command.index("scalebed") + 1 : command.index(">")]
            found.append(Job(command[0], command, outputs, inputs))
    return sorted(found, key=lambda job: job.outputs)


def written(root: Path, job: Job) -> list[Path]:
    """Return the files that a job writes, but for digests, of those there are."""
    first = job.outputs[0]
    if job.verb in _WHOLE:
        found = sorted((root / first.parent).iterdir())
    elif job.verb == "train-cell":
        state = root / "state" / first.parent.relative_to("results/cells")
        found = [*((root / first.parent / name) for name in _TRAINED), *state.rglob("*.*")]
    elif job.verb == "evaluate-tasks":
        digest = hashlib.sha256((root / first.parent / "model.safetensors").read_bytes())
        kept = sorted((root / "state/evaluations").rglob("*.json"))
        found = [root / first, *(path for path in kept if digest.hexdigest() in path.read_text())]
    elif job.verb == "gather-study":
        found = [root / first, *sorted((root / first.parent / "parquet").iterdir())]
    elif job.verb == "plot-figure":
        found = sorted((root / first.parent).glob(f"{first.stem}.*"))
    else:
        found = [root / path for path in job.outputs]
    return [
        path.relative_to(root)
        for path in found
        if path.is_file() and not path.name.startswith(".") and path.name != "lock"
    ]


def load(folder: Path) -> None:
    """Import what the servers of a run import, so that a forked process need not.

    Parameters
    ----------
    folder
        Where libraries may keep something.

    Raises
    ------
    RuntimeError
        If there is more than one thread then, which no fork survives.
    """
    work_offline(folder)
    for names in server._MODULES.values():
        for name in names:
            importlib.import_module(name)
    codecs.lookup("cp437")  # of archives; nobody may not read a Python that is somebody's own
    if (threads := len([*Path("/proc/self/task").iterdir()])) > 1:
        raise RuntimeError(f"{threads} threads after the imports, expected one")


def begin(root: Path, words: list[str], said: Path, hinder: Callable[[], None]) -> int:
    """Start a command in a process forked from this one, as a server of a run does; its number.

    Parameters
    ----------
    root
        Folder of the project.
    words
        The command line after ``python -m scalebed``.
    said
        File that gets what it says.
    hinder
        Called in the process before the command.
    """
    if process := os.fork():
        return process
    try:
        output = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        for number, file in enumerate((os.open(os.devnull, os.O_RDONLY), output, output)):
            os.dup2(file, number)
        os.chdir(root)
        signal.alarm(_SECONDS)
        hinder()
        os._exit(_command(words))
    except BaseException as error:
        os.write(2, f"Traceback of the process itself: {type(error).__name__}: {error}\n".encode())
        os._exit(70)


def _command(words: list[str]) -> int:
    """Return the exit status of a command, as ``python -m scalebed`` would end with it."""
    try:
        return cli.main(words)
    except SystemExit as stopped:
        return int(stopped.code or 0)
    except Exception:
        sys.excepthook(*sys.exc_info())
        return 1
    finally:
        sys.stdout.flush()


def end(process: int, said: Path, began: float) -> Ended:
    """Wait for a command."""
    _, status = os.waitpid(process, 0)
    text = said.read_bytes().decode(errors="backslashreplace")
    return Ended(os.waitstatus_to_exitcode(status), text, time.monotonic() - began)


def run(
    root: Path, words: list[str], said: Path, hinder: Callable[[], None] = lambda: None
) -> Ended:
    """Run a command to its end; see `begin`."""
    began = time.monotonic()
    return end(begin(root, words, said, hinder), said, began)
