"""Versions and content digests of task files, cheap enough for the parsing of a workflow."""

import functools
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from scalebed.core.errors import ScalebedError
from scalebed.core.provenance import digest
from scalebed.core.yaml_text import parse_yaml

TASK_FOLDER = Path(__file__).parent / "tasks" / "cloze"
"""Task files of the locally built suites."""

_REQUIRED = ("task", "output_type", "doc_to_text", "doc_to_choice", "doc_to_target")


def read_task(file: Path) -> dict[str, Any]:
    """Return a task file's content.

    Raises
    ------
    ScalebedError
        If the file is missing, is not YAML, lacks a key, or is named differently from its task.
    """
    try:
        values = parse_yaml(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ScalebedError(f"cannot read the task file {file}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        message = " ".join(str(error).split())
        raise ScalebedError(f"the task file {file} is not valid YAML: {message}") from error
    if not isinstance(values, dict):
        raise ScalebedError(f"the task file {file} is not a mapping of keys, as lm-eval expects")
    missing = [key for key in _REQUIRED if key not in values]
    metadata = values.get("metadata")
    if not isinstance(metadata, dict) or "version" not in metadata:
        missing.append("metadata.version")
    if missing:
        raise ScalebedError(f"the task file {file} lacks {', '.join(missing)}")
    if values["task"] != file.stem:
        raise ScalebedError(f"the task file {file} holds the task {values['task']!r}, not its name")
    return values


@functools.cache
def _digest(file: Path, content: bytes) -> dict[str, str]:
    version = read_task(file)["metadata"]["version"]
    return {"version": str(version), "digest": hashlib.sha256(content).hexdigest()[:16]}


def task_digest(folder: Path = TASK_FOLDER) -> dict[str, dict[str, str]]:
    """Return version and content digest of every task file in a folder, by task.

    Any edit of a file changes its digest and no other one.

    Raises
    ------
    ScalebedError
        If a file is not a task.
    """
    found = {}
    for file in sorted(folder.glob("*.yaml")):
        found[file.stem] = _digest(file, file.read_bytes())
    return found


def read_table(path: str | Path) -> dict[str, dict[str, Any]]:
    """Return a table of published tasks, such as ``config/tasks/gadre2024.yaml``, by task.

    Raises
    ------
    ScalebedError
        If the file cannot be read, or an entry lacks ``lm_eval``, ``shots`` or ``chance``.
    """
    try:
        values = parse_yaml(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        message = " ".join(str(error).split())
        raise ScalebedError(f"cannot read the table of tasks {path}: {message}") from error
    tasks = values.get("tasks") if isinstance(values, dict) else None
    if not isinstance(tasks, dict) or not tasks:
        raise ScalebedError(f"the table of tasks {path} has no mapping 'tasks'")
    for name, entry in tasks.items():
        for key in ("lm_eval", "shots", "chance"):
            if not isinstance(entry, dict) or key not in entry:
                raise ScalebedError(f"{path}: the task {name} lacks the key {key!r}")
        _require_values(path, name, entry)
    return dict(tasks)


def _require_values(path: str | Path, name: Any, entry: dict[Any, Any]) -> None:
    """Refuse an entry of a table of tasks whose values are of another kind."""
    given: list[Any] = [entry.get(key) for key in ("lm_eval", "shots", "chance", "metric")]
    lm_eval, shots, chance, metric = given
    right = {
        "lm_eval": (lm_eval is None or isinstance(lm_eval, str), "a name or null"),
        "shots": (type(shots) is int and shots >= 0, "a count"),
        "chance": (type(chance) in (int, float) and 0 <= chance <= 1, "a number from 0 to 1"),
        "metric": (metric is None or isinstance(metric, str), "a name"),
    }
    for key, (is_right, expected) in right.items():
        if not is_right:
            found = entry.get(key)
            raise ScalebedError(f"{path}: the task {name}: {key} is {found!r}, expected {expected}")


def suite_digests(
    tasks: Sequence[str], table: str | Path | None = None
) -> dict[str, dict[str, Any]]:
    """Return what the evaluation of each task of a suite depends on besides model and items.

    Parameters
    ----------
    tasks
        Names of local task files, or of tasks of lm-eval.
    table
        A table of published tasks to use instead; its tasks without a counterpart in lm-eval are
        left out.

    Returns
    -------
    dict
        Per task ``version`` and ``digest``; for a task of lm-eval also ``lm_eval``, its name
        there, ``shots``, ``metric`` and ``chance_error`` (null: the task's own).
    """
    if table is not None:
        entries = read_table(table)
        return {
            name: published(
                entry["lm_eval"], entry["shots"], entry.get("metric"), 1.0 - entry["chance"]
            )
            for name, entry in entries.items()
            if entry["lm_eval"] is not None and (not tasks or name in tasks)
        }
    local = task_digest()
    return {name: dict(local[name]) if name in local else published(name) for name in tasks}


def published(
    name: str,
    shots: int | None = None,
    metric: str | None = None,
    chance_error: float | None = None,
) -> dict[str, Any]:
    """Return the entry of a task of lm-eval, see `suite_digests`."""
    values = {"lm_eval": name, "shots": shots, "metric": metric, "chance_error": chance_error}
    return {"version": None, "digest": digest(values), **values}
