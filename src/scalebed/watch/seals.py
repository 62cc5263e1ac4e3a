"""Sealed predictions: what is in the file, and whether it is still what was sealed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from scalebed.core.errors import ScalebedError
from scalebed.core.files import read_json
from scalebed.core.provenance import canonical_json
from scalebed.core.quantities import run_text
from scalebed.laws.forms.base import Array
from scalebed.watch.seal_shape import require_shape

SCHEMA: Final = "scalebed.seal"
VERSION: Final = 1
JUDGED: Final = ".judged.json"
"""What a judgement is called beside its seal: ``7b.json`` and ``7b.judged.json``."""
_DIGITS: Final = 10
"""Significant digits of numbers in digests; the last ones differ from machine to machine."""

Record = dict[str, Any]


class EditedSealError(ScalebedError):
    """A seal whose digest is not that of its content."""


def seal_digest(record: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical JSON of all of a seal but its digest."""
    content = {key: value for key, value in record.items() if key != "digest"}
    return hashlib.sha256(canonical_json(content).encode()).hexdigest()


def numbers_digest(columns: Iterable[Array]) -> str:
    """SHA-256 of numbers, each rounded to ten significant digits."""
    hasher = hashlib.sha256()
    for column in columns:
        values = np.asarray(column, float)
        text = " ".join(f"{value:.{_DIGITS}g}" for value in values.ravel().tolist())
        hasher.update(f"{values.shape}:{text}\n".encode())
    return hasher.hexdigest()


def read_seal(path: str | Path) -> Record:
    """Return the content of a seal.

    Raises
    ------
    EditedSealError
        If it was edited since it was sealed.
    ScalebedError
        If it cannot be read, is no seal, or holds what cannot be judged.
    """
    record = read_json(path)
    if not is_seal(record):
        raise ScalebedError(f"{path} is no seal, expected a file that `scalebed seal` wrote")
    if record.get("version") != VERSION:
        raise ScalebedError(
            f"{path} is a seal of version {record.get('version')}, expected {VERSION}"
        )
    found = record.get("digest")
    try:
        wanted = seal_digest(record)
    except (TypeError, ValueError):
        wanted = None
    if found != wanted:
        raise EditedSealError(
            f"{path} was edited after it was sealed: its digest is {str(found)[:12]}, "
            f"its content has {str(wanted)[:12]}"
        )
    require_shape(record, str(path))
    return dict(record)


def is_seal(record: Any) -> bool:
    """Whether the content of a JSON file says that it is a seal."""
    return isinstance(record, dict) and record.get("schema") == SCHEMA


def judged_path(path: str | Path) -> Path:
    """Where the judgement of a seal is written."""
    path = Path(path)
    return path.with_name(path.name.removesuffix(".json") + JUDGED)


def target_text(record: Mapping[str, Any]) -> str:
    """Name the run that a seal is about."""
    target = record["target"]
    return run_text(target["params"], target["tokens"], target["unique_tokens"])


def interval_text(record: Mapping[str, Any]) -> str:
    """Write prediction and interval."""
    said = record["prediction"]
    return f"{said['predicted']:.4f} [{said['lower']:.4f}, {said['upper']:.4f}]"


def despite(record: Mapping[str, Any]) -> Iterator[str]:
    """Yield the sentence that every text about such a seal has."""
    if record["despite_evidence"]:
        yield f"sealed despite the evidence: {'; '.join(record['despite_evidence'])}"


def transform(record: Mapping[str, Any], measured: float) -> float:
    """Probability integral transform: the share of the predictive draws below a value.

    Straight lines between the sealed quantiles; 0 and 1 beyond the least and the largest draw.
    """
    quantiles = np.asarray(record["prediction"]["quantiles"], float)
    return float(np.interp(measured, quantiles, np.linspace(0, 1, quantiles.size), 0.0, 1.0))
