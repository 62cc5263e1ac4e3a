"""Runs of Snakemake in processes forked from one that has imported it.

Half of what a dry run of a tiny study takes is to import Snakemake. Nothing of scalebed is imported
before the fork.
"""

import atexit
import os
import sys
import tempfile
from pathlib import Path

from fork_server import server

# The last two are what it imports later on, whatever the workflow.
_IMPORTED = ["snakemake.cli", "snakemake.report.html_reporter", "smart_open"]


def snakemake(folder: Path, environment: dict[str, str], *words: str) -> tuple[int | None, str]:
    """Return exit status and output of ``snakemake`` in a folder."""
    with tempfile.NamedTemporaryFile("r", encoding="utf-8") as said:
        arguments = (folder, environment, words, said.name)
        process = server(_IMPORTED).Process(target=_run, args=arguments)
        process.start()
        process.join()
        return process.exitcode, said.read()


def _run(folder: Path, environment: dict[str, str], words: tuple[str, ...], said: str) -> None:
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
