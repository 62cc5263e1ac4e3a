"""Train a trunk from one state that is kept to the next."""

import contextlib
import logging
import time
from pathlib import Path
from typing import Any

from scalebed.core.errors import ScalebedError
from scalebed.core.files import read_json, sha256_file, write_json
from scalebed.core.provenance import run_record
from scalebed.core.trunks import Trunk
from scalebed.train import finished, trunk_states
from scalebed.train.cell import checked_job, leading, open_for, run_job
from scalebed.train.checkpoint import open_state
from scalebed.train.job import Options
from scalebed.train.params import CellFailure, check_trunk_params

_log = logging.getLogger(__name__)
FOLDER = "trunks"
"""Folder of the trunks below the root of resumable state."""


def train_trunk(
    params: dict[str, Any], dataset: Path, out: Path, options: Options, before: Path | None = None
) -> str:
    """Train a trunk up to a step, from the latest state there is, and keep its state.

    Beside ``out`` (state.json, written last) comes the checkpoint. Any whole state of the trunk of
    the same data counts, one that no cell leaves at any more included.

    Parameters
    ----------
    params
        Parameters of the trunk, `scalebed.core.trunks.trunk_spec`.
    dataset
        Manifest of the data set.
    out
        Path of state.json, in a folder ``step=<n>``.
    options
        How to run.
    before
        Record of the state before; how that one ended, its successors end too.

    Returns
    -------
    str
        Status: ``done``, ``diverged`` or ``failed``.

    Raises
    ------
    Interrupted
        If a signal asked to stop; the state is saved.
    ScalebedError
        If the surroundings are at fault: parameters, files, disk, or a second trainer.
    """
    began = time.monotonic()
    trunk = check_trunk_params(params)
    manifest = read_json(dataset)
    kin = trunk_states.lineage(params, sha256_file(dataset))
    record = {"params": params, "lineage": kin, "run": run_record()}
    if before is not None and (ended := read_json(before))["status"] != "done":
        return _as_before(out, record, before, ended)
    where = options.state / FOLDER / trunk.path / kin
    if trunk_states.restore(out, kin):
        _clear(where, params["steps"])
        return "done"
    try:
        job = checked_job(params, trunk, dataset, manifest, options)
    except CellFailure as failure:
        return _failed(out, record, trunk, failure)
    begins = trunk_states.states(out.parents[1], params["steps"])
    job = job._replace(begins=begins, lineage=kin, keep=out.parent)
    with open_for(where, options) as state:
        try:
            outcome = run_job(job, state, began)
        except CellFailure as failure:
            return _failed(out, record, trunk, failure)
        if not leading():
            return outcome.status
        if outcome.status == "diverged":
            trunk_states.write_curve(out.parent, outcome)
        facts = outcome._asdict()
        told = ("status", "reason", "seconds", "wall_seconds", "attempts", "device", "ranks")
        trunk_states.write(out, record | {name: facts[name] for name in (*told, "peak_bytes")})
        state.discard()
    return outcome.status


def _clear(where: Path, steps: int) -> None:
    """Remove resumable state that whoever trained to a step did not, unless it goes beyond."""
    if not leading() or not where.is_dir():
        return
    with contextlib.suppress(ScalebedError), open_state(where) as state:  # another trains it
        found = state.newest()
        if found is None or found.step <= steps:
            state.discard()


def restore_trunk(params: dict[str, Any], dataset: Path, out: Path) -> bool:
    """Put the record of a state that is there already back; tell whether it was.

    Parameters and errors are those of `train_trunk`.
    """
    check_trunk_params(params)
    return trunk_states.restore(out, trunk_states.lineage(params, sha256_file(dataset)))


def _failed(out: Path, record: dict[str, Any], trunk: Trunk, failure: CellFailure) -> str:
    if leading():
        _log.warning("%s failed: %s", trunk.path, failure)
        write_json(out, record | {"status": "failed", "reason": str(failure), "seconds": 0.0})
    return "failed"


def _as_before(out: Path, record: dict[str, Any], before: Path, ended: dict[str, Any]) -> str:
    """Record that the trunk had ended before this state already."""
    curve = before.parent / trunk_states.CURVE
    if curve.is_file():
        finished.copy(curve, out.parent / curve.name)
    write_json(out, {**ended, **record, "seconds": 0.0})
    return str(ended["status"])
