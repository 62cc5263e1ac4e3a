"""Dry runs of Snakemake in processes forked from one that has imported it.

Half of what a dry run of a tiny study takes is to import Snakemake. Nothing of scalebed is imported
before the fork.
"""

import multiprocessing
import os
import sys
import tempfile
from pathlib import Path

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["snakemake.cli"])


def dry_run(folder: Path, environment: dict[str, str], *words: str) -> tuple[int | None, str]:
    """Return exit status and output of ``snakemake --dry-run`` in a folder."""
    with tempfile.NamedTemporaryFile("r", encoding="utf-8") as said:
        process = _SERVER.Process(target=_run, args=(folder, environment, words, said.name))
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
    sys.argv = ["snakemake", "--dry-run", *words]
    from snakemake.cli import main

    main(sys.argv[1:])
