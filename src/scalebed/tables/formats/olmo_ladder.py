"""Runs of the OLMo ladder (arXiv 2412.04403), as its repository keeps them: one CSV a run.

Columns: ``_step``, ``throughput/total_tokens`` or ``batch_size_in_tokens``,
``eval/<set>-validation/CrossEntropyLoss`` and ``eval/downstream/<task>_len_norm`` (accuracy), and
more. The name of a file begins with the size, as in ``190M-1xC.csv``.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow

from scalebed.core.errors import ScalebedError
from scalebed.tables.formats.histories import (
    OPTIONS,
    History,
    check_options,
    files_of,
    loss_of,
    rows_of,
)
from scalebed.tables.formats.rows import Rows
from scalebed.tables.runs_columns import column_names, numbers, read_file

# N as the repository's own fits take it (MODEL_PARAMS of its scripts).
SIZES: Final = {
    "190M": 190_354_176,
    "370M": 371_262_464,
    "600M": 597_382_464,
    "760M": 758_220_288,
    "1B": 1_279_395_840,
    "1.3B": 1_279_395_840,
    "3B": 3_169_537_280,
    "3.2B": 3_169_537_280,
    "7B": 6_887_575_552,
    "13B": 13_202_396_160,
}
_LOSS = re.compile(r"eval/(.+)-validation/CrossEntropyLoss")
_ACCURACY = re.compile(r"eval/downstream/(.+)_(?:len_norm|acc|mc_5shot)")
_MAIN = "eval/c4_en-validation/CrossEntropyLoss"
_TOKENS = "throughput/total_tokens"
_BATCH = "batch_size_in_tokens"


def recognises(path: Path, columns: Sequence[str]) -> bool:
    """Whether the tables at a path have the ladder's losses and tokens."""
    named = [columns] if path.is_file() else [column_names(file) for _, file in files_of(path)]
    return bool(named) and all(
        any(_LOSS.fullmatch(name) for name in found) and bool({_TOKENS, _BATCH} & set(found))
        for found in named
    )


def read_rows(path: Path, options: Mapping[str, Any]) -> Rows:
    """Read a run, or all of a folder.

    Parameters
    ----------
    path
        File or folder.
    options
        Those of histories; ``losses`` and ``tasks``, if ``yes``, add the other losses and the
        errors of tasks, each of which gets a law.

    Raises
    ------
    ScalebedError
        If a file cannot be read, or is of an unknown size.
    """
    check_options("olmo_ladder", options, (*OPTIONS, "losses", "tasks"))
    histories = [_history(run, file, options) for run, file in files_of(path)]
    rows = rows_of(path, histories, options)
    return rows._replace(notes=(*rows.notes, "params are those that the ladder's own fits take"))


def _history(run: str, file: Path, options: Mapping[str, Any]) -> History:
    table = read_file(file, {})
    found = table.column_names
    asked = _MAIN if _MAIN in found and "loss" not in options else loss_of(file, found, options)
    match = re.match(r"[0-9.]+[MB]", Path(run).name)
    params = SIZES.get(match[0]) if match else None
    elsewhere = bool({"params", "runs"} & set(options))
    if params is None and not elsewhere:
        raise ScalebedError(
            f"{file}: the name begins with no size of the ladder ({', '.join(SIZES)}); "
            "expected --option params=N"
        )
    columns: dict[str, Any] = {"step": table["_step"]} if "_step" in found else {}
    if _TOKENS in found:
        columns["tokens"] = table[_TOKENS]
    elif {"_step", _BATCH} <= set(found):
        steps, batch = (numbers(file, name, table[name]) for name in ("_step", _BATCH))
        columns["tokens"] = steps * batch
    if not elsewhere:
        columns["params"] = np.full(table.num_rows, params)
    columns["loss"] = table[asked]
    used = {"_step", _TOKENS, asked}
    for name in found:
        if (match := _LOSS.fullmatch(name)) and name != asked and _yes(options, "losses"):
            columns[f"loss_{match[1]}"] = table[name]
        elif (match := _ACCURACY.fullmatch(name)) and _yes(options, "tasks"):
            columns[f"error_{match[1]}"] = 1 - numbers(file, name, table[name])
        elif name not in used and not name.startswith("eval/"):
            columns[name] = table[name]
    return History(run, pyarrow.table(columns), "loss")


def _yes(options: Mapping[str, Any], key: str) -> bool:
    value = options.get(key, False)
    if value not in (True, False, "yes", "no"):
        raise ScalebedError(f"option {key} is {value!r}, expected yes or no")
    return value in (True, "yes")
