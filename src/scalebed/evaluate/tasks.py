"""Task errors of a trained cell through lm-evaluation-harness, each computed once.

Results are kept in ``state/evaluations``, keyed by everything they depend on: weights, task file,
items, tokenizer, limit, lm-eval's version and `recipes.EVAL_NUMERICS`.
"""

import gc
import importlib.metadata
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from scalebed.core.errors import ScalebedError
from scalebed.core.files import read_json, write_json
from scalebed.core.provenance import digest, run_record
from scalebed.evaluate.cells import load_cell, read_cell_record
from scalebed.evaluate.digests import published
from scalebed.evaluate.loading import (
    Documents,
    load_local,
    load_published,
    quiet,
    read_items,
    work_offline,
)

logger = logging.getLogger(__name__)

Result = dict[str, Any]
_KEYS = frozenset(
    ("version", "error", "error_stderr", "chance_error", "soft_error", "soft_error_stderr", "items")
)


def cache_path(state: Path, key: Mapping[str, Any]) -> Path:
    """Return where the result with a key is kept."""
    name = digest(dict(key))
    return state / "evaluations" / name[:2] / f"{name}.json"


def read_cached(path: Path, key: Mapping[str, Any]) -> Result | None:
    """Return a kept result, or None if there is none or it is broken (which is logged)."""
    if not path.is_file():
        return None
    try:
        record = read_json(path)
        if record["key"] == key and record["result"].keys() >= _KEYS:
            return dict(record["result"])
        reason = "it is of another evaluation"
    except (ScalebedError, KeyError, TypeError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}"
    logger.warning("ignoring the kept evaluation %s, computing it again: %s", path, reason)
    return None


def evaluate_tasks(
    cell: Path,
    tokenizer: Path,
    params: dict[str, Any],
    out: Path,
    suite: Path | None = None,
    state: Path = Path("state"),
    threads: int = 1,
) -> dict[str, Any]:
    """Measure a cell on every task of a suite and write the record to `out`.

    Parameters
    ----------
    cell
        ``metrics.json`` of the cell.
    tokenizer
        Manifest of the tokenizer it was trained with.
    params
        ``suite`` with ``tasks`` (see `scalebed.evaluate.digests.suite_digests`) and optionally
        ``limit`` (items of each task), and ``numerics``.
    out
        Where the record goes.
    suite
        Manifest of the suite with the items of local tasks.
    state
        Folder of kept results.
    threads
        Threads of torch.

    Raises
    ------
    ScalebedError
        If the cell has no weights, the tokenizer does not fit, a task is unknown or broken, or
        its data cannot be had.
    """
    started = time.perf_counter()
    metrics = read_cell_record(cell)
    record: dict[str, Any] = {
        "cell": metrics["cell"],
        "weights_sha256": metrics["weights_sha256"],
        "params": params,
        "tasks": {},
    }
    if metrics["status"] == "done":
        # A task without an entry of its own is one of lm-eval, as it comes.
        entries = params["suite"]["tasks"].items()
        wanted = {name: entry or published(name) for name, entry in entries}
        items = _local_items(wanted, suite)
        limit = params["suite"].get("limit")
        keys = _keys(metrics, tokenizer, wanted, limit, params["numerics"], items)

        def compute(missing: list[str]) -> dict[str, Result]:
            tasks = {name: wanted[name] for name in missing}
            return _run(cell, metrics, tokenizer, tasks, limit, items, state, threads)

        record["tasks"] = _kept_or_computed(keys, state, compute)
    else:
        record["status"] = metrics["status"]
    record["run"] = run_record()
    record["seconds"] = time.perf_counter() - started
    write_json(out, record)
    return record


def _kept_or_computed(
    keys: Mapping[str, Mapping[str, Any]],
    state: Path,
    compute: Callable[[list[str]], dict[str, Result]],
) -> dict[str, Result]:
    """Return the results with some keys, computing and keeping those that are not kept yet."""
    paths = {name: cache_path(state, key) for name, key in keys.items()}
    kept = {name: read_cached(paths[name], key) for name, key in keys.items()}
    found = {name: result for name, result in kept.items() if result is not None}
    missing = [name for name in keys if name not in found]
    if missing:
        for name, result in compute(missing).items():
            write_json(paths[name], {"key": keys[name], "result": result})
            found[name] = result
    return found


def _local_items(
    wanted: Mapping[str, Mapping[str, Any]], suite: Path | None
) -> dict[str, tuple[Documents, str]]:
    local = [name for name, entry in wanted.items() if "lm_eval" not in entry]
    if local and suite is None:
        raise ScalebedError(f"the task {local[0]} is built locally: name its suite by --suite")
    return {name: read_items(suite, name) for name in local if suite is not None}


