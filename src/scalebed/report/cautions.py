"""What should make a reader careful: everything the study knows against itself.

A check is a function that takes the `Evidence` and yields cautions; `CHECKS` lists them.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import pandas as pd

from scalebed.report.answer import Target
from scalebed.report.cells import records, rises
from scalebed.report.numbers import fixed, percent, plural, times
from scalebed.tables.reader import StudyDatabase

FEW_FREE = 2
FEW_HELD_OUT = 10
_AGREEING = 0.5


class Caution(NamedTuple):
    """One reason for care.

    Attributes
    ----------
    serious
        Whether it can change the answer, rather than how far to trust it.
    title, text
        What is the matter, and what it means.
    items
        The single cases.
    """

    serious: bool
    title: str
    text: str
    items: Sequence[str] = ()


class Evidence(NamedTuple):
    """What the checks look at."""

    study: StudyDatabase
    cells: pd.DataFrame
    fits: list[dict[str, Any]]
    other_fits: list[dict[str, Any]]
    targets: list[Target]
    held_out: list[dict[str, Any]]


def cell_label(cell: dict[str, Any]) -> str:
    """Return ``dataset size M=ratio``, with recipe and seed where they are not the usual ones."""
    label = f"{cell['dataset']} {cell['size']} M={cell['ratio']:g}"
    if cell.get("seed"):
        label += f" seed {cell['seed']}"
    return label


def fit_label(fit: dict[str, Any]) -> str:
    """Return a fit as people call it."""
    return f"{fit['kind']} law of {fit['dataset']}, {fit['response']}"


def refused_fits(evidence: Evidence) -> Iterator[Caution]:
    """Fits that were refused: nothing is predicted from them."""
    refused = [fit for fit in evidence.fits if fit["status"] != "fitted"]
    if refused:
        items = [f"{fit_label(fit)}: {fit['reason']}" for fit in refused]
        yield Caution(True, "Fits refused", "Nothing is predicted from these laws.", items)
    others = [fit for fit in evidence.other_fits if fit["status"] != "fitted"]
    if others:
        items = [f"{fit_label(fit)}: {fit['reason']}" for fit in others]
        text = "These concern single tasks or other validation sets, not the headline."
        yield Caution(False, "Other fits refused", text, items)


def misses(evidence: Evidence) -> Iterator[Caution]:
    """Targets measured outside their interval."""
    items = []
    for target in evidence.targets:
        for row in (target.loss, target.error):
            if row and row["covered"] is False:
                items.append(
                    f"{cell_label(target.cell)}: {row['kind']} {fixed(row['measured'])}, "
                    f"predicted {fixed(row['lower'])} to {fixed(row['upper'])}"
                )
    if items:
        text = "The study's own interval missed what was measured."
        yield Caution(True, "Targets outside their interval", text, items)


def few_points(evidence: Evidence) -> Iterator[Caution]:
    """Fits with hardly any degrees of freedom."""
    thin = [
        fit
        for fit in evidence.fits
        if fit["status"] == "fitted" and fit["degrees_of_freedom"] <= FEW_FREE
    ]
    if thin:
        items = [
            f"{fit_label(fit)}: {plural(fit['points'], 'point')}, "
            f"{plural(fit['parameters'], 'parameter')}, "
            f"{plural(fit['degrees_of_freedom'], 'degree')} of freedom"
            for fit in thin
        ]
        text = (
            "With so few independent points the law passes close to each of them, or to the middle "
            "of what belongs together, whatever its truth: residuals say little about the fit, and "
            "the intervals rest on scatter estimated elsewhere."
        )
        yield Caution(True, "Few degrees of freedom", text, items)


def bounds_hit(evidence: Evidence) -> Iterator[Caution]:
    """Parameters at the end of their allowed range."""
    items = [f"{fit_label(fit)}: {fit['bounds_hit']}" for fit in evidence.fits if fit["bounds_hit"]]
    if items:
        text = "The data do not determine these parameters; do not read meaning into them."
        yield Caution(True, "Parameters at a bound", text, items)


def optimisation(evidence: Evidence) -> Iterator[Caution]:
    """Fits that did not converge, or where starting points disagree."""
    items = []
    for fit in evidence.fits:
        if fit["status"] != "fitted":
            continue
        if not fit["converged"]:
            items.append(f"{fit_label(fit)}: the optimiser did not meet its tolerance")
        elif fit["starts_agreeing"] < _AGREEING * fit["starts"]:
            items.append(
                f"{fit_label(fit)}: {fit['starts_agreeing']} of {fit['starts']} starts agree"
            )
    if items:
        yield Caution(True, "Doubtful optima", "The best fit may not be the best.", items)


def unfinished_cells(evidence: Evidence) -> Iterator[Caution]:
    """Cells that diverged or failed."""
    cells = evidence.cells
    bad = records(cells[~cells["status"].isin(("done", "planned"))])
    if bad:
        items = [
            f"{cell_label(cell)} ({cell['role'].replace('_', ' ')}) {cell['status']}: "
            f"{cell['reason'] or 'no reason recorded'}"
            for cell in bad
        ]
        serious = any(cell["role"] != "held_out" for cell in bad)
        text = "They have no losses. A fit that should have used one rests on fewer cells."
        yield Caution(serious, "Cells not finished", text, items)


def repeated_tokens(evidence: Evidence) -> Iterator[Caution]:
    """Cells that saw tokens more than once."""
    cells = evidence.cells
    repeated = records(cells[cells["epochs"] > 1])
    if repeated:
        items = [f"{cell_label(cell)}: {fixed(cell['epochs'], 2)} epochs" for cell in repeated]
        text = "The laws assume fresh tokens; repeated ones are worth less."
        yield Caution(True, "Repeated tokens", text, items)


def non_monotone(evidence: Evidence) -> Iterator[Caution]:
    """Larger or longer-trained cells with a higher loss."""
    found, compared = rises(evidence.cells)
    if found:
        items = [
            f"{rise.better['dataset']}: {fixed(rise.better['loss'], 4)} at {rise.better['size']} "
            f"M={rise.better['ratio']:g}, {fixed(rise.worse['loss'], 4)} at {rise.worse['size']} "
            f"M={rise.worse['ratio']:g} (more {'parameters' if rise.along == 'N' else 'tokens'}"
            f"{'; within evaluation noise' if rise.apart is False else ''})"
            for rise in found
        ]
        text = (
            f"Loss should fall with N at fixed M and with M at fixed N; in {len(found)} of "
            f"{plural(compared, 'pair')} of neighbours it does not. The recipe may not suit these "
            "cells, and no law of this form describes them."
        )
        yield Caution(True, "Loss rises where it should fall", text, items)


def at_chance(evidence: Evidence) -> Iterator[Caution]:
    """Tasks on which the largest models do not beat guessing, as table ``lints`` has them."""
    query = """
        SELECT task, bool_or(in_average) AS in_average, min(error) AS best,
               avg(chance_error) AS chance
        FROM tasks WHERE task IN (SELECT subject FROM lints
                                  WHERE check_name = 'never_above_guessing')
        GROUP BY task ORDER BY task
    """
    rows = evidence.study.rows(query)
    if rows:
        items = [
            f"{row['task']}: best error {fixed(row['best'])}, guessing {fixed(row['chance'])}"
            + ("" if row["in_average"] else " (not in the average)")
            for row in rows
        ]
        text = (
            "Not even the cells with most compute beat guessing significantly, corrected for the "
            "number of tasks: that these tasks carry a signal is not established."
        )
        serious = any(row["in_average"] for row in rows)
        yield Caution(serious, "Tasks at chance", text, items)


def extrapolation(evidence: Evidence) -> Iterator[Caution]:
    """How far the targets lie outside the fitted range."""
    items = []
    for target in evidence.targets:
        cell = target.cell
        if cell["largest_ratio"] is not None:
            items.append(
                f"{cell_label(cell)}: {times(cell['params_ratio'])} the largest N, "
                f"{times(cell['M_ratio'])} the largest M, {times(cell['largest_ratio'])} the "
                "largest compute of a fit cell"
            )
    if items:
        text = (
            "The targets against the largest cells fitted to. The intervals assume that the law "
            "still holds out there; nothing in this study tests that beyond its targets."
        )
        yield Caution(False, "Extrapolation", text, items)


def thin_coverage(evidence: Evidence) -> Iterator[Caution]:
    """Coverage that cannot be judged, or is clearly below nominal."""
    items = []
    for row in evidence.held_out:
        where = f"{row['dataset']}, {row['response']}, {row['domain']}"
        if row["high"] < row["level"]:
            items.append(
                f"{where}: {row['covered']} of {row['cells']} held-out cells inside, clearly "
                f"below {percent(row['level'], 0)}"
            )
        elif row["cells"] < FEW_HELD_OUT:
            items.append(f"{where}: only {plural(row['cells'], 'held-out cell')}")
    if not evidence.held_out:
        items.append("no cell was held out: calibration was not tested at all")
    if items:
        text = "Whether the intervals hold what they promise is not established here."
        serious = any("clearly below" in item for item in items)
        yield Caution(serious, "Calibration", text, items)


CHECKS: tuple[Callable[[Evidence], Iterable[Caution]], ...] = (
    refused_fits,
    misses,
    unfinished_cells,
    non_monotone,
    repeated_tokens,
    few_points,
    bounds_hit,
    optimisation,
    at_chance,
    thin_coverage,
    extrapolation,
)


def cautions(evidence: Evidence) -> list[Caution]:
    """Return all cautions, serious ones first, otherwise in the order of `CHECKS`."""
    found = itertools.chain.from_iterable(check(evidence) for check in CHECKS)
    return sorted(found, key=lambda caution: not caution.serious)
