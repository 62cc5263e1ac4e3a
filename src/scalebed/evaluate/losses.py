"""Loss of a trained cell on validation texts.

Loss is the token-mean cross-entropy in nats: every token of a sequence but the first is predicted,
end-of-text tokens included, each sequence from its own beginning. Bits per byte are summed nats
/ ln 2 / bytes of text, where end-of-text tokens add nats but no bytes.
"""

import hashlib
import logging
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scalebed.core.errors import ScalebedError
from scalebed.core.files import read_json, write_json
from scalebed.core.provenance import run_record
from scalebed.evaluate.bootstrap import interval, resample_sequences, resample_tokens
from scalebed.evaluate.cells import load_cell, read_cell_record

if TYPE_CHECKING:
    from scalebed.model import Decoder

logger = logging.getLogger(__name__)


def sequence_losses(model: "Decoder", sequences: np.ndarray) -> np.ndarray:
    """Return the loss of every predicted token in nats.

    Parameters
    ----------
    model
        The decoder.
    sequences
        int64 of shape (n, s + 1), s at most the model's context.

    Returns
    -------
    numpy.ndarray
        float64 of shape (n, s).
    """
    import torch

    from scalebed.evaluate.scoring import batch_positions
    from scalebed.model.inference import Inference

    n, s = sequences.shape[0], sequences.shape[1] - 1
    found = np.empty((n, s))
    rows = max(1, batch_positions(model.config.width) // s)
    with torch.inference_mode():
        inference = Inference(model)
        for start in range(0, n, rows):
            batch = torch.from_numpy(sequences[start : start + rows])
            hidden = inference.hidden(batch[:, :-1])
            losses, _ = inference.token_losses(hidden, batch[:, 1:].reshape(-1))
            found[start : start + rows] = losses.view(-1, s).numpy()
    return found


def summarise(
    losses: np.ndarray, size_bytes: float, resamples: int, rng: np.random.Generator
) -> dict[str, Any]:
    """Return the entry of one validation text: mean loss, its intervals, bits per byte, counts.

    Parameters
    ----------
    losses
        Loss of each token in nats, shape (sequences, tokens of each).
    size_bytes
        UTF-8 bytes of the text predicted.
    resamples
        Bootstrap resamples.
    rng
        Source of randomness.
    """
    n, s = losses.shape
    by_sequence = interval(
        resample_sequences(losses.sum(axis=1), np.full(n, float(s)), resamples, rng)
    )
    by_token = interval(resample_tokens(losses.ravel(), resamples, rng))
    return {
        "loss": float(losses.mean()),
        "loss_sequences_lower": by_sequence[0],
        "loss_sequences_upper": by_sequence[1],
        "loss_tokens_lower": by_token[0],
        "loss_tokens_upper": by_token[1],
        "bits_per_byte": float(losses.sum()) / math.log(2) / size_bytes,
        "sequences": n,
        "tokens": n * s,
        "bytes": round(size_bytes),
    }


def evaluate_losses(
    cell: Path,
    validation: Mapping[str, Path],
    params: dict[str, Any],
    out: Path,
    threads: int = 1,
) -> dict[str, Any]:
    """Measure a cell on validation texts and write the record to `out`.

    Parameters
    ----------
    cell
        ``metrics.json`` of the cell.
    validation
        Manifest of the tokens of each text, by name.
    params
        ``sets`` (per name ``split`` and ``max_tokens``), ``resamples``, ``seed``, ``numerics``.
    out
        Where the record goes.
    threads
        Threads of torch.

    Raises
    ------
    ScalebedError
        If names and manifests do not match, the cell has no weights, a text is in the tokens of
        another tokenizer, or gives a loss that is not a number.
    """
    started = time.perf_counter()
    metrics = read_cell_record(cell)
    if set(validation) != set(params["sets"]):
        raise ScalebedError(
            f"--validation names {', '.join(sorted(validation)) or 'nothing'}, but the parameters "
            f"have the sets {', '.join(sorted(params['sets'])) or 'none'}"
        )
    record: dict[str, Any] = {
        "cell": metrics["cell"],
        "weights_sha256": metrics["weights_sha256"],
        "params": params,
        "losses": {},
    }
    if metrics["status"] == "done":
        model = load_cell(cell, metrics, threads)
        for name, manifest in sorted(validation.items()):
            record["losses"][name] = _one(model, name, manifest, params)
            logger.info("loss on %s: %.4f nats", name, record["losses"][name]["loss"])
    else:
        record["status"] = metrics["status"]
    record["run"] = run_record()
    record["seconds"] = time.perf_counter() - started
    write_json(out, record)
    return record


def _one(model: "Decoder", name: str, manifest: Path, params: Mapping[str, Any]) -> dict[str, Any]:
    from scalebed.data.sequences import validation_sequences

    vocab = read_json(manifest)["vocab"]
    if vocab > model.config.vocab:
        raise ScalebedError(
            f"{manifest} has {vocab} different tokens, but the model only {model.config.vocab} "
            "rows: it was trained with another tokenizer"
        )
    wanted = params["sets"][name]
    text = validation_sequences(
        manifest, wanted["split"], model.config.context, wanted["max_tokens"]
    )
    losses = sequence_losses(model, text.sequences)
    if not np.isfinite(losses).all():
        raise ScalebedError(f"the model's loss on {name} is not a finite number")
    # A generator of its own for each text: adding one changes no other's interval.
    label = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    rng = np.random.default_rng([params["seed"], label])
    size = text.tokens * text.bytes_per_token
    return summarise(losses, size, params["resamples"], rng)
