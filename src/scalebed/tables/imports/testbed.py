"""The published testbed of arXiv 2403.08540: one JSON of losses and one of task scores a model.

Layout of mlfoundations/scaling: ``exp_data/models/<data>-<model>-<multiplier>.json``,
``exp_data/evals/evaluation_<the same>_heavy.json`` and ``exp_data/eval_metadata.csv``, which has
chance level and number of items of every task. The multiplier is M / 20.

A file that cannot be read makes its cell a failed one and never stops the others.
"""

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from scalebed.core import arithmetic
from scalebed.core.cells import Cell
from scalebed.core.errors import ScalebedError
from scalebed.tables.imports import testbed_records as records
from scalebed.tables.imports.base import Imported, Row
from scalebed.tables.imports.frontier import mark_published
from scalebed.tables.imports.search_grid import read_grid

DATASETS = {"c4_original": "c4", "rpj": "redpajama", "rw_original": "refinedweb"}
_SIZES = {
    "d=96_l=8_h=4": "11m",
    "d=512_l=8_h=4": "79m",
    "d=576_l=24_h=8": "154m",
    "d=1024_l=24_h=8": "411m",
    "open_lm_1b": "1400m",
    "open_lm_7b": "6900m",
}
_RECIPE, _SEED = "base", 124
_NAME = re.compile(r"(?P<data>[a-z0-9_]+)-(?P<model>.+)-(?P<multiplier>\d+(\.\d+)?)")
# One name for what both parts of a record say of a run.
_HYPERPARAMETERS = {
    **{name: name for name in ("lr", "warmup", "wd", "tokens", "params", "qk_norm", "z_loss")},
    "cd": "cooldown_lr",
    "global_bs": "batch_sequences",
    "acc": "accumulation",
}
_ARGUMENTS = {
    **{name: name for name in ("lr", "warmup", "wd", "epochs", "beta2", "seed", "precision")},
    "lr-cooldown-end": "cooldown_lr",
    "global-batch-size": "batch_sequences",
    "train-num-samples": "train_num_samples",
    "accum-freq": "accumulation",
    "z-loss": "z_loss",
}


def import_cells(path: Path, options: dict[str, Any]) -> Imported:
    """Read the testbed.

    Parameters
    ----------
    path
        Its folder: the one that holds ``exp_data``, or that folder itself.
    options
        ``search_window``: lowest and highest compute, in FLOPs, that the filter of the search
        leaves out.

    Raises
    ------
    ScalebedError
        If there is no testbed at `path`, its table of tasks cannot be read, or an option is
        unknown or of another form.
    """
    window = _window(options)
    root = path / "exp_data" if (path / "exp_data").is_dir() else path
    files = sorted((root / "models").glob("*.json"))
    if not files:
        raise ScalebedError(f"{root} has no models/*.json, expected the folder of the testbed")
    metadata = records.metadata(root / "eval_metadata.csv")
    found = Imported(cells=[], facts={"imported_models": str(len(files))})
    for file in files:
        cell = _identity(file)
        try:
            row, losses, arguments = _model(file, cell)
        except records.BrokenRecordError as error:
            found.cells.append(_failed(cell, str(error)))
            continue
        found.cells.append(row)
        found.losses.extend({"cell": cell.path, **loss} for loss in losses)
        scores, more = records.scores(
            root / "evals" / f"evaluation_{file.stem}_heavy.json", metadata
        )
        found.tasks.extend({"cell": cell.path, **score} for score in scores)
        found.arguments.extend({"cell": cell.path, **item} for item in [*arguments, *more])
    if (root / "grid.json").is_file():
        try:
            found.search.extend(_search(root / "grid.json", window))
        except ScalebedError as error:
            found.facts["search_problem"] = str(error)
    return found


