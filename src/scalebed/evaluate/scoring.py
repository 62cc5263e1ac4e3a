"""Log-likelihoods of continuations, with the work on shared beginnings done once.

The choices of an item share their beginning. Requests are grouped by it: its keys and values are
computed once, and each continuation runs on top of them. Groups whose beginnings are about equally
long form a batch, sorted by the length of their continuations, so both need little padding. The
head is applied only where a token is scored.
"""

import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch

from scalebed.model import Decoder
from scalebed.model.inference import Inference

BATCH_TOKENS = 2048
"""Positions in a batch; activations of small models then stay in a core's cache."""

_STEP = 8
"""Beginnings of a batch differ by less in length."""

Tokens = tuple[int, ...]


class Request(NamedTuple):
    """Tokens to score after other tokens."""

    context: Tokens
    """What comes before; at least one token."""
    continuation: Tokens
    """What is scored; at least one token."""


class Score(NamedTuple):
    """Scores of many requests, in their order."""

    loglikelihood: np.ndarray
    """Summed log-probability of each continuation in nats, float64."""
    greedy: np.ndarray
    """Whether each of its tokens was the likeliest one, bool."""


class _Member(NamedTuple):
    """A request of a group."""

    number: int
    """Its number among all requests."""
    tokens: Tokens
    """What follows the beginning: the last token of the context, and the continuation."""


class _Group(NamedTuple):
    """Requests of one beginning."""

    beginning: Tokens
    """Tokens whose keys and values are shared; may be empty."""
    members: list[_Member]

    @property
    def longest(self) -> int:
        return max(len(member.tokens) for member in self.members) - 1


def _groups(requests: Sequence[Request], context: int) -> list[_Group]:
    """Group requests by beginning; sequences longer than `context` lose tokens on the left."""
    table: dict[Tokens, list[_Member]] = defaultdict(list)
    for number, (before, continuation) in enumerate(requests):
        # The last token is only ever predicted, so context + 1 tokens fit.
        kept = before[-(context + 1 - len(continuation)) :]
        table[kept[:-1]].append(_Member(number, kept[-1:] + continuation))
    return [_Group(beginning, members) for beginning, members in table.items()]


def _batches(groups: list[_Group]) -> Iterator[list[_Group]]:
    """Yield groups in batches of about `BATCH_TOKENS`, of beginnings about equally long."""
    batch: list[_Group] = []
    rows = longest = step = 0
    keyed = [(-(-len(group.beginning) // _STEP), group.longest, group) for group in groups]
    for steps, length, group in sorted(keyed, key=lambda one: one[:2]):
        rows += len(group.members)
        longest = max(longest, length)
        if batch:
            full = max(rows * longest, (len(batch) + 1) * steps * _STEP) > BATCH_TOKENS
            if full or steps != step:
                yield batch
                batch, rows, longest = [], len(group.members), length
        step = steps
        batch.append(group)
    if batch:
        yield batch


def _pad(rows: Sequence[Tokens]) -> tuple[np.ndarray, np.ndarray]:
    """Return rows side by side, zeros after their ends, and their lengths."""
    lengths = np.array([len(row) for row in rows])
    real = np.arange(lengths.max()) < lengths[:, None]
    padded = np.zeros(real.shape, dtype=np.int64)
    padded[real] = np.fromiter(itertools.chain.from_iterable(rows), np.int64, int(lengths.sum()))
    return padded, lengths


def _score_batch(model: Inference, batch: list[_Group], score: Score) -> None:
    beginnings, lengths = _pad([group.beginning for group in batch])
    members = [member for group in batch for member in group.members]
    owners = np.repeat(np.arange(len(batch)), [len(group.members) for group in batch])
    tokens, ends = _pad([member.tokens for member in members])
    inputs = tokens[:, :-1]
    scored = np.arange(inputs.shape[1]) < ends[:, None] - 1
    past = None
    if beginnings.shape[1]:
        rows = torch.from_numpy(owners).to(model.device)
        cache = model.cache(torch.from_numpy(beginnings).to(model.device))
        spread = [(keys[rows], values[rows]) for keys, values in cache]
        past = spread, torch.from_numpy(lengths[owners]).to(model.device)
    places = torch.from_numpy(np.flatnonzero(scored)).to(model.device)
    hidden = model.hidden(torch.from_numpy(inputs).to(model.device), places, past)
    targets = torch.from_numpy(tokens[:, 1:][scored]).to(model.device)
    losses, greedy = model.token_losses(hidden, targets)
    # Rows of `scored` in order: every continuation has a token.
    starts = np.concatenate(([0], np.cumsum(ends - 1)[:-1]))
    numbers = [member.number for member in members]
    score.loglikelihood[numbers] = -np.add.reduceat(losses.double().cpu().numpy(), starts)
    score.greedy[numbers] = np.logical_and.reduceat(greedy.cpu().numpy(), starts)


def score_requests(model: Decoder, requests: Sequence[Request]) -> Score:
    """Return the log-likelihood of every request's continuation after its context.

    A request longer than the model's context + 1 loses tokens on the left of its context, as in
    lm-eval. The model should be in evaluation mode; runs in its precision, on its device.

    Parameters
    ----------
    model
        The decoder.
    requests
        Contexts of at least one token, continuations of 1 to ``config.context`` tokens.
    """
    score = Score(np.zeros(len(requests)), np.zeros(len(requests), dtype=bool))
    with torch.inference_mode():
        inference = Inference(model)
        for batch in _batches(_groups(requests, inference.context)):
            _score_batch(inference, batch, score)
    return score
