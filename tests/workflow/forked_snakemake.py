"""Runs of Snakemake in processes forked from one that has imported it.

Half of what a dry run of a tiny study takes is to import Snakemake. Nothing of scalebed is imported
before the fork. The small jobs of all runs in one folder share servers: to import what they need
takes longer than the jobs.
"""

import atexit
import functools
import os
import shutil
import sys
import tempfile
from pathlib import Path

from fork_server import server

# The last two are what it imports later on, whatever the workflow.
IMPORTED = ["snakemake.cli", "snakemake.report.html_reporter", "smart_open"]


def snakemake(folder: Path, environment: dict[str, str], *words: str) -> tuple[int | None, str]:
    """Return exit status and output of ``snakemake`` in a folder."""
    with tempfile.NamedTemporaryFile("r", encoding="utf-8") as said:
        arguments = (folder, environment, words, said.name, _servers())
        process = server(IMPORTED).Process(target=_run_beside, args=arguments)
        process.start()
        process.join()
        return process.exitcode, said.read()


@functools.cache
def _servers() -> str:
    """Return this process as the owner of servers, with a folder for their sockets."""
    folder = tempfile.mkdtemp(prefix="scalebed-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return f"{os.getpid()}:{folder}"


def run(folder: Path, environment: dict[str, str], words: tuple[str, ...], said: str) -> None:
    """Be Snakemake with these words, which writes what it says to a file."""
    output = os.open(said, os.O_WRONLY | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path.insert(0, environment["PYTHONPATH"])
    sys.argv = ["snakemake", *words]
    from snakemake.cli import main

    try:
        main(sys.argv[1:])
    finally:
        # Processes of multiprocessing end without.
        atexit._run_exitfuncs()


def _run_beside(
    folder: Path, environment: dict[str, str], words: tuple[str, ...], said: str, servers: str
) -> None:
    sys.path.insert(0, environment["PYTHONPATH"])
    from scalebed.commands.shared_process import lifetime

    offer = lifetime.offer

    def offer_longer(local: bool) -> bool:
        if offered := offer(local):
            os.environ[lifetime.VARIABLE] = servers
        return offered

    lifetime.offer = offer_longer
    run(folder, environment, words, said)
