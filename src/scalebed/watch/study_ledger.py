"""The record of predictions that studies sealed, one line a study and kind.

They stand apart from the track record of single seals: predictions of one study rest on the same
cells and laws, so that a dozen of them inside say much less than a dozen seals.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pyarrow.parquet import read_schema

from scalebed.core.digests import intact
from scalebed.core.errors import ScalebedError
from scalebed.core.files import read_json
from scalebed.tables.arrow import read_table
from scalebed.tables.declared.judged import JUDGED
from scalebed.watch.sealed_study import SCHEMA, read_study_seal
from scalebed.watch.seals import EditedSealError

_SEALED = "sealed.json"


class Kind(NamedTuple):
    """Sealed predictions of one kind, and how many were judged."""

    kind: str
    predictions: int
    judged: int
    inside: int
    level: float
    """The least nominal level of them."""


class StudyEntry(NamedTuple):
    """What a study sealed."""

    path: Path
    date: str
    study: str
    targets: int
    kinds: list[Kind]


def read_studies(paths: Sequence[Path]) -> tuple[list[StudyEntry], list[str]]:
    """Read the seals of studies and what judged them, and name the edited ones.

    Parameters
    ----------
    paths : sequence of Path
        Seals, or folders with seals anywhere below; other seals are passed over.

    Returns
    -------
    list of StudyEntry, by date
    list of str
        A sentence for each seal that is refused.

    Raises
    ------
    ScalebedError
        If a judgement is of another seal.
    """
    entries, refused = [], []
    for path in paths:
        for file in sorted(path.rglob(_SEALED)) if path.is_dir() else [path]:
            try:
                if path.is_dir():
                    read_json(file)
            except ScalebedError as error:
                refused.append(str(error))
                continue
            if not is_study_seal(file):
                continue
            try:
                entries.append(_entry(file))
            except EditedSealError as error:
                refused.append(str(error))
    return sorted(entries, key=lambda one: (one.date, str(one.path))), refused


def is_study_seal(file: Path) -> bool:
    """Whether a JSON file says that it is the seal of a study."""
    try:
        record = read_json(file)
    except ScalebedError:
        return False
    return isinstance(record, dict) and record.get("schema") == SCHEMA


def _entry(file: Path) -> StudyEntry:
    record = read_study_seal(file)
    rows: list[dict[str, Any]] = record["predictions"]
    judged = file.with_name("judged.parquet")
    if judged.exists():
        rows = read_table(JUDGED, judged).to_pylist()
        about = json.loads((read_schema(intact(judged)).metadata or {}).get(b"seal", b"{}"))
        if about.get("digest") != record["digest"]:
            raise ScalebedError(f"{judged} judges another seal than {file}; run the study again")
    kinds = []
    # The number that a decision would rest on comes first.
    for kind in sorted({row["kind"] for row in rows}, key=("loss", "error").index):
        own = [row for row in rows if row["kind"] == kind]
        known = [row for row in own if row.get("inside") is not None]
        inside = sum(bool(row["inside"]) for row in known)
        level = min(float(row["level"]) for row in own)
        kinds.append(Kind(kind, len(own), len(known), inside, level))
    return StudyEntry(file, record["date"], record["study"], len(record["targets"]), kinds)


def study_lines(entries: Sequence[StudyEntry]) -> Iterator[str]:
    """Yield a line for every study and kind, and why they are not summed up."""
    for one in entries:
        for kind in one.kinds:
            many = "1 target" if one.targets == 1 else f"{one.targets} targets"
            found = "not judged yet"
            if kind.judged:
                found = f"{kind.inside} of {kind.judged} inside, nominal {kind.level:.3g}"
            yield (
                f"{one.date[:10]:10}  study {one.study}, {many}, {kind.predictions} predictions "
                f"of the {kind.kind}: {found}  {one.path}"
            )
    if entries:
        yield "predictions of one study share its cells and laws, so they enter no track record"


def study_records(entries: Sequence[StudyEntry]) -> list[dict[str, Any]]:
    """Return the same as built-in values."""
    return [
        one._asdict() | {"path": str(one.path), "kinds": [kind._asdict() for kind in one.kinds]}
        for one in entries
    ]
