"""A finished cell as a folder that transformers loads: configuration, weights, tokenizer, card."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scalebed.core import verify
from scalebed.core.cells import CELL, Cell
from scalebed.core.ended import ended_words
from scalebed.core.errors import ScalebedError
from scalebed.core.files import read_json, read_text, sha256_file, write_json, write_text
from scalebed.data.corpus import read_manifest
from scalebed.data.tokenizer import manifest_of
from scalebed.evaluate.card import card
from scalebed.model import load_model
from scalebed.model.llama import config_json, weights_of
from scalebed.model.saved import WEIGHTS, save_tensors

_RECORD = "metrics.json"


def find_cell(text: str, results: Path, study: str | None = None) -> Path:
    """Return the folder of a cell.

    Parameters
    ----------
    text
        The folder; or the cell as tables have it, ``dataset=…/size=…/…``; or its first coordinates
        without their names, as far as it takes to tell it from others: ``mixture/279k/10``.
    results
        Folder of results.
    study
        Name of a study there; only its cells are looked at.

    Raises
    ------
    ScalebedError
        If no cell or more than one is meant.
    """
    if (Path(text) / _RECORD).is_file():
        return Path(text)
    words = text.strip("/").split("/")
    cells = list(_cells(results, study))
    found = [path for path in cells if _is_meant(words, path)]
    if len(found) == 1:
        return results / "cells" / found[0]
    where = f"the study {study}" if study else f"{results}/cells"
    if not found:
        raise ScalebedError(
            f"{text} is no folder of a cell and none of the {len(cells)} cells of {where}, "
            "expected a folder, dataset=…/size=…/… or dataset/size/ratio"
        )
    listing = ", ".join(found[:5]) + (", …" if len(found) > 5 else "")
    raise ScalebedError(f"{text} could be {len(found)} cells of {where}: {listing}")


def _cells(results: Path, study: str | None) -> Iterator[str]:
    if study is None:
        pattern = CELL.format(**dict.fromkeys(Cell._fields, "*")) + f"/{_RECORD}"
        for path in sorted((results / "cells").glob(pattern)):
            yield path.parent.relative_to(results / "cells").as_posix()
        return
    table = results / "studies" / study / "cells.tsv"
    if not table.is_file():
        raise ScalebedError(f"there is no study {study!r} in {results}/studies")
    for line in read_text(table).splitlines()[1:]:
        yield line.rpartition("\t")[2]


def _is_meant(words: list[str], path: str) -> bool:
    coordinates = path.split("/")
    named = zip(words, coordinates, strict=False)
    return len(words) <= len(coordinates) and all(
        word in (one, one.partition("=")[2]) for word, one in named
    )


def check_target(folder: Path) -> None:
    """Raise ScalebedError unless a folder is free to be written."""
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise ScalebedError(f"{folder} exists and is not an empty folder; nothing is overwritten")


def finished_record(cell: Path) -> dict[str, Any]:
    """Return the record of a finished cell.

    Raises
    ------
    ScalebedError
        If there is none, or the cell failed or diverged.
    """
    record = read_json(cell / _RECORD)
    status = record.get("status")
    if status != "done":
        words = ended_words(str(status), record.get("reason"))
        raise ScalebedError(f"{cell} has no model to export: {words}")
    return dict(record)


def export_cell(cell: Path, folder: Path, tokenizer: Path | None = None) -> str:
    """Write a cell as transformers reads models; the folder appears whole or not at all.

    Parameters
    ----------
    cell
        Folder of the cell.
    folder
        Where it goes: a folder that is not there or is empty.
    tokenizer
        Its manifest, if it does not lie where the workflow puts it.

    Returns
    -------
    str
        Class of the model.

    Raises
    ------
    ScalebedError
        If the cell has no model, its files are missing or altered, or the folder is not free.
    """
    check_target(folder)
    record = finished_record(cell)
    found = sha256_file(cell / WEIGHTS) if (cell / WEIGHTS).is_file() else "no such file"
    if found != record["weights_sha256"]:
        raise ScalebedError(f"{cell / WEIGHTS} is not what {_RECORD} beside it records: {found}")
    model, about = load_model(cell)
    path = manifest_of(cell, about, tokenizer)
    manifest = read_manifest(path, "tokenizer")
    config = config_json(model.config, manifest["eot"])
    weights = weights_of(model.config, model.state_dict())
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        temporary.chmod(0o755)
        write_json(temporary / "config.json", config)
        save_tensors(temporary / WEIGHTS, weights, {"format": "pt"})
        _write_tokenizer(temporary, path, manifest, model.config.context)
        write_text(temporary / "README.md", card(cell, record, config["architectures"][0]))
        temporary.replace(folder)
    except OSError as error:
        raise ScalebedError(f"cannot write {folder}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return str(config["architectures"][0])


def _write_tokenizer(folder: Path, path: Path, manifest: dict[str, Any], context: int) -> None:
    core = json.loads(read_text(verify.verified(path, manifest["file"])))
    # As in training: no token that the text does not spell, nothing padded, nothing cut.
    core |= {"post_processor": None, "padding": None, "truncation": None}
    write_json(folder / "tokenizer.json", core)
    ids = {**core["model"]["vocab"], **{t["content"]: t["id"] for t in core["added_tokens"]}}
    eot = next(name for name, number in ids.items() if number == manifest["eot"])
    values = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": eot,
        "eos_token": eot,
        "add_bos_token": False,
        "add_eos_token": False,
        "model_max_length": context,
        "clean_up_tokenization_spaces": False,
        # Text that spells the name of the token is text.
        "split_special_tokens": True,
    }
    write_json(folder / "tokenizer_config.json", values)
