"""Open a study for people: by its name, its folder, or its database alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from scalebed.core.errors import ScalebedError
from scalebed.predict.open_study import COLUMNS, OPTIONAL, StudyFit, open_study, opened
from scalebed.predict.settings import restore_settings
from scalebed.tables.reader import StudyDatabase


def open_any(text: str | Path) -> StudyFit:
    """Open a study by its name or its folder, or a ``study.duckdb``, which needs nothing beside it.

    Raises
    ------
    ScalebedError
        If there is no such study, its laws were not fitted yet, or the database does not hold the
        settings of its fits.
    """
    path = Path(text)
    if path.suffix != ".duckdb":
        return open_study(text)
    with StudyDatabase(path) as study:
        facts = study.facts()
        if "fit_settings" not in facts:
            raise ScalebedError(
                f"{path} has no fit_settings in its table provenance: gather the study again, or "
                "give its folder"
            )
        tables = {
            name: study.rows(f"SELECT {', '.join((*columns, *OPTIONAL[name]))} FROM {name}")
            for name, columns in COLUMNS.items()
        }
    found = opened(path.parent, restore_settings(json.loads(facts["fit_settings"])), tables)
    return replace(found, name=facts["study"])
