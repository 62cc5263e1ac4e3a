"""What sealing the predictions of a study needs of it, and what waits for the seal."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from scalebed.core import arithmetic
from scalebed.core.errors import ScalebedError
from scalebed.core.files import read_json, sha256_file
from scalebed.core.permission import plain
from scalebed.core.provenance import state_digest
from scalebed.core.trunks import Leg, leaves_at, legs_beyond, total, trunk_of
from scalebed.plan import rule_params
from scalebed.study.trained import Study, roles

PLANNED = "planned"
"""Status of a target that is yet to be trained."""


class Barrier(NamedTuple):
    """What a seal holds back in the plan of a study.

    Attributes
    ----------
    path : Path
        The seal, below the root folder.
    there : bool
        Whether it is made.
    cells : int
        How many cells wait for it, or waited.
    waiting : frozenset of str
        Paths of the cells and records of the pieces of trunks that are not begun before it is made.
    """

    path: Path
    there: bool
    cells: int
    waiting: frozenset[str]


def barrier(study: Study, cells: Mapping[str, dict[str, Any]], root: Path) -> Barrier | None:
    """Return what the seal of a study holds back; None where nothing is sealed.

    Parameters
    ----------
    study
        The study.
    cells
        Parameters of its trained cells by path.
    root
        Folder that holds ``results``.
    """
    held = targets(study)
    if not held:
        return None
    path = Path("results/studies") / study.name / "sealed.json"
    pieces = (leg.path for leg in waiting_legs(cells, held))
    return Barrier(path, (root / path).exists(), len(held), frozenset([*held, *pieces]))


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

    def flops(spec: dict[str, Any]) -> float:
        params = arithmetic.count_params(arithmetic.shape_of(spec["model"])).total
        return arithmetic.flops(params, spec["tokens"])

    return total(specs, flops)


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


def begun(waiting: Mapping[str, dict[str, Any]], pieces: Iterable[Leg], root: Path) -> list[str]:
    """Return what there is of cells and pieces of trunks that wait for the seal.

    What was trained with other parameters is no part of them: it is trained again.

    Parameters
    ----------
    waiting
        Parameters of the cells that wait by path.
    pieces
        Pieces of trunks that wait.
    root
        Folder that holds ``results`` and ``state``.
    """
    found = [root / "results/trunks" / leg.path for leg in pieces]
    for path, spec in waiting.items():
        record = root / "results/cells" / path / "metrics.json"
        if record.is_file() and _trained(record) == plain(spec):
            found.append(record)
        manifest = root / "results/datasets" / spec["cell"]["dataset"] / "manifest.json"
        if manifest.is_file():
            found.append(root / "state" / path / state_digest(spec, sha256_file(manifest)))
    return sorted(str(path) for path in found if path.exists())


def _trained(record: Path) -> dict[str, Any] | None:
    """Return the parameters in a record, permission apart; None for one that is not readable."""
    try:
        return plain(read_json(record)["params"])
    except (ScalebedError, KeyError, TypeError, AttributeError):
        return None
