"""Trained models on disk: ``model.safetensors`` and ``model.json`` in a cell's folder."""

from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

from scalebed.core.errors import ScalebedError
from scalebed.core.files import atomic_path, read_json, write_json
from scalebed.model.config import ModelConfig
from scalebed.model.decoder import Decoder

WEIGHTS = "model.safetensors"
CONFIG = "model.json"


def save_model(folder: str | Path, model: Decoder, about: dict[str, Any]) -> None:
    """Write a decoder's weights and, beside them, its configuration; see `save_weights`."""
    weights = {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}
    save_weights(folder, model.config, weights, about)


def save_weights(
    folder: str | Path,
    config: ModelConfig,
    weights: dict[str, torch.Tensor],
    about: dict[str, Any],
) -> None:
    """Write weights and, beside them, the configuration of their decoder.

    Parameters
    ----------
    folder
        Where ``model.safetensors`` and ``model.json`` go.
    config
        What the decoder is made of.
    weights
        Its parameters by name, each an array of its own on the CPU.
    about
        More to record in ``model.json``, such as the tokenizer.
    """
    with atomic_path(Path(folder) / WEIGHTS, digest=False) as temporary:
        save_tensors(temporary, weights)
    record = config.record()
    write_json(Path(folder) / CONFIG, {"model": record, "vocab": record["vocab"], **about})


def save_tensors(
    path: Path, tensors: dict[str, torch.Tensor], metadata: dict[str, str] | None = None
) -> None:
    """Write a safetensors file; to be used inside `scalebed.core.files.atomic_path`.

    Raises
    ------
    OSError
        If the file cannot be written. (The library has an exception of its own for that.)
    """
    try:
        safetensors.torch.save_file(tensors, path, metadata)
    except safetensors.SafetensorError as error:
        raise OSError(str(error)) from error
    path.chmod(0o644)  # the library makes private files; results are for colleagues to read


def load_model(
    cell_dir: str | Path, device: torch.device | str = "cpu"
) -> tuple[Decoder, dict[str, Any]]:
    """Load the trained decoder of a cell, ready for evaluation.

    Parameters
    ----------
    cell_dir
        Folder of the cell, with ``model.json`` and ``model.safetensors``.
    device
        Where the weights go.

    Returns
    -------
    Decoder
        The model, in evaluation mode and without gradients.
    dict
        Content of ``model.json``: ``model`` (the configuration), ``vocab``, ``tokenizer``.

    Raises
    ------
    ScalebedError
        If a file is missing, truncated, or its weights do not fit the configuration.
    """
    about = read_json(Path(cell_dir) / CONFIG)
    path = Path(cell_dir) / WEIGHTS
    try:
        model = Decoder(ModelConfig.from_record(about["model"]))
        weights = safetensors.torch.load_file(path)
        model.load_state_dict(weights)
    except OSError as error:
        raise ScalebedError(f"cannot read {path}: {error.strerror or error}") from error
    except safetensors.SafetensorError as error:
        raise ScalebedError(f"{path} is not a whole safetensors file: {error}") from error
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise ScalebedError(f"{path} does not fit {CONFIG} beside it: {reason}") from error
    return model.to(device).eval().requires_grad_(False), about
