"""Log-likelihoods of continuations, with the work on shared beginnings done once.

The choices of an item share their beginning. Requests are grouped by it: its keys and values are
computed once, and each continuation runs on top of them. Groups of as many requests and about
equally long beginnings form batches, sorted by the length of continuations, so both need little
padding. The head is applied only where a token is scored.
"""

import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch

from scalebed.model import Decoder
from scalebed.model.inference import Inference

_STEP = 16
"""Beginnings of a batch differ by less in length."""

_CACHED = 96 << 10
"""Numbers of an activation in a batch, measured with widths 24 to 88 and 2 MiB of cache a core."""

_FEWEST = 512
"""Positions of a batch, however wide the model."""

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


def batch_positions(width: int) -> int:
    """Return the positions of a batch: activations of small models then stay in a core's cache."""
    return max(_FEWEST, _CACHED // width)


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
    def shape(self) -> tuple[int, int]:
        """Length of the beginning in steps of `_STEP`, and number of members."""
        return -(-len(self.beginning) // _STEP), len(self.members)

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


def _batches(groups: list[_Group], positions: int) -> Iterator[list[_Group]]:
    """Yield groups in batches of about so many positions, those of a batch of the same shape."""
    batch: list[_Group] = []
    longest = 0
    for group in sorted(groups, key=lambda one: (*one.shape, one.longest)):
        steps, count = group.shape
        longest = max(longest, group.longest)
        if batch:
            each = max(count * longest, steps * _STEP)
            if group.shape != batch[0].shape or (len(batch) + 1) * each > positions:
                yield batch
                batch, longest = [], group.longest
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
    tokens, ends = _pad([member.tokens for member in members])
    inputs = torch.from_numpy(tokens[:, :-1])
    scored = np.arange(inputs.shape[1]) < ends[:, None] - 1
    past = None
    if beginnings.shape[1]:
        past = model.cache(torch.from_numpy(beginnings)), torch.from_numpy(lengths)
    hidden = model.hidden(inputs, torch.from_numpy(np.flatnonzero(scored)), past)
    losses, greedy = model.token_losses(hidden, torch.from_numpy(tokens[:, 1:][scored]))
    # Rows of `scored` in order: every continuation has a token.
    starts = np.concatenate(([0], np.cumsum(ends - 1)[:-1]))
    numbers = [member.number for member in members]
    score.loglikelihood[numbers] = -np.add.reduceat(losses.double().numpy(), starts)
    score.greedy[numbers] = np.logical_and.reduceat(greedy.numpy(), starts)


def score_requests(model: Decoder, requests: Sequence[Request]) -> Score:
    """Return the log-likelihood of every request's continuation after its context.

    A request longer than the model's context + 1 loses tokens on the left of its context, as in
    lm-eval. Runs in fp32 on the CPU.

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
        groups = _groups(requests, model.config.context)
        for batch in _batches(groups, batch_positions(model.config.width)):
            _score_batch(inference, batch, score)
    return score
