"""Train one cell from its parameters to its record."""

import contextlib
import logging
import time
from importlib import import_module
from pathlib import Path
from typing import Any

from scalebed.core.backends import BACKENDS
from scalebed.core.cells import Cell
from scalebed.core.errors import ScalebedError
from scalebed.core.files import read_json, sha256_file
from scalebed.core.provenance import run_record, state_digest
from scalebed.core.trunks import Trunk
from scalebed.model import ModelConfig
from scalebed.train import finished, record, trunk_states
from scalebed.train.checkpoint import StateFolder, open_state
from scalebed.train.distributed.ranks import world
from scalebed.train.job import Job, Options, Outcome
from scalebed.train.params import CellFailure, Recipe, check_params, check_tokens

_log = logging.getLogger(__name__)


def train_cell(
    params: dict[str, Any], dataset: Path, out: Path, options: Options, trunk: Path | None = None
) -> str:
    """Train a cell, resuming where an earlier attempt stopped, and write its record.

    Beside ``out`` (metrics.json, written last) come curve.parquet and, for a finished cell,
    model.safetensors and model.json. Of several ranks only the first locks state and writes.

    Parameters
    ----------
    params
        The cell's canonical parameters.
    dataset
        Manifest of the data set.
    out
        Path of metrics.json.
    options
        How to run.
    trunk
        Record of the state at which the cell leaves its trunk; without one a cell that has a trunk
        is trained from the first step, which ends in the same weights.

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
    leads = leading()
    cell = check_params(params)
    manifest = read_json(dataset)
    dataset_sha256 = sha256_file(dataset)
    run = record.RunRecord(params, dataset_sha256, manifest["tokens"], run_record())
    try:
        job = checked_job(params, cell, dataset, manifest, options)
        if trunk is not None:
            job = trunk_states.branch(job, trunk, dataset_sha256)
    except CellFailure as failure:
        return _failed(out, run, cell, failure, leads)
    state_path = options.state / cell.path / state_digest(params, dataset_sha256)
    with open_for(state_path, options) as state:
        # Ranks were started because there was something to train: see `restore_finished`.
        if world()[1] == 1 and finished.restore(state.path, out):
            return "done"
        try:
            ended = None if trunk is None else trunk_states.diverged(trunk, options)
            outcome = ended or run_job(job, state, began)
        except CellFailure as failure:
            status = _failed(out, run, cell, failure, leads)
        else:
            status = outcome.status
            about = {"tokenizer": manifest["tokenizer"], "dataset": manifest["dataset"]}
            if leads:
                record.write_trained(out, run, job, outcome, about)
        if leads and status == "done":
            finished.keep(state.path, out)
        elif leads:
            state.discard()
    return status


def leading() -> bool:
    """Tell whether this process is the one of its ranks that locks state and writes."""
    return world()[0] == 0


def open_for(path: Path, options: Options) -> contextlib.AbstractContextManager[StateFolder]:
    """Open a folder of state: locked by the leading rank, as it is by others; see `open_state`."""
    if leading():
        return open_state(path, options.wait_seconds)
    return contextlib.nullcontext(StateFolder(path))


def run_job(job: Job, state: StateFolder, began: float) -> Outcome:
    """Train by the backend that the recipe names; see `scalebed.core.backends`."""
    backend = import_module(BACKENDS[job.recipe.backend])
    outcome: Outcome = backend.train(job, state, began)
    return outcome


def restore_finished(params: dict[str, Any], dataset: Path, out: Path, options: Options) -> bool:
    """Put the record of a cell that was trained already back; tell whether there was one.

    For whoever starts several ranks, which could not all see the same while one of them does it.
    Parameters and errors are those of `train_cell`.
    """
    cell = check_params(params)
    path = options.state / cell.path / state_digest(params, sha256_file(dataset))
    if not path.is_dir():
        return False
    with open_state(path, options.wait_seconds) as state:
        return finished.restore(state.path, out)


def _failed(out: Path, run: record.RunRecord, cell: Cell, failure: CellFailure, leads: bool) -> str:
    if not leads:
        return "failed"
    _log.warning("%s failed: %s", cell.path, failure)
    record.write_failed(out, run, str(failure))
    return "failed"


def checked_job(
    params: dict[str, Any],
    cell: Cell | Trunk,
    dataset: Path,
    manifest: dict[str, Any],
    options: Options,
) -> Job:
    """Return the job after checking that this cell can be trained on this data.

    Raises
    ------
    CellFailure
        If it cannot.
    ScalebedError
        If the parameters contradict each other.
    """
    recipe = Recipe.from_record(params["recipe"])
    try:
        config = ModelConfig.from_record(params["model"])
    except ValueError as error:
        raise CellFailure(str(error)) from error
    tokens = params["tokens"]
    if tokens != params["steps"] * recipe.batch_sequences * config.context:
        raise ScalebedError(
            f"--params: tokens is {tokens}, but {params['steps']} steps of "
            f"{recipe.batch_sequences} sequences of {config.context} are another number"
        )
    if manifest["vocab"] > config.vocab:
        raise CellFailure(
            f"model.vocab is {config.vocab}, but data set {manifest['dataset']} has token ids up "
            f"to {manifest['vocab'] - 1}"
        )
    check_tokens(params, manifest["tokens"], manifest["dataset"])
    if recipe.schedule == "wsd" and recipe.backend != "torch":
        raise CellFailure(f"the backend {recipe.backend} has no schedule wsd, expected cosine")
    return Job(params, cell, config, recipe, dataset, manifest, options)
