"""The record of a cell: metrics.json, curve.parquet and the weights."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch

from scalebed.core import arithmetic
from scalebed.core.errors import ScalebedError
from scalebed.core.files import sha256_file, write_json
from scalebed.core.trunks import trunk_of
from scalebed.model.saved import CONFIG, WEIGHTS
from scalebed.train.curve import train_loss, write_curve
from scalebed.train.job import Job, Outcome

CURVE = "curve.parquet"


class RunRecord(NamedTuple):
    """What is known of a cell before it is trained."""

    params: dict[str, Any]
    dataset_sha256: str | None
    dataset_tokens: int | None
    """Both None where the text is not here: the model was trained elsewhere."""
    run: dict[str, Any]


class Clock(NamedTuple):
    """Wall time of a cell over all attempts."""

    began: float
    """When this attempt began, on the monotonic clock."""
    spent: float
    """Seconds of earlier attempts up to the checkpoint resumed from."""

    def seconds(self) -> float:
        """Return the wall time so far."""
        return self.spent + time.monotonic() - self.began


def write_failed(out: Path, run: RunRecord, reason: str) -> None:
    """Write the record of a cell that cannot be trained: a reason and an empty curve."""
    _clear(out)
    write_curve(out.parent / CURVE, torch.zeros(0, 3), None, 0, 0)
    write_json(out, _metrics(run) | {"status": "failed", "reason": reason})


def write_converted(
    out: Path, run: RunRecord, source: dict[str, Any], save: Callable[[Path], None]
) -> None:
    """Write the record of a cell that was trained elsewhere: weights and an empty curve.

    Parameters
    ----------
    out
        Path of metrics.json.
    run
        What was known before.
    source
        Which file it comes from.
    save
        Writes the weights into a folder.

    Raises
    ------
    ScalebedError
        If a file cannot be written; metrics.json is then not there.
    """
    _clear(out)
    write_curve(out.parent / CURVE, torch.zeros(0, 3), None, 0, 0)
    save(out.parent)
    facts = {"status": "done", "weights_sha256": sha256_file(out.parent / WEIGHTS)}
    write_json(out, _metrics(run) | facts | {"checkpoint": source})


def write_trained(
    out: Path, run: RunRecord, job: Job, outcome: Outcome, about: dict[str, Any]
) -> None:
    """Write the record of a trained cell, metrics.json last.

    Weights are kept of a finished cell only.

    Parameters
    ----------
    out
        Path of metrics.json.
    run
        What was known before.
    job
        What was trained.
    outcome
        How it ended.
    about
        Facts to keep with the weights.

    Raises
    ------
    ScalebedError
        If a file cannot be written; metrics.json is then not there.
    """
    _clear(out)
    weights = None
    if outcome.status == "done":
        outcome.save(out.parent, about)
        weights = sha256_file(out.parent / WEIGHTS)
    context = job.config.context
    rows = write_curve(out.parent / CURVE, outcome.curve, job.recipe, job.steps, context)
    trained = (outcome.steps - outcome.begun) * job.recipe.batch_sequences * context
    facts = {
        "status": outcome.status,
        "reason": outcome.reason,
        "train_loss": train_loss(outcome.curve) if outcome.status == "done" else None,
        "seconds": outcome.seconds,
        "wall_seconds": outcome.wall_seconds,
        "attempts": outcome.attempts,
        "tokens_per_second": trained / outcome.seconds if outcome.seconds else None,
        "trunk_steps": outcome.begun,
        "threads": outcome.threads,
        "ranks": outcome.ranks,
        "peak_bytes": outcome.peak_bytes,
        "device": outcome.device,
        "weights_sha256": weights,
        "curve_rows": rows,
    }
    write_json(out, _metrics(run) | facts)


def _clear(out: Path) -> None:
    """Remove what an earlier run left, the record first, so that it never vouches for new files."""
    for name in (out.name, WEIGHTS, CONFIG, CURVE):
        path = out.parent / name
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise ScalebedError(f"cannot write {path}: {error.strerror or error}") from error


def _metrics(run: RunRecord) -> dict[str, Any]:
    """Return everything in metrics.json that follows from the parameters; the rest is empty."""
    params = run.params
    shape = arithmetic.shape_of(params["model"])
    counts = arithmetic.count_params(shape)
    tokens = params["tokens"]
    trunk = trunk_of(params)
    return {
        "cell": params["cell"],
        "status": None,
        "reason": None,
        "params": params,
        "dataset_sha256": run.dataset_sha256,
        "counts": {
            "params": counts.total,
            "params_no_input_embedding": counts.no_input_embedding,
            "params_no_embeddings": counts.no_embeddings,
        },
        "tokens": tokens,
        "steps": params["steps"],
        "batch_tokens": params["recipe"]["batch_sequences"] * shape.context,
        "token_multiplier": tokens / counts.total,
        "flops": arithmetic.flops(counts.total, tokens),
        "flops_exact": arithmetic.flops_exact(shape, tokens),
        "epochs": None if run.dataset_tokens is None else tokens / run.dataset_tokens,
        "trunk": None if trunk is None else trunk.path,
        "trunk_steps": 0,
        "train_loss": None,
        "seconds": 0.0,
        "wall_seconds": 0.0,
        "attempts": 1,
        "tokens_per_second": None,
        "threads": None,
        "ranks": None,
        "peak_bytes": None,
        "device": None,
        "precision": params["recipe"]["precision"],
        "backend": params["recipe"]["backend"],
        "weights_sha256": None,
        "curve_rows": 0,
        "run": run.run,
    }
