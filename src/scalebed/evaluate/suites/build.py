"""Choose the items of a suite and write them with their manifest."""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scalebed.core.errors import ScalebedError
from scalebed.core.files import write_json, write_text
from scalebed.data.corpus import iter_documents, read_manifest
from scalebed.evaluate.suites import BUILDERS
from scalebed.evaluate.suites.item import Proposal, Task
from scalebed.evaluate.suites.pool import Pool, Sentence, sentences_of

Item = dict[str, Any]


def _acceptable(proposal: Proposal, taken: Counter[tuple[str, int]]) -> bool:
    """Say whether an item keeps the right answers of its group balanced to within one."""
    fewest = min(taken[proposal.group, side] for side in range(proposal.sides))
    return taken[proposal.group, proposal.side] == fewest


def _item(proposal: Proposal, rng: np.random.Generator) -> Item:
    order = rng.permutation(len(proposal.choices))
    return {
        "query": proposal.query,
        "choices": [proposal.choices[i] for i in order],
        "gold": int(np.flatnonzero(order == 0)[0]),
    }


def build_task(
    task: Task, free: list[Sentence], pool: Pool, items: int, rng: np.random.Generator
) -> tuple[list[Item], list[Sentence]]:
    """Return `items` items of one task (fewer if the text gives no more) and the unused sentences.

    Parameters
    ----------
    task
        The kind of item.
    free
        Sentences not used by another task, in random order.
    pool
        All sentences, for distractors.
    items
        Number of items wanted.
    rng
        Source of every choice made.
    """
    taken: Counter[tuple[str, int]] = Counter()
    found: list[Item] = []
    rest: list[Sentence] = []
    for i, sentence in enumerate(free):
        if len(found) == items:
            rest += free[i:]
            break
        proposals = task.propose(sentence, pool, rng)
        chosen = next((one for one in proposals if _acceptable(one, taken)), None)
        if chosen is None:
            rest.append(sentence)
        else:
            taken[chosen.group, chosen.side] += 1
            found.append(_item(chosen, rng))
    return found, rest


def build_items(
    documents: Sequence[str],
    tasks: Sequence[str],
    items: int,
    seed: int,
    context_chars: int,
    sentence_chars: int = 1000,
) -> dict[str, list[Item]]:
    """Return the items of several tasks, no sentence used twice.

    The result is a function of the arguments: each task has a generator of its own, seeded by
    `seed` and the task's name, and tasks take sentences in the order of `BUILDERS`.

    Parameters
    ----------
    documents
        Texts of the tasks split, in order.
    tasks
        Names of tasks in `BUILDERS`.
    items
        Items of each task.
    seed
        Seed of all choices.
    context_chars
        Characters of the sentence before that come with an item.
    sentence_chars
        Longer sentences are passed over; choices must fit the context of the models.

    Raises
    ------
    ScalebedError
        If a task is unknown, or the text does not hold enough fitting sentences.
    """
    for name in tasks:
        if name not in BUILDERS:
            raise ScalebedError(
                f"no builder for the task {name!r}; there is {', '.join(sorted(BUILDERS))}"
            )
    pool = Pool(sentences_of(documents, context_chars, sentence_chars))
    shuffled = np.random.default_rng(seed).permutation(len(pool.sentences))
    free = [pool.sentences[i] for i in shuffled]
    built: dict[str, list[Item]] = {}
    for name, task in BUILDERS.items():
        if name not in tasks:
            continue
        rng = np.random.default_rng([seed, *name.encode()])
        built[name], free = build_task(task, free, pool, items, rng)
        if len(built[name]) < items:
            raise ScalebedError(
                f"the task {name} wants {items} items, but the {len(pool.sentences)} usable "
                f"sentences of {len(documents)} documents give only {len(built[name])}; use fewer "
                "items, fewer tasks or a corpus with a larger tasks split"
            )
    return built


def build_suite(corpus_manifest: Path, params: dict[str, Any], out: Path) -> dict[str, Any]:
    """Build a suite's items, write ``<task>.jsonl`` beside `out` and the manifest to `out`.

    Parameters
    ----------
    corpus_manifest
        Manifest of the corpus whose tasks split is used.
    params
        ``suite``, ``tasks``, ``items``, ``seed``, ``context_chars`` and ``sentence_chars``.
    out
        Path of the suite's manifest.

    Returns
    -------
    dict
        The manifest: per task its file, items, chance error (the mean of 1 - 1/K), size and
        SHA-256; and the credit due for the text. Items follow no task file: which version of it
        asked them, the evaluation says.

    Raises
    ------
    ScalebedError
        If the corpus or the parameters do not allow the suite.
    """
    corpus = read_manifest(corpus_manifest, "corpus")
    documents = [document.text for document in iter_documents(corpus_manifest, "tasks")]
    built = build_items(
        documents,
        params["tasks"],
        params["items"],
        params["seed"],
        params["context_chars"],
        params["sentence_chars"],
    )
    tasks = {}
    for name, items in built.items():
        text = "".join(json.dumps(item, sort_keys=True) + "\n" for item in items)
        write_text(out.parent / f"{name}.jsonl", text, digest=False)
        tasks[name] = {
            "name": f"{name}.jsonl",
            "items": len(items),
            "chance_error": float(np.mean([1 - 1 / len(item["choices"]) for item in items])),
            "bytes": len(text.encode()),
            "sha256": hashlib.sha256(text.encode()).hexdigest(),
        }
    manifest = {
        "kind": "suite",
        "suite": params["suite"],
        "corpus": corpus["corpus"],
        "licence": corpus.get("licence"),
        "credit": corpus.get("credit"),
        "documents": len(documents),
        "tasks": tasks,
        "params": params,
    }
    write_json(out, manifest)
    return manifest
