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
from scalebed.model import ModelConfig
from scalebed.train import finished, record
from scalebed.train.checkpoint import StateFolder, open_state
from scalebed.train.distributed.ranks import world
from scalebed.train.job import Job, Options
from scalebed.train.params import CellFailure, Recipe, check_params, check_tokens

_log = logging.getLogger(__name__)


def train_cell(params: dict[str, Any], dataset: Path, out: Path, options: Options) -> str:
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
    leads = world()[0] == 0
    cell = check_params(params)
    manifest = read_json(dataset)
    dataset_sha256 = sha256_file(dataset)
    run = record.RunRecord(params, dataset_sha256, manifest["tokens"], run_record())
    try:
        job = _checked(params, cell, dataset, manifest, options)
    except CellFailure as failure:
        return _failed(out, run, cell, failure, leads)
    state_path = options.state / cell.path / state_digest(params, dataset_sha256)
    with (
        open_state(state_path, options.wait_seconds)
        if leads
        else contextlib.nullcontext(StateFolder(state_path)) as state
    ):
        # Ranks were started because there was something to train: see `restore_finished`.
        if world()[1] == 1 and finished.restore(state.path, out):
            return "done"
        try:
            backend = import_module(BACKENDS[job.recipe.backend])
            outcome = backend.train(job, state, began)
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


def _checked(
    params: dict[str, Any], cell: Cell, dataset: Path, manifest: dict[str, Any], options: Options
) -> Job:
    """Return the job after checking that this cell can be trained on this data."""
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
    return Job(params, cell, config, recipe, dataset, manifest, options)
