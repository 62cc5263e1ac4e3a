"""The report of a study from its database, with figures that are drawn already or not."""

import tempfile
from pathlib import Path
from typing import Any

from scalebed.report import page


def write_report(
    params: dict[str, Any],
    database: Path,
    out: Path,
    figures: Path | None = None,
    explored: Path | None = None,
) -> None:
    """Write the report as `scalebed.report.page.write_report` does, after drawing what is missing.

    Parameters
    ----------
    params, database, out
        As there.
    figures
        Folder of figures that are drawn already; they are drawn here without it.
    explored
        Folder of what was computed for figures and report; ``explored`` beside the database
        without it.
    """
    explored = explored or database.parent / "explored"
    if figures is not None:
        page.write_report(params, database, out, figures, explored)
        return
    with tempfile.TemporaryDirectory() as folder:
        draw_figures(params, database, Path(folder), explored)
        page.write_report(params, database, out, Path(folder), explored)


def draw_figures(params: dict[str, Any], database: Path, folder: Path, explored: Path) -> None:
    """Draw the figures that a report asks for, or the usual ones."""
    from scalebed.report.figures.javascript import SCRIPT, bundle_script
    from scalebed.report.figures.registry import get_figure
    from scalebed.report.figures.render import save
    from scalebed.study.figures import FIGURES, SEARCH_FIGURES, usual_figures
    from scalebed.tables.reader import StudyDatabase

    script = folder / SCRIPT
    bundle_script(script)
    with StudyDatabase(database) as study:
        searches = study.facts().get("kind") == "search"
        usual = usual_figures(SEARCH_FIGURES if searches else FIGURES)
        for name, entry in (params.get("figures") or usual).items():
            figure, options = get_figure(entry["plot"]), entry["options"]
            save(
                figure, study, options, folder / name, explored / f"{name}.parquet", folder / SCRIPT
            )