def _keys(
    metrics: Mapping[str, Any],
    tokenizer: Path,
    wanted: Mapping[str, Mapping[str, Any]],
    limit: int | None,
    numerics: int,
    items: Mapping[str, tuple[Documents, str]],
) -> dict[str, dict[str, Any]]:
    """Return, by task, everything its result depends on."""
    shared = {
        "weights": metrics["weights_sha256"],
        "tokenizer": read_json(tokenizer)["file"]["sha256"],
        "limit": limit,
        "lm_eval": importlib.metadata.version("lm_eval"),
        "numerics": numerics,
    }
    return {
        name: {**shared, "task": name, "digest": entry["digest"]}
        | {"items": items[name][1] if name in items else None}
        for name, entry in wanted.items()
    }


def _run(
    cell: Path,
    metrics: Mapping[str, Any],
    tokenizer: Path,
    wanted: Mapping[str, Mapping[str, Any]],
    limit: int | None,
    items: Mapping[str, tuple[Documents, str]],
    state: Path,
    threads: int,
) -> dict[str, Result]:
    """Run lm-eval once over the tasks that have no kept result."""
    if all(name in items for name in wanted):
        work_offline(state)
    quiet()
    model = load_cell(cell, metrics, threads)
    tasks = _load(wanted, items, limit)
    # The thousands of objects of the imports need not be visited by every collection.
    gc.freeze()
    return _evaluate(model, tokenizer, cell, tasks, wanted, limit, state)


def _load(
    missing: Mapping[str, Mapping[str, Any]],
    items: Mapping[str, tuple[Documents, str]],
    limit: int | None,
) -> dict[str, dict[str, Any]]:
    """Return lm-eval's tasks by the name of ours; a group of lm-eval is several."""
    local = {name: items[name][0] for name in missing if name in items}
    loaded: dict[str, dict[str, Any]] = {}
    if local:
        loaded = {name: {name: task} for name, task in load_local(local, limit).items()}
    others = [name for name in missing if name not in items]
    if others:
        from lm_eval.tasks import TaskManager

        manager = TaskManager()
        for name in others:
            entry = missing[name]
            loaded[name] = load_published(entry["lm_eval"], entry["shots"], manager)
    return loaded


def _evaluate(
    model: Any,
    tokenizer_manifest: Path,
    cell: Path,
    tasks: Mapping[str, Mapping[str, Any]],
    wanted: Mapping[str, Mapping[str, Any]],
    limit: int | None,
    state: Path,
) -> dict[str, Result]:
    from scalebed.data.tokenizer import load_tokenizer
    from scalebed.evaluate.encoding import Encoder
    from scalebed.evaluate.lm_eval_model import CellLM, check_vocabulary

    tokenizer = load_tokenizer(tokenizer_manifest)
    check_vocabulary(model, tokenizer, str(cell.parent))
    identity = read_json(tokenizer_manifest)["file"]["sha256"]
    lm = CellLM(model, tokenizer, Encoder(tokenizer, identity, state / "evaluations" / "tokens"))
    # Two published tasks may be one of lm-eval at different shots, so each runs by itself; local
    # ones run together, for larger batches.
    local = [name for name in tasks if "lm_eval" not in wanted[name]]
    runs = [local] if local else []
    runs += [[name] for name in tasks if name not in local]
    found: dict[str, Result] = {}
    for names in runs:
        found |= _run_together(lm, {name: tasks[name] for name in names}, wanted, limit)
    logger.info("%d of %d requests were cut from the left", lm.truncated, lm.scored)
    return found


def _run_together(
    lm: Any,
    tasks: Mapping[str, Mapping[str, Any]],
    wanted: Mapping[str, Mapping[str, Any]],
    limit: int | None,
) -> dict[str, Result]:
    from lm_eval.evaluator import evaluate

    from scalebed.evaluate.lm_eval_model import choices_of
    from scalebed.evaluate.measures import measure

    flat = {part: task for parts in tasks.values() for part, task in parts.items()}
    logger.info("lm-eval runs %s", ", ".join(tasks))
    output = evaluate(lm, {"tasks": flat}, limit=limit, bootstrap_iters=0, log_samples=False)
    found = {}
    for name, parts in tasks.items():
        entry = wanted[name]
        grouped = {part: choices_of(task.instances) for part, task in parts.items()}
        measures = measure(
            name,
            parts,
            grouped,
            output["results"],
            entry.get("metric"),
            entry.get("chance_error"),
        )
        version = entry["version"] or output["versions"].get(next(iter(parts)))
        found[name] = {"version": str(version), **measures._asdict()}
    return found
