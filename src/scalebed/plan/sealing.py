"""What sealing the predictions of a study needs of it, and what waits for the seal."""

from collections.abc import Iterable, Mapping
from typing import Any

from scalebed.core import arithmetic
from scalebed.core.trunks import Leg, leaves_at, legs, legs_beyond, trunk_of
from scalebed.plan import rule_params
from scalebed.study.trained import Study, roles

PLANNED = "planned"
"""Status of a target that is yet to be trained."""


def seal(study: Study) -> dict[str, Any]:
    """Return the parameters of ``seal_predictions`` and ``judge_predictions``.

    They are those of ``tabulate_cells`` and ``fit_laws``, the first without the targets, whose rows
    of the table ``cells`` stand apart as they are known beforehand.
    """
    gathered = rule_params.tables(study)
    kept = [row for row in gathered["cells"] if not row["target"]]
    return {
        "study": study.name,
        "tables": gathered | {"cells": kept},
        "fit": rule_params.fit(study),
        "targets": _targets(study),
    }


def _targets(study: Study) -> list[dict[str, Any]]:
    """Return a row of the table ``cells`` for every target, with its compute against the fit's."""
    specs = {cell.path: rule_params.cell(study, cell) for cell in study.cells()}
    rows = rule_params.cell_rows(study)
    found = []
    for row in rows:
        if not row["target"]:
            continue
        fitted = [
            other
            for other in rows
            if other["dataset"] == row["dataset"] and (other["fit_loss"] or other["fit_error"])
        ]
        spec = specs[row["cell"]]
        trunk = trunk_of(spec)
        largest = max((other["flops"] for other in fitted), default=0.0)
        total = flops_together(specs[other["cell"]] for other in fitted)
        found.append(
            row
            | {"status": PLANNED, "trunk": None if trunk is None else trunk.path}
            | {"trunk_steps": leaves_at(spec) or 0}
            | {"times_largest": row["flops"] / largest if largest else None}
            | {"times_fit": row["flops"] / total if total else None}
        )
    return found


def flops_together(specs: Iterable[dict[str, Any]]) -> float:
    """Return C = 6ND of training some cells, with what branches of a trunk share counted once.

    Parameters
    ----------
    specs
        Parameters of the cells.
    """
    specs = list(specs)
    own = [rule_params.marginal(spec) for spec in specs]
    own += [rule_params.leg(leg.spec, leg.begin) for leg in legs(specs)]
    return sum(
        arithmetic.flops(
            arithmetic.count_params(arithmetic.shape_of(spec["model"])).total, spec["tokens"]
        )
        for spec in own
    )


def targets(study: Study) -> list[str]:
    """Return the paths of the cells that wait for a seal; none where nothing is sealed."""
    if not study.fit.seal:
        return []
    return [cell.path for cell, role in roles(study).items() if role["target"]]


def waiting_legs(cells: Mapping[str, dict[str, Any]], waiting: list[str]) -> list[Leg]:
    """Return the pieces of trunks that wait with their cells: those which no other cell needs.

    Parameters
    ----------
    cells
        Parameters of all cells by path.
    waiting
        Paths of the cells that wait.
    """
    others = [spec for path, spec in cells.items() if path not in waiting]
    return legs_beyond(cells.values(), others)


def begun(waiting: list[str], pieces: list[Leg]) -> list[str]:
    """Return the files and folders of which none exists before something that waits has begun."""
    found = [f"results/cells/{path}/metrics.json" for path in waiting]
    found += [f"state/{path}" for path in waiting]
    return found + [f"results/trunks/{leg.path}" for leg in pieces]