def _window(options: dict[str, Any]) -> tuple[float, float] | None:
    for key, value in options.items():
        if key != "search_window":
            raise ScalebedError(f"source.options: the importer testbed has no option {key!r}")
        if not (
            isinstance(value, list)
            and len(value) == 2
            and all(type(end) in (int, float) for end in value)
            and 0 < value[0] < value[1]
        ):
            raise ScalebedError(
                f"source.options.search_window is {value!r}, expected [lowest, highest] in FLOPs"
            )
        return float(value[0]), float(value[1])
    return None


def _search(file: Path, window: tuple[float, float] | None) -> list[Row]:
    """Return the configurations of the search, marked; chosen are the shapes of the study."""
    rows = read_grid(file)
    there = {(row["width"], row["layers"], row["heads"]) for row in rows}
    sizes = arithmetic.SIZE_TABLES["gadre2024"].values()
    shapes = [(size["width"], size["layers"], size["heads"]) for size in sizes]
    return mark_published(rows, [shape for shape in shapes if shape in there], window)


def _identity(file: Path) -> Cell:
    """Return the cell that a file name says; it is all there is of a broken file."""
    match = _NAME.fullmatch(file.stem)
    if match and match["data"] in DATASETS and match["model"] in _SIZES:
        ratio = round(20 * float(match["multiplier"]))
        return Cell(DATASETS[match["data"]], _SIZES[match["model"]], ratio, _RECIPE, _SEED)
    raise ScalebedError(
        f"{file}: the name is not <data>-<model>-<multiplier>.json with data one of "
        f"{', '.join(DATASETS)} and model one of {', '.join(_SIZES)}"
    )


def _base(cell: Cell) -> Row:
    """Return what the architecture alone says of a cell."""
    size = arithmetic.SIZE_TABLES["gadre2024"][cell.size]
    shape = arithmetic.Shape(**size)
    counts = arithmetic.count_params(shape)
    tokens = round(cell.ratio * counts.total)
    return {
        "cell": cell.path,
        **cell._asdict(),
        "params": counts.total,
        "params_no_input_embedding": counts.no_input_embedding,
        "params_no_embeddings": counts.no_embeddings,
        "tokens": tokens,
        "token_multiplier": float(cell.ratio),
        "flops": arithmetic.flops(counts.total, tokens),
        "flops_exact": arithmetic.flops_exact(shape, tokens),
        **{name: size[name] for name in ("width", "layers", "heads", "vocab", "context")},
        "backend": "open_lm",
    }


def _failed(cell: Cell, reason: str) -> Row:
    return _base(cell) | {"status": "failed", "reason": reason}


def _model(file: Path, cell: Cell) -> tuple[Row, list[Row], list[Row]]:
    """Return the row of a cell, its losses, and what its record says of the run."""
    record = records.read(file)
    values = record.get("hyperparameters")
    params = int(records.number(file, values, "params", "hyperparameters."))
    tokens = int(records.number(file, values, "tokens", "hyperparameters."))
    if params < 1 or tokens < 1:
        raise records.BrokenRecordError(
            f"{file.name}: params {params} or tokens {tokens} is not positive"
        )
    row = _base(cell) | {
        "status": "done",
        "reason": None,
        "params": params,
        "tokens": tokens,
        "token_multiplier": tokens / params,
        "flops": arithmetic.flops(params, tokens),
    }
    arguments = [*_arguments("hyperparameters", values, _HYPERPARAMETERS)]
    words = record.get("open_lm_args")
    if isinstance(words, list):
        given = {
            str(key).removeprefix("--"): value
            for key, value in pairwise(words)
            if str(key).startswith("--")
        }
        arguments += _arguments("open_lm_args", given, _ARGUMENTS)
    return row, records.losses(file, record), [*arguments, *records.created("record", record)]


def _arguments(source: str, values: Any, names: dict[str, str]) -> Iterator[Row]:
    for key, name in names.items():
        if values.get(key) is not None:
            yield {"source": source, "key": name, "value": str(values[key])}
