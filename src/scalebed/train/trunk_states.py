"""States of trunks on disk: which of them a training begins from.

``results/trunks/<trunk>/step=<n>/`` holds the checkpoint after n steps, as `StateFolder` writes it,
and ``state.json``, which is written last and says how the trunk came so far.
"""

from pathlib import Path
from typing import Any

import safetensors.torch

from scalebed.core.digests import intact
from scalebed.core.errors import ScalebedError
from scalebed.core.files import atomic_path, quarantine, read_json, write_json
from scalebed.core.provenance import state_digest
from scalebed.core.trunks import RECORD, leaves_at, trunk_spec
from scalebed.model.saved import save_tensors
from scalebed.train.checkpoint import Saved, StateFolder
from scalebed.train.finished import copy
from scalebed.train.job import Job, Options, Outcome
from scalebed.train.params import CellFailure

CURVE = "curve.safetensors"
"""Curve of a trunk that diverged, beside its record."""

KEPT = "kept.json"
"""Copy of the record of a state that is whole, beside it."""

_STEP = "step="


def trunk_step(folder: Path) -> int:
    """Return the step of the state in a folder."""
    return int(folder.name.removeprefix(_STEP))


def lineage(params: dict[str, Any], dataset_sha256: str) -> str:
    """Return a digest of what every state of a trunk has in common.

    Parameters
    ----------
    params
        Parameters of ``train_trunk``.
    dataset_sha256
        Checksum of the manifest of the data set.
    """
    return state_digest(params["trunk"], dataset_sha256)


def states(trunk: Path, steps: int) -> tuple[Path, ...]:
    """Return the folders of a trunk with states of so many steps or fewer, the latest first."""
    found = [path for path in trunk.glob(f"{_STEP}*") if path.name[len(_STEP) :].isdecimal()]
    return tuple(sorted((p for p in found if trunk_step(p) <= steps), key=trunk_step, reverse=True))


def branch(job: Job, record: Path, dataset_sha256: str) -> Job:
    """Return the job of a cell that goes on from the state of its trunk.

    Parameters
    ----------
    job
        The cell.
    record
        ``state.json`` of the state.
    dataset_sha256
        Checksum of the manifest of the data set.

    Raises
    ------
    CellFailure
        If its trunk could not be trained.
    ScalebedError
        If the record is of another step, or says nothing.
    """
    step = leaves_at(job.params)
    if step is None or trunk_step(record.parent) != step:
        raise ScalebedError(
            f"--trunk is {record}, expected " + ("none" if step is None else f"that of step {step}")
        )
    state = read_json(record)
    if state.get("status") == "failed":
        raise CellFailure(str(state["reason"]))
    known = lineage(trunk_spec(job.params, step), dataset_sha256)
    return job._replace(begins=(record.parent,), lineage=known)


def diverged(record: Path, options: Options) -> Outcome | None:
    """Return the outcome of a cell whose trunk diverged before the cell left it; else None.

    Raises
    ------
    ScalebedError
        If the records of the trunk cannot be read.
    """
    state = read_json(record)
    if state.get("status") != "diverged":
        return None
    curve = safetensors.torch.load_file(intact(record.parent / CURVE))["curve"]
    return Outcome(
        "diverged",
        state["reason"],
        curve,
        steps=len(curve),
        begun=len(curve),
        seconds=0.0,
        attempts=1,
        device=state["device"],
        threads=options.threads,
        wall_seconds=0.0,
        save=lambda folder, about: None,
        ranks=state["ranks"],
    )


def write(out: Path, record: dict[str, Any]) -> None:
    """Write the record of a state, and once more for `restore`."""
    write_json(out.with_name(KEPT), record)
    write_json(out, record)


def restore(out: Path, known: str) -> bool:
    """Put the record of a state back that is there; tell whether it was.

    Snakemake removes a record before the job that writes it, and asks for one again when a piece of
    the trunk before it is made again.

    Parameters
    ----------
    out
        Path of state.json.
    known
        `lineage` of the state.
    """
    kept = out.with_name(KEPT)
    found = StateFolder(out.parent).newest() if kept.is_file() else None
    if found is None or found.facts.get("lineage") != known:
        return False
    copy(kept, out)
    return True


def write_curve(folder: Path, outcome: Outcome) -> None:
    """Write the curve of a trunk that diverged."""
    with atomic_path(folder / CURVE) as temporary:
        save_tensors(temporary, {"curve": outcome.curve.contiguous()}, {})


def latest(job: Job, own: Saved | None) -> Saved | None:
    """Return the latest state that a job can begin from: its own, or one of its trunk.

    Raises
    ------
    ScalebedError
        If a branch finds its trunk's state broken, or of other data; its record is set aside.
    """
    for folder in job.begins:
        if own is not None and own.step >= trunk_step(folder):
            return own
        found = StateFolder(folder).newest()
        if found is not None and found.facts.get("lineage") == job.lineage:
            return found
    if job.keep is None and job.begins and own is None:
        record = job.begins[0] / RECORD
        quarantine(record, f"{record} has no whole state of the trunk on these data beside it")
    return own
