"""A cell as evaluation finds it: the record of its training and its weights."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scalebed.core.errors import ScalebedError
from scalebed.core.files import quarantine, read_json, sha256_file

if TYPE_CHECKING:
    from scalebed.model import Decoder

logger = logging.getLogger(__name__)


def read_cell_record(metrics: Path) -> dict[str, Any]:
    """Return the record of a cell's training.

    Raises
    ------
    ScalebedError
        If it is missing or broken, or says the cell is done and names no weights.
    """
    record = read_json(metrics)
    for key in ("cell", "status", "weights_sha256"):
        if not isinstance(record, dict) or key not in record:
            raise ScalebedError(f"{metrics} is not the record of a cell: it lacks {key!r}")
    if record["status"] == "done" and record["weights_sha256"] is None:
        raise ScalebedError(f"{metrics} says the cell is done, but names no weights")
    if record["status"] != "done":
        logger.warning("the cell is %s, nothing to evaluate: %s", record["status"], metrics)
    return dict(record)


def load_cell(metrics: Path, record: Mapping[str, Any], threads: int) -> "Decoder":
    """Return the model of a finished cell, its weights checked against the record.

    Raises
    ------
    ScalebedError
        If the weights are missing, broken or not those of the record, which is then set aside.
    """
    import torch

    from scalebed.model import load_model
    from scalebed.model.saved import WEIGHTS
    from scalebed.train.runtime import keep_freed_memory

    weights = metrics.parent / WEIGHTS
    if not weights.is_file():
        quarantine(metrics, f"the weights {weights} are missing")
    found = sha256_file(weights)
    if found != record["weights_sha256"]:
        quarantine(
            metrics,
            f"{weights} has SHA-256 {found[:12]}…, expected {record['weights_sha256'][:12]}…",
        )
    torch.set_num_threads(threads)
    keep_freed_memory()
    model, _ = load_model(metrics.parent)
    return model
