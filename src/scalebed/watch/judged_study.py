"""Judge the sealed predictions of a study by what its targets gave."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from scalebed.core.files import sha256_file, write_parquet
from scalebed.core.provenance import canonical_json
from scalebed.predict.open_study import read_tables
from scalebed.predict.runs import collect_runs
from scalebed.tables.arrow import from_rows
from scalebed.tables.declared.judged import JUDGED
from scalebed.watch.sealed_study import read_study_seal, record_names, settings_digest

Row = dict[str, Any]
Measured = Mapping[tuple[str, str, str], float]
"""Value by cell, kind and response."""


def judge_study(
    params: Mapping[str, Any], code: str, seal: Path, cells: Path, tables: Path, out: Path
) -> None:
    """Write the table of judged predictions; its metadata say of which seal and how it differs.

    Parameters
    ----------
    params, code
        What the seal would be made with now, see `scalebed.watch.sealed_study.seal_study`.
    seal
        What was sealed.
    cells
        Root folder of all cells.
    tables
        Folder of the tables of the study.
    out
        Parquet file.

    Raises
    ------
    ScalebedError
        If the seal was edited, or something cannot be read.
    """
    record = read_study_seal(seal)
    measured = measured_values(read_tables(tables), params["fit"]["averages"])
    rows = [judged_row(row, measured) for row in record["predictions"]]
    about = {key: record[key] for key in ("date", "digest", "refused")}
    about["changes"] = list(changes(record, params, code, cells))
    data = from_rows(JUDGED, rows, str(seal))
    kept = {**(data.schema.metadata or {}), b"seal": canonical_json(about).encode()}
    write_parquet(out, data.replace_schema_metadata(kept))


def measured_values(
    tables: dict[str, list[Row]], averages: Mapping[str, list[str] | None]
) -> Measured:
    """Return what was measured of every finished cell, averages of tasks included."""
    found = {}
    for runs in collect_runs(tables, averages):
        for kind, columns in (("loss", runs.losses), ("error", runs.errors)):
            for response, column in columns.items():
                for cell, value in zip(runs.cells, column.tolist(), strict=True):
                    if np.isfinite(value):
                        found[cell, kind, response] = float(value)
    return found


def judged_row(sealed: Mapping[str, Any], measured: Measured) -> Row:
    """Return a sealed prediction beside what was measured, if anything was."""
    row = {name: sealed[name] for name in JUDGED.names if name in sealed}
    value = measured.get((row["cell"], row["kind"], row["response"]))
    row |= {"measured": value, "relative_error": None, "inside": None}
    if value is None:
        return row
    if value:
        row["relative_error"] = abs(row["predicted"] - value) / value
    if row["lower"] is not None and row["upper"] is not None:
        row["inside"] = row["lower"] <= value <= row["upper"]
    return row


def changes(
    record: Mapping[str, Any], params: Mapping[str, Any], code: str, cells: Path
) -> Iterator[str]:
    """Yield in words how a study differs from what its seal was made of."""
    digests = record["digests"]
    if digests["settings"] != settings_digest(params):
        yield "the cells or the settings of the fits"
    names = record_names(params)
    other = sum(digests["records"].get(name) != _sha256(cells / name) for name in names)
    if other:
        yield f"{other} of {len(names)} records"
    if digests["code"] != code:
        yield "the code that predicts"
    now = {row["cell"] for row in params["targets"]}
    if now != set(record["targets"]):
        yield "the targets"


def _sha256(path: Path) -> str | None:
    return sha256_file(path) if path.is_file() else None
