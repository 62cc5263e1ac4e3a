"""The report as one HTML page that needs no network."""

from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from scalebed.core.files import write_text
from scalebed.core.shown import visible
from scalebed.report import answer, facts, numbers, places, published, search
from scalebed.report.beside import beside
from scalebed.report.cautions import Evidence, cautions, cell_label
from scalebed.report.cells import cell_frame, records, rises, spearman
from scalebed.report.checked import sections
from scalebed.report.embed import page_parts
from scalebed.report.formulas import fitted, raised
from scalebed.report.judged import judged
from scalebed.report.labels import readable
from scalebed.report.methods import methods
from scalebed.report.pooled import pooled
from scalebed.study.figures import SEARCH_FIGURES, usual_figures
from scalebed.tables.reader import StudyDatabase

# A table longer than this belongs into a query, not on a page.
MOST_ROWS = 400
_BAR_WIDTH, _BAR_HEIGHT = 116, 18


def write_report(
    params: dict[str, Any], database: Path, out: Path, figures: Path, explored: Path
) -> None:
    """Write the report of a study.

    Parameters
    ----------
    params
        ``{"study", "title", "figures": {name: {"plot", "title", "options"}}}``.
    database
        Database of the study.
    out
        Page to write.
    figures
        Folder of the figures (``<name>.json`` and ``.svg``) and the script that draws them.
    explored
        Folder of what was computed for the report, of imported cells the laws of their search.

    Raises
    ------
    ScalebedError
        If the database, a figure or what was computed cannot be read.
    """
    with StudyDatabase(database) as study:
        if study.facts().get("kind") == "search":
            name, context = "search.html.j2", _search_context(params, study, figures)
        else:
            name, context = "report.html.j2", page_context(params, study, figures, explored)
            context["places"] = places.places(context["cells"], database, out)
    write_text(out, readable(_environment().get_template(name).render(context)))


def _search_context(params: dict[str, Any], study: StudyDatabase, drawn: Path) -> dict[str, Any]:
    """Return everything the template of a search shows."""
    return search.page_context(study) | {
        "title": params.get("title") or study.facts().get("title", "search"),
        **page_parts(params.get("figures") or usual_figures(SEARCH_FIGURES), drawn),
    }


def page_context(
    params: dict[str, Any], study: StudyDatabase, drawn: Path, explored: Path
) -> dict[str, Any]:
    """Return everything the template shows."""
    known = study.facts()
    cells = cell_frame(study)
    targets = answer.targets(study)
    fits, other_fits = fitted(study)
    held_out = answer.held_out(study)
    losses, errors = [t.loss for t in targets], [t.error for t in targets]
    found, compared = rises(cells)
    rows = records(cells)
    return {
        "title": params.get("title") or known.get("title") or params.get("study", "study"),
        "study": known.get("study", ""),
        "yardstick": study.yardstick,
        "targets": targets,
        "summaries": [
            item
            for item in (answer.summary(losses, "loss"), answer.summary(errors, "error"))
            if item
        ],
        "reach": {"loss": answer.reach(losses), "error": answer.reach(errors)},
        "methods": methods(targets),
        "verdicts": answer.verdicts(targets),
        "stages": answer.both_stages(targets),
        "held_out": held_out,
        "held_out_said": answer.whole(held_out),
        "others": answer.other_responses(study),
        "fits": fits,
        "other_fits": other_fits,
        "beside": beside(study),
        "pooled": pooled(study),
        "judged": judged(study),
        "sections": sections(study),
        "cautions": cautions(Evidence(study, cells, fits, other_fits, targets, held_out)),
        "rises": len(found),
        "compared": compared,
        "spearman": spearman(cells),
        "spearman_by_dataset": {
            str(name): spearman(group) for name, group in cells.groupby("dataset")
        },
        "compute": facts.compute(study),
        "costs": facts.costs(study),
        "sizes": facts.sizes(study),
        "data": facts.data(study),
        "corpora": facts.corpora(known),
        "provenance": facts.provenance(known),
        "comparisons": published.comparisons(study),
        "search": published.search(study, explored / "search_laws.parquet"),
        "lints": published.lints(study),
        "tasks": published.tasks(study),
        "cells": rows,
        "names": places.run_names(study),
        "anchors": places.anchors(rows[:MOST_ROWS]),
        **page_parts(params.get("figures") or usual_figures(), drawn),
    }


