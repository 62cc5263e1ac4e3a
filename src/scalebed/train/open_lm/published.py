"""Cells taken from open_lm checkpoints that others trained: ``source: checkpoint``."""

import ast
import logging
from pathlib import Path
from typing import Any

from scalebed.core.errors import ScalebedError
from scalebed.core.files import read_json, read_text, sha256_file
from scalebed.core.provenance import run_record
from scalebed.data.corpus import read_manifest
from scalebed.data.localfiles import path_digest
from scalebed.model import Decoder, ModelConfig
from scalebed.model.saved import save_model
from scalebed.train import record
from scalebed.train.open_lm import checkpoint, convert
from scalebed.train.params import Recipe, check_params

_log = logging.getLogger(__name__)
# Arguments of a run that decide what its weights mean and leave no trace in their names or shapes.
_TELLING = ("model_norm", "positional_embedding_type", "ffn_type", "moe_freq")


def convert_cell(params: dict[str, Any], tokenizer: Path, out: Path) -> None:
    """Write the record of a cell from the checkpoint that its parameters name.

    Beside ``out`` (metrics.json, written last) come model.safetensors, model.json and an empty
    curve.parquet: nothing is known of the training.

    Parameters
    ----------
    params
        The cell's canonical parameters; ``model`` says what the checkpoint must hold.
    tokenizer
        Manifest of the tokenizer the model was trained with.
    out
        Path of metrics.json.

    Raises
    ------
    ScalebedError
        If the checkpoint cannot be read or is that of another model.
    """
    plain = {key: value for key, value in params.items() if key != "checkpoint"}
    cell = check_params(plain)
    Recipe.from_record(params["recipe"])
    path = Path(params["checkpoint"])
    manifest = read_manifest(tokenizer, "tokenizer")
    try:
        config = ModelConfig.from_record(params["model"])
    except ValueError as error:
        raise ScalebedError(f"--params: {error}") from error
    if manifest["vocab"] > config.vocab:
        raise ScalebedError(
            f"model.vocab is {config.vocab}, but tokenizer {manifest['tokenizer']} has token ids "
            f"up to {manifest['vocab'] - 1}"
        )
    model = _decoder(path, config)
    about = {"tokenizer": manifest["tokenizer"], "dataset": cell.dataset}
    size = path.stat().st_size
    source = {"path": str(path), "sha256": sha256_file(path), "bytes": size}
    source["digest"] = path_digest(path)
    run = record.RunRecord(params, None, None, run_record())
    record.write_converted(out, run, source, lambda folder: save_model(folder, model, about))
    _log.info("%s: taken from %s (%.3g GB)", cell.path, path, size / 1e9)


def _decoder(path: Path, config: ModelConfig) -> Decoder:
    weights = checkpoint.state_dict(checkpoint.read(path), path)
    try:
        _check_neighbours(path, config)
        converted = convert.from_open_lm(weights, config)
    except ValueError as error:
        raise ScalebedError(f"{path} is not the checkpoint of this size: {error}") from error
    model = Decoder(config)
    model.load_state_dict(converted)
    return model


def _check_neighbours(path: Path, config: ModelConfig) -> None:
    """Check what a checkpoint's run says of itself, where that lies beside it or a folder above.

    Which norm has the gains, for example, can be told from no tensor.

    Raises
    ------
    ValueError
        If it is another model.
    """
    folders = (path.parent, path.parent.parent)
    known: dict[str, Any] = {"model_norm": "gain_only_lp_layer_norm", "qk_norm": config.qk_norm}
    for folder in folders:
        if (folder / "params.txt").is_file():
            said = _arguments(folder / "params.txt")
            known |= {key: said[key] for key in _TELLING if key in said}
            convert.model_config(convert.model_json(config) | known)
            break
    for folder in folders:
        file = folder / "model.json"
        content = read_json(file) if file.is_file() else {}
        if isinstance(content, dict) and "hidden_dim" in content:
            there = convert.model_config(known | content).record()
            for name, value in config.record().items():
                if name != "ffn_multiple" and there[name] != value:
                    raise ValueError(f"{file} has {name} {there[name]}, but the study has {value}")
            return


def _arguments(path: Path) -> dict[str, Any]:
    """Return the arguments in a ``params.txt`` of open_lm: lines ``name: value``."""
    found: dict[str, Any] = {}
    for line in read_text(path).splitlines():
        name, colon, text = line.partition(": ")
        if not colon:
            continue
        try:
            found[name] = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            found[name] = text
    return found
