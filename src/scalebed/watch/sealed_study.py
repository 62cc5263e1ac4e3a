"""Seal what the laws of a study predict for its targets before any of them trains.

Cells that are no target are tabulated and fitted by what makes the study's own tables and fits.
Targets take part as rows without a measurement, so that each is predicted as it is after it has
trained.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import scalebed
from scalebed.core.errors import ScalebedError
from scalebed.core.files import read_json, sha256_file, write_json
from scalebed.core.provenance import canonical_json, digest
from scalebed.core.remedies import KEPT_SEAL
from scalebed.predict.open_study import read_tables
from scalebed.predict.settings import parse_settings
from scalebed.predict.study import fit_study
from scalebed.tables.tabulate import tabulate_cells
from scalebed.watch.dates import moment
from scalebed.watch.seal_shape import OF_STUDY, require_shape
from scalebed.watch.seals import EditedSealError, seal_digest

SCHEMA: Final = "scalebed.study_seal"
VERSION: Final = 1
_KEPT: Final = (
    *("cell", "dataset", "kind", "response", "law", "predicted", "lower", "upper", "level"),
    *("numbers", "evidence"),
)
_KNOWN: Final = ("params", "tokens", "flops", "times_largest", "times_fit")

Row = dict[str, Any]


def seal_study(
    params: Mapping[str, Any], code: str, cells: Path, begun: Sequence[Path], out: Path
) -> None:
    """Write the sealed predictions of a study, or put them back from the copy beside them.

    Parameters
    ----------
    params
        ``{"study", "tables", "fit", "targets"}``: parameters of ``tabulate-cells`` for the cells
        that are no target, those of ``fit-laws``, and a row of the table ``cells`` for each target.
    code
        Digest of the code that predicts.
    cells
        Root folder of all cells.
    begun
        Files and folders of targets that have begun to train.
    out
        JSON file, which must not exist.

    Raises
    ------
    ScalebedError
        If a target has begun to train, the file exists, or the records cannot be fitted.
    """
    kept = out.with_name(KEPT_SEAL)
    if begun and kept.is_file() and not out.exists():
        write_json(out, read_study_seal(kept))
        return
    if begun:
        raise ScalebedError(
            f"{begun[0]} exists, so a target has begun to train and nothing can be sealed before "
            "it; expected fit.seal: false, or none of what the targets left"
        )
    if out.exists():
        raise ScalebedError(f"{out} exists, and a seal is never written over")
    records = {name: sha256_file(cells / name) for name in record_names(params)}
    fitted = fit_study(planned_tables(params, cells), parse_settings(canonical_json(params["fit"])))
    known = {row["cell"]: {name: row[name] for name in _KNOWN} for row in params["targets"]}
    predictions = [
        {name: row[name] for name in _KEPT} | known[row["cell"]]
        for row in fitted["predictions"].to_pylist()
        if row["role"] == "target"
    ]
    refused = [
        {"fit": row["fit"], "reason": row["reason"]}
        for row in fitted["fits"].to_pylist()
        if row["status"] == "refused"
    ]
    record: Row = {
        "schema": SCHEMA,
        "version": VERSION,
        "scalebed": scalebed.__version__,
        "study": params["study"],
        "date": moment(),
        "targets": sorted(known),
        "predictions": predictions,
        "refused": refused,
        "digests": {"settings": settings_digest(params), "code": code, "records": records},
    }
    record |= {"digest": seal_digest(record)}
    write_json(kept, record)
    write_json(out, record)


def record_names(params: Mapping[str, Any]) -> list[str]:
    """Return the records that the seal rests on, below the folder of all cells, sorted."""
    kinds = ["metrics", "losses"] + ([] if params["tables"]["suite"] is None else ["tasks"])
    listed = params["tables"]["cells"]
    return sorted(f"{row['cell']}/{kind}.json" for row in listed for kind in kinds)


def settings_digest(params: Mapping[str, Any]) -> str:
    """Return a digest of what is fitted to which cells and how."""
    return digest({"tables": params["tables"], "fit": params["fit"]})


def planned_tables(params: Mapping[str, Any], cells: Path) -> dict[str, list[Row]]:
    """Return the rows of ``cells``, ``losses`` and ``tasks`` as they are before targets train."""
    with tempfile.TemporaryDirectory() as folder:
        tabulate_cells(params["tables"], cells, Path(folder))
        tables = read_tables(Path(folder))
    targets = [row | {"epochs": _epochs(row, tables["cells"])} for row in params["targets"]]
    return tables | {"cells": tables["cells"] + targets}


def _epochs(target: Mapping[str, Any], cells: Iterable[Mapping[str, Any]]) -> float | None:
    """Return D of a target over the tokens of its data set, as another cell tells them."""
    for row in cells:
        if row["dataset"] == target["dataset"] and row["epochs"]:
            return float(target["tokens"] / (row["tokens"] / row["epochs"]))
    return None


def read_study_seal(path: Path) -> Row:
    """Return the content of a seal of a study.

    Raises
    ------
    EditedSealError
        If it was edited since it was sealed.
    ScalebedError
        If it cannot be read, is no such seal, or holds what cannot be judged.
    """
    record = read_json(path)
    if not isinstance(record, dict) or record.get("schema") != SCHEMA:
        raise ScalebedError(
            f"{path} is no seal of a study, expected a file of `scalebed seal-predictions`"
        )
    if record.get("version") != VERSION:
        raise ScalebedError(
            f"{path} is a seal of version {record.get('version')}, expected {VERSION}"
        )
    try:
        wanted = seal_digest(record)
    except (TypeError, ValueError):
        wanted = None
    if record.get("digest") != wanted:
        raise EditedSealError(f"{path} was edited after it was sealed: its digest is another one")
    require_shape(record, str(path), OF_STUDY)
    return record
