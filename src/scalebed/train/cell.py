"""Train one cell from its parameters to its record."""

import dataclasses
import logging
import time
from pathlib import Path
from typing import Any, NamedTuple

import torch

from scalebed.data.sequences import SequenceSource
from scalebed.errors import ScalebedError
from scalebed.files import read_json, sha256_file
from scalebed.grid import Cell
from scalebed.model import Decoder, ModelConfig, initialise
from scalebed.provenance import run_record, state_digest
from scalebed.train import record
from scalebed.train.checkpoint import StateFolder, open_state
from scalebed.train.interrupt import stop_on_signal
from scalebed.train.loop import Training, run_training
from scalebed.train.progress import Progress
from scalebed.train.runtime import choose_device, prepare_process
from scalebed.train.settings import CellFailure, Recipe, check_params

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """How a cell is trained on this machine; nothing here is part of its identity."""

    state: Path = Path("state")
    """Root of resumable state."""
    threads: int = 1
    """CPU threads of each operator."""
    checkpoint_seconds: float = 60.0
    """Time between checkpoints."""
    device: str = "auto"
    """``cpu``, ``cuda``, or ``auto`` for CUDA where there is one."""
    compiled: bool = False
    """Whether to use ``torch.compile``."""
    tensorboard: Path | None = None
    """Folder for TensorBoard events."""


class _Job(NamedTuple):
    params: dict[str, Any]
    cell: Cell
    dataset: Path
    manifest: dict[str, Any]
    dataset_sha256: str
    options: Options


def train_cell(params: dict[str, Any], dataset: Path, out: Path, options: Options) -> str:
    """Train a cell, resuming where an earlier attempt stopped, and write its record.

    Beside ``out`` (metrics.json, written last) come curve.parquet and, for a finished cell,
    model.safetensors and model.json.

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
    cell = check_params(params)
    manifest = read_json(dataset)
    job = _Job(params, cell, dataset, manifest, sha256_file(dataset), options)
    run = record.RunRecord(params, job.dataset_sha256, manifest["tokens"], run_record())
    try:
        config, recipe = _checked(params, manifest)
    except CellFailure as failure:
        _log.warning("%s failed: %s", cell.path, failure)
        record.write_failed(out, run, str(failure))
        return "failed"
    prepare_process(options.threads)
    state_path = options.state / cell.path / _state_digest(job)
    with open_state(state_path) as state:
        status = _train(job, config, recipe, state, out, run, began)
        state.discard()
    return status


def _state_digest(job: _Job) -> str:
    return state_digest(job.params, job.dataset_sha256)


def _checked(params: dict[str, Any], manifest: dict[str, Any]) -> tuple[ModelConfig, Recipe]:
    """Return model and recipe after checking that this cell can be trained on this data."""
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
    if tokens > manifest["tokens"] and not params.get("allow_repeats", False):
        raise CellFailure(_too_small(tokens, manifest["tokens"], manifest["dataset"]))
    return config, recipe


def _too_small(wanted: int, there: int, dataset: str) -> str:
    return (
        f"the cell needs {wanted:,} tokens, but data set {dataset} has {there:,} and "
        "the study does not allow repeats"
    )


def _train(
    job: _Job,
    config: ModelConfig,
    recipe: Recipe,
    state: StateFolder,
    out: Path,
    run: record.RunRecord,
    began: float,
) -> str:
    attempts = state.count_attempt()
    source = SequenceSource(job.dataset, config.context, job.cell.seed)
    there, wanted = len(source) * config.context, job.params["tokens"]
    if wanted > there and not job.params.get("allow_repeats", False):
        # Only whole sequences count, so this can be a little less than the data set's tokens.
        reason = _too_small(wanted, there, job.manifest["dataset"])
        record.write_failed(out, run, reason)
        return "failed"
    device, device_lock = choose_device(job.options.device, job.options.state / "devices")
    training = _set_up(job, config, recipe, source, device)
    spent = 0.0
    if checkpoint := state.newest():
        training.resume(checkpoint)
        spent = float(checkpoint.facts["wall_seconds"])
        _log.info("%s: resuming after step %d", job.cell.path, training.done)
    clock = record.Clock(began, spent)
    step_tokens = recipe.batch_sequences * config.context
    progress = Progress(
        job.cell.path, training.steps, step_tokens, training.done, job.options.tensorboard
    )
    try:
        with stop_on_signal() as stop:
            verdict = run_training(
                training,
                state,
                stop,
                progress,
                job.options.checkpoint_seconds,
                lambda: {"wall_seconds": clock.seconds()},
            )
    finally:
        progress.close()
        if device_lock is not None:
            device_lock.close()
    about = {"tokenizer": job.manifest["tokenizer"], "dataset": job.manifest["dataset"]}
    record.write_trained(
        out, run, training, verdict, about, attempts, job.options.threads, clock.seconds()
    )
    return verdict.status


def _set_up(
    job: _Job,
    config: ModelConfig,
    recipe: Recipe,
    source: SequenceSource,
    device: torch.device,
) -> Training:
    model = Decoder(config)
    initialise(model, job.cell.seed)
    return Training(model.to(device), recipe, job.params["steps"], source, job.options.compiled)
