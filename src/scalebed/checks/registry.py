"""The checks by name; each is a folder beside this file.

A new check is one folder with ``table.py``, ``check.py``, ``section.py`` and its template, and its
name in `scalebed.study.checks`.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, cast

from scalebed.core.errors import ScalebedError
from scalebed.study.checks import CHECKS

if TYPE_CHECKING:
    from scalebed.checks.run import Check


def get_check(name: str) -> Check:
    """Return how a check is run.

    Raises
    ------
    ScalebedError
        If no check has that name.
    """
    if name not in CHECKS:
        raise ScalebedError(f"no check is called {name!r}, expected one of {', '.join(CHECKS)}")
    return cast("Check", import_module(f"scalebed.checks.{name}.check"))


def run_check(name: str, study: str | Path, out: Path, threads: int) -> None:
    """Run a check on a study and write its table.

    Parameters
    ----------
    name
        Name of the check.
    study
        A study that was fitted: its name, or its folder.
    out
        Parquet file to write.
    threads
        Cores to use; what is written does not depend on it.
    """
    from scalebed.checks.run import run

    run(get_check(name), study, out, threads)
