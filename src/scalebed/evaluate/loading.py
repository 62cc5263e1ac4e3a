"""Loading tasks into lm-evaluation-harness: local ones from files, others by name."""

import json
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scalebed.core import verify
from scalebed.core.errors import ScalebedError
from scalebed.core.files import quarantine
from scalebed.data.corpus import read_manifest
from scalebed.evaluate.digests import TASK_FOLDER, read_task, task_digest


class Documents(list[dict[str, Any]]):
    """Items of a task as lm-eval reads a data set: a sequence that knows its fields.

    lm-eval would load the file through `datasets`, which writes an Arrow copy into a cache that
    parallel jobs share; the items are few and already checked.
    """

    @property
    def features(self) -> dict[str, Any]:
        """Names of the fields; lm-eval uses the keys only."""
        return dict.fromkeys(self[0])


def read_items(manifest: Path, task: str) -> tuple[Documents, str]:
    """Return the items of a task in a suite and the SHA-256 of their file.

    Raises
    ------
    ScalebedError
        If the suite lacks the task, or its file is missing, truncated or altered; the suite's
        manifest is then set aside, so that the next run builds it again.
    """
    suite = read_manifest(manifest, "suite")
    if task not in suite["tasks"]:
        raise ScalebedError(
            f"the suite {manifest} has no task {task!r}; it has {', '.join(sorted(suite['tasks']))}"
        )
    entry = suite["tasks"][task]
    path = verify.verified(manifest, entry)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        items = Documents(json.loads(line) for line in lines)
    except ValueError as error:
        quarantine(manifest, f"{path} is not a file of JSON lines: {error}")
    if not items:
        quarantine(manifest, f"{path} holds no items")
    return items, str(entry["sha256"])


def work_offline(state: Path) -> None:
    """Keep `datasets` and the hub client off the network and out of the user's cache.

    Must run before either is imported.
    """
    os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TQDM_DISABLE="1")
    os.environ["HF_HOME"] = str((state / "huggingface").resolve())


def load_local(items: Mapping[str, Documents], limit: int | None) -> dict[str, Any]:
    """Return lm-eval tasks for local task files, with their items.

    Raises
    ------
    ScalebedError
        If there is no such file, or lm-eval rejects it.
    """
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=str(TASK_FOLDER), include_defaults=False)
    loaded = {}
    for name, documents in items.items():
        file = TASK_FOLDER / f"{name}.yaml"
        if name not in task_digest():
            raise ScalebedError(f"no task file {file}")
        part = Documents(documents[:limit])

        def dataset(part: Documents = part, **_: Any) -> dict[str, Documents]:
            return {"test": part}

        settings = read_task(file) | {"custom_dataset": dataset}
        try:
            loaded.update(manager.load([settings])["tasks"])
        # lm-eval reports a bad task file by whatever its own code trips over.
        except Exception as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise ScalebedError(f"lm-eval rejects the task file {file}: {reason}") from error
    return loaded


def load_published(name: str, shots: int | None, manager: Any) -> dict[str, Any]:
    """Return the lm-eval tasks of a name; a group gives several.

    Raises
    ------
    ScalebedError
        If lm-eval knows no such task, or its data cannot be had.
    """
    if name not in manager.all_tasks:
        raise ScalebedError(
            f"{name!r} is neither a task file of scalebed nor a task of the installed lm-eval"
        )
    try:
        tasks = dict(manager.load([name])["tasks"])
    # Hub, network, data set scripts and parsers fail in unrelated types, all meaning: no data.
    except Exception as error:
        lines = (str(error).strip() or type(error).__name__).splitlines()
        raise ScalebedError(
            f"cannot load the data of the lm-eval task {name} (is the hub reachable?): "
            f"{lines[0].rstrip('.')}"
        ) from error
    for task in tasks.values():
        # A task that fixes its shots at 0 in its own file keeps them, as in lm-eval.
        if shots is not None and task.get_config("num_fewshot") != 0:
            task.set_config(key="num_fewshot", value=shots)
        elif task.get_config("num_fewshot") is None:
            task.set_config(key="num_fewshot", value=0)
        task.set_fewshot_seed(seed=1234)
    return tasks


def quiet(names: Sequence[str] = ("lm_eval",)) -> None:
    """Silence lm-eval's remarks on every task it loads; its errors still come through."""
    for name in names:
        logging.getLogger(name).setLevel(logging.ERROR)