def trust(numbers: str | None, evidence: str | None) -> str:
    """Return both statements about a prediction in a few words; the rest is in its verdict."""
    if not numbers:
        return ""
    said = "numbers found" if numbers == "found" else "numbers doubtful"
    if not evidence:
        return said
    first = evidence.split("loss law ")[-1].split(":")[0]
    far = next((part for part in evidence.split("; ") if "the largest compute" in part), "")
    if not far:
        return f"{said}; {first}"
    reach = far.split("the largest")[0].replace(" ", "\u00a0")
    return f"{said}; {first}, {reach}C"


def interval_bar(row: dict[str, Any], reach: float) -> Markup:
    """Return a drawing of interval, prediction and measurement on a scale of per cent.

    The middle is the prediction and all bars of one kind share `reach`, so that lengths can be
    compared down a column. A prediction of zero has no such scale and gets no drawing.
    """
    if not row["predicted"]:
        return Markup("")
    middle, half = _BAR_WIDTH / 2, _BAR_WIDTH / 2 - 6

    def x(value: float) -> float:
        return middle + half * (value / row["predicted"] - 1) / reach

    y = _BAR_HEIGHT / 2
    parts = [f'<line class="axis" x1="0" y1="{y}" x2="{_BAR_WIDTH}" y2="{y}"/>']
    if row["lower"] is not None and row["upper"] is not None:
        start, stop = x(row["lower"]), x(row["upper"])
        parts.append(
            f'<rect class="interval" x="{start:.1f}" y="{y - 4}" width="{stop - start:.1f}" '
            'height="8" rx="2"/>'
        )
    parts.append(f'<line class="predicted" x1="{middle}" y1="2" x2="{middle}" y2="16"/>')
    if row["measured"] is not None:
        state = "miss" if row["covered"] is False else "hit"
        parts.append(f'<circle class="{state}" cx="{x(row["measured"]):.1f}" cy="{y}" r="4"/>')
    return Markup(
        f'<svg class="bar" role="img" aria-label="{_bar_label(row)}" width="{_BAR_WIDTH}" '
        f'height="{_BAR_HEIGHT}" viewBox="0 0 {_BAR_WIDTH} {_BAR_HEIGHT}">{"".join(parts)}</svg>'
    )


def _bar_label(row: dict[str, Any]) -> str:
    """Say what a drawing shows to those who do not see it."""
    names = {"lower": "interval from", "upper": "to", "measured": "measured at"}
    return ", ".join(
        f"{name} {numbers.percent(row[end] / row['predicted'] - 1, 1, signed=True)}"
        for end, name in names.items()
        if row[end] is not None
    )


def _written_out(value: Any) -> Any:
    """Return what a template puts out, with control characters of names written out."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _environment() -> jinja2.Environment:
    own, package = files("scalebed.report") / "template", files("scalebed")

    def load(name: str) -> str:
        # A check has its template in its own folder.
        folder = package if name.startswith("checks/") else own
        return (folder / name).read_text(encoding="utf-8")

    environment = jinja2.Environment(
        finalize=_written_out,
        loader=jinja2.FunctionLoader(load),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    for name in (
        "fixed",
        "significant",
        "scientific",
        "times",
        "duration",
        "count",
        "grouped",
    ):
        environment.filters[name] = getattr(numbers, name)
    # On the page a number and its sign stay together.
    environment.filters["percent"] = lambda *given: numbers.percent(*given).replace(" ", "\u00a0")
    environment.filters["raised"] = raised
    environment.globals.update(
        plural=numbers.plural,
        bar=interval_bar,
        cell_label=cell_label,
        most_rows=MOST_ROWS,
        trust=trust,
    )
    return environment
