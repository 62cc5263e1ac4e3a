"""Errors of a task from the log-likelihoods lm-eval collected."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from scalebed.core.errors import ScalebedError

_PREFERRED = ("acc", "exact_match", "em", "contains", "f1")


class Measures(NamedTuple):
    """Errors on one task."""

    error: float
    """1 - accuracy."""
    error_stderr: float
    """sqrt(e (1 - e) / n), the standard error of a proportion e over n items."""
    chance_error: float
    """Error of a guess: the mean of 1 - 1/K over items with K choices."""
    soft_error: float | None
    """1 - mean probability of the right choice, a softmax over the choices' log-likelihoods."""
    soft_error_stderr: float | None
    """Standard deviation of that probability over sqrt(n)."""
    items: int
    """Number of items n."""


def binomial_stderr(error: float, items: int) -> float:
    """Return sqrt(e (1 - e) / n)."""
    return math.sqrt(max(error * (1.0 - error), 0.0) / items)


def right_probabilities(
    loglikelihoods: Sequence[Sequence[float]], gold: Sequence[Sequence[int]]
) -> np.ndarray:
    """Return the probability of the right choices of each item among its choices.

    Parameters
    ----------
    loglikelihoods
        Per item, the summed log-likelihood of each choice in nats.
    gold
        Per item, the numbers of the right choices, usually one.
    """
    found = np.empty(len(loglikelihoods))
    for i, (values, right) in enumerate(zip(loglikelihoods, gold, strict=True)):
        scores = np.asarray(values, dtype=float)
        weights = np.exp(scores - scores.max())
        found[i] = weights[list(right)].sum() / weights.sum()
    return found


def _gold(task: Any, doc: Any, choices: Sequence[str]) -> list[int]:
    """Return the right choices of a document, whichever of lm-eval's ways a task states them."""
    right = task.doc_to_text(doc) if task.multiple_input else task.doc_to_target(doc)
    several = right if isinstance(right, list) else [right]
    return [choices.index(one) if isinstance(one, str) else int(one) for one in several]


def _probabilities(task: Any, grouped: Mapping[int, list[Any]]) -> tuple[np.ndarray, float] | None:
    """Return the probability of the right answer of each item, and the error of a guess.

    None for tasks that generate text or measure perplexity.
    """
    if task.OUTPUT_TYPE == "loglikelihood":
        values = [requests[0].resps[0][0] for requests in grouped.values()]
        return np.exp(np.array(values)), 1.0
    if task.OUTPUT_TYPE != "multiple_choice":
        return None
    scores, golds = [], []
    for requests in grouped.values():
        choices = task.doc_to_choice(requests[0].doc)
        golds.append(_gold(task, requests[0].doc, choices))
        # Further requests of an item are unconditional ones, for mutual information.
        scores.append([request.resps[0][0] for request in requests[: len(choices)]])
    chance = float(np.mean([1 - len(g) / len(s) for g, s in zip(golds, scores, strict=True)]))
    return right_probabilities(scores, golds), chance


def _accuracy(name: str, results: Mapping[str, Any], metric: str | None) -> float:
    values = {key.partition(",")[0]: value for key, value in results.items()}
    wanted = [metric] if metric else _PREFERRED
    for one in wanted:
        if isinstance(values.get(one), float | int):
            return float(values[one])
    raise ScalebedError(
        f"lm-eval gave the task {name} none of the metrics {', '.join(wanted)}; "
        f"it gave {', '.join(sorted(values))}"
    )


def measure(
    name: str,
    tasks: Mapping[str, Any],
    grouped: Mapping[str, Mapping[int, list[Any]]],
    results: Mapping[str, Mapping[str, Any]],
    metric: str | None = None,
    chance_error: float | None = None,
) -> Measures:
    """Return the errors of a task, pooled over the items of its parts if it is a group.

    Parameters
    ----------
    name
        Name of the task, for messages.
    tasks
        lm-eval's tasks by name: one, or the members of a group.
    grouped
        Per task, its answered requests by document.
    results
        Per task, what lm-eval computed.
    metric
        The metric taken as accuracy; the usual one of the task when None.
    chance_error
        The error of a guess for tasks without choices; 1 when None.
    """
    counts = np.array([len(grouped[one]) for one in tasks])
    accuracy = np.array([_accuracy(name, results[one], metric) for one in tasks])
    items = int(counts.sum())
    error = 1.0 - float(counts @ accuracy) / items
    parts = [_probabilities(task, grouped[one]) for one, task in tasks.items()]
    known = [part for part in parts if part is not None]
    soft = np.concatenate([part[0] for part in known]) if len(known) == len(parts) else None
    if soft is not None:
        chance_error = float(counts @ np.array([part[1] for part in known])) / items
    return Measures(
        error,
        binomial_stderr(error, items),
        1.0 if chance_error is None else chance_error,
        None if soft is None else 1.0 - float(soft.mean()),
        None if soft is None else float(soft.std() / math.sqrt(items)),
        items,
    )
