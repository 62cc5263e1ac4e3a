"""Names of the columns of a table of runs: ours, those of others, and those a user gives."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scalebed.core.errors import ScalebedError

NEEDED = ("params", "tokens", "loss")
WORDS = ("dataset", "run", "seed", "trunk", "status")
AMOUNTS = ("params", "tokens", "step", "unique_tokens", "flops")
"""Columns that may say 7B or 1.4T."""
KEYS = (*NEEDED, *WORDS, "step", "unique_tokens", "flops", "ratio", "error", "stderr")
"""What a column can be; the name of a column that needs no other one."""

_OTHERS = {
    "params": "N n_params num_params nparams parameters model_size model_params param_count "
    "parameter_count num_parameters n_parameters total_params non_embedding_params",
    "tokens": "D n_tokens num_tokens tokens_seen train_tokens training_tokens n_train_tokens "
    "num_train_tokens total_tokens tokens_trained consumed_tokens",
    "loss": "val_loss eval_loss valid_loss validation_loss final_loss smoothed_loss test_loss "
    "loss/val final_val_loss final_eval_loss",
    "dataset": "data corpus train_data dataset_name",
    "run": "run_id run_name name id model_name model",
    "seed": "random_seed",
    "step": "_step global_step iteration",
    "trunk": "parent parent_run base_run",
    "status": "state",
    "unique_tokens": "U unique",
    "flops": "flop compute C train_flops training_flops training_flop total_flops",
    "ratio": "M token_multiplier tokens_per_param tokens_per_parameter",
}
# Where trackers put what was set and what was measured: config.n_params, summary/val_loss.
_PLACES = ("config", "cfg", "args", "hparams", "summary", "model")
_FORM = "expected KEY=NAME[,KEY=NAME...]"


def plain(name: str) -> str:
    """Return a name without case, blanks and the signs ``_``, ``-``, ``/`` and ``.`` at joints.

    ``val/loss`` is ``valloss``, as ``val_loss`` is; ``Tokens/Params`` is no ``tokens``.
    """
    return re.sub(r"[\s_/.-]", "", name).lower()


_PLAIN = {plain(other): key for key, others in _OTHERS.items() for other in (key, *others.split())}


@dataclass(frozen=True)
class Naming:
    """Which column of a file is what.

    Attributes
    ----------
    columns : dict
        Column of the file by key.
    guessed : tuple of str
        Keys whose column was recognised by a common other name.
    notes : tuple of str
        Sentences on columns that were recognised, or could not be told apart.
    """

    columns: dict[str, str]
    guessed: tuple[str, ...]
    notes: tuple[str, ...]

    def without(self, key: str, reason: str) -> Naming:
        """Return the naming with one guess taken back, and the reason said."""
        name = self.columns[key]
        kept = [note for note in self.notes if note != _said(key, name)]
        return Naming(
            {k: column for k, column in self.columns.items() if k != key},
            tuple(k for k in self.guessed if k != key),
            (
                *kept,
                f"column `{name}` is not read as {key}, as {reason} (--column {key}={name} does)",
            ),
        )


def parse_columns(texts: Iterable[str]) -> dict[str, str]:
    """Read the words KEY=NAME[,KEY=NAME...] of ``--column``.

    Raises
    ------
    ScalebedError
        If a key is unknown or given twice, or two keys have one name.
    """
    given: dict[str, str] = {}
    for text in texts:
        for word in text.split(","):
            key, equals, name = (part.strip() for part in word.partition("="))
            if not equals or not name:
                raise ScalebedError(f"--column {text}: cannot read {word!r}, {_FORM}")
            if key not in KEYS:
                raise ScalebedError(
                    f"--column {text}: {key!r} is unknown, expected one of {', '.join(KEYS)}"
                )
            if key in given:
                raise ScalebedError(f"--column {text}: {key} is given twice, expected once")
            if name in given.values():
                other = next(k for k, column in given.items() if column == name)
                raise ScalebedError(
                    f"--column {text}: {name} is given for {other} and for {key}, "
                    "expected a column for each"
                )
            given[key] = name
    return given


def could_be_words(name: str, given: Mapping[str, str]) -> bool:
    """Whether a column may hold names, such as 007 or NA, that only look like numbers."""
    asked = {column: key for key, column in given.items()}
    return asked.get(name, name if name in KEYS else _key(name) or _key(_placeless(name))) in WORDS


def resolve(path: Path, found: Sequence[str], given: Mapping[str, str]) -> Naming:
    """Find the column of every key: as given, else of the exact name, else of a common other one.

    Parameters
    ----------
    path
        The file, for messages.
    found
        Its columns.
    given
        Column by key, from `parse_columns`.

    Raises
    ------
    ScalebedError
        If the file lacks a column, or one that is needed could be one of several.
    """
    for key, name in given.items():
        if name not in found:
            raise ScalebedError(
                f"--column {key}={name}: {path} has no column {name}; its columns are "
                f"{', '.join(found)}"
            )
    taken = set(given.values())
    columns, guessed, notes = dict(given), [], []
    for key in KEYS:
        if key in given:
            continue
        if key in found and key not in taken:
            columns[key] = key
            continue
        others = _named(found, key, taken)
        if len(others) == 1:
            columns[key] = others[0]
            guessed.append(key)
            notes.append(_said(key, others[0]))
        elif others:
            notes.append(_undecided(path, key, others))
    derived = {"ratio", "flops"} & set(columns)
    missing = [k for k in NEEDED if k not in columns and not (k == "tokens" and derived)]
    if missing:
        plural = "columns" if len(missing) > 1 else "column"
        raise ScalebedError(
            f"{path} has no {plural} {', '.join(missing)}; its columns are {', '.join(found)} "
            f"(--column {missing[0]}=NAME says which of them it is)"
        )
    return Naming(columns, tuple(guessed), tuple(notes))


def candidates(found: Sequence[str], key: str) -> list[str]:
    """Return the columns that could be a key: the one of that name, else those of other names."""
    return [key] if key in found else _named(found, key, set())


def _named(found: Sequence[str], key: str, taken: set[str]) -> list[str]:
    """Columns that are called like a key; one without a place, as config., before one with it."""
    free = [name for name in found if name not in (*taken, *KEYS)]
    own = [name for name in free if _key(name) == key]
    return own or [name for name in free if _key(_placeless(name)) == key and not _key(name)]


def _key(name: str) -> str | None:
    return _PLAIN.get(plain(name))


def _placeless(name: str) -> str:
    """Return ``n_params`` of ``config.model.n_params``."""
    parts = re.split(r"[./]", name.strip())
    while len(parts) > 1 and parts[0].lower() in _PLACES:
        parts = parts[1:]
    return "/".join(parts)


def _said(key: str, name: str) -> str:
    return f"column `{name}` is read as {key}"


def _undecided(path: Path, key: str, names: Sequence[str]) -> str:
    """Return the note on several candidates; for a needed key it is the error that is raised."""
    listed = " and ".join(f"`{name}`" for name in names)
    if key in NEEDED:
        raise ScalebedError(
            f"{path}: columns {listed} could each be {key}; --column {key}={names[0]} "
            "says that it is the first"
        )
    return (
        f"columns {listed} could each be {key}, and none is read as such "
        f"(--column {key}={names[0]} reads the first)"
    )
