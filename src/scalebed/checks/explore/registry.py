"""The explorations by name; each is a file beside this one.

A new exploration is one file with ``TABLE`` and ``rows(study, options)``, and its name with its
options in `scalebed.checks.explore.options`.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from scalebed.checks.explore.options import complete
from scalebed.checks.explore.run import Exploration, run


def explore(name: str, params: Mapping[str, Any], database: Path, out: Path) -> None:
    """Compute an exploration and write its table.

    Parameters
    ----------
    name
        Name of the exploration.
    params
        Its options.
    database
        Database of the study.
    out
        Parquet file to write.
    """
    complete(name, params)
    module = import_module(f"scalebed.checks.explore.{name}")
    run(cast(Exploration, module), params, database, out)
