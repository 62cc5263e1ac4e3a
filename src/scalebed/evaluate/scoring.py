"""Log-likelihoods of continuations, with the work on shared beginnings done once.

The choices of an item share their beginning, often most of the text. Requests are grouped by it:
its keys and values are computed once, and each continuation runs on top of them. Groups whose
beginnings have the same length form a batch, so the beginning needs no padding, and continuations
are sorted by length, so they need little. The head is applied only where a token is scored.

Shapes: p beginnings of q tokens, r continuations padded to c tokens, H heads of width w.
"""

import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from scalebed.model import Decoder
from scalebed.model.decoder import Attention, Block
from scalebed.model.rope import rotate

BATCH_TOKENS = 2048
"""Positions in a batch; activations of small models then stay in a core's cache."""

_STEP = 8

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
    """What follows the beginning: the rest of the context and the continuation."""
    skipped: int
    """Tokens at the start of `tokens` that are not scored, at least 1."""


class _Group(NamedTuple):
    """Requests of one beginning."""

    beginning: Tokens
    """Tokens whose keys and values are shared."""
    members: list[_Member]

    @property
    def longest(self) -> int:
        return max(len(member.tokens) for member in self.members) - 1


def _groups(requests: Sequence[Request], context: int) -> list[_Group]:
    """Group requests by beginning; sequences longer than `context` lose tokens on the left.

    The length of a beginning is a multiple of `_STEP`, less than the context: running the odd
    tokens once for every choice costs less than the padding of many small batches.
    """
    table: dict[Tokens, list[_Member]] = defaultdict(list)
    for number, request in enumerate(requests):
        # The last token is only ever predicted, so context + 1 tokens fit.
        room = context + 1 - len(request.continuation)
        kept = request.context[-room:]
        cut = (len(kept) - 1) // _STEP * _STEP
        tokens = kept[cut:] + request.continuation
        table[kept[:cut]].append(_Member(number, tokens, len(kept) - cut))
    return [_Group(beginning, members) for beginning, members in table.items()]


def _batches(groups: list[_Group]) -> Iterator[list[_Group]]:
    """Yield groups in batches of about `BATCH_TOKENS`, the beginnings of a batch equally long."""
    batch: list[_Group] = []
    rows = longest = 0
    for group in sorted(groups, key=lambda one: (len(one.beginning), one.longest)):
        rows += len(group.members)
        longest = max(longest, group.longest)
        if batch:
            full = max(rows * longest, (len(batch) + 1) * len(group.beginning)) > BATCH_TOKENS
            if full or len(group.beginning) != len(batch[0].beginning):
                yield batch
                batch, rows, longest = [], len(group.members), group.longest
        batch.append(group)
    if batch:
        yield batch


def _queries_keys_values(
    attention: Attention, x: Tensor, rows: int, cos: Tensor, sin: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return q, k, v of shape (rows, H, length, w), turned to their positions."""
    parts = functional.linear(x, attention.qkv).view(rows, -1, 3 * x.shape[1]).chunk(3, dim=-1)
    split = (attention.heads, x.shape[1] // attention.heads)
    q = rotate(attention.q_norm(parts[0]).unflatten(-1, split), cos, sin).to(x.dtype)
    k = rotate(attention.k_norm(parts[1]).unflatten(-1, split), cos, sin).to(x.dtype)
    return q.transpose(1, 2), k.transpose(1, 2), parts[2].unflatten(-1, split).transpose(1, 2)


def _blocks(model: Decoder) -> list[Block]:
    return [cast(Block, block) for block in model.blocks]


def _join(attention: Attention, mixed: Tensor, residual: Tensor) -> Tensor:
    return torch.addmm(residual, mixed.transpose(1, 2).reshape(residual.shape), attention.out.t())


def prefill(model: Decoder, tokens: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Return keys and values of every block for beginnings.

    Parameters
    ----------
    model
        The decoder.
    tokens
        int64 of shape (p, q).

    Returns
    -------
    list of (Tensor, Tensor)
        Per block, keys and values of shape (p, H, q, w).
    """
    p, q = tokens.shape
    cos, sin = model.cos[:q], model.sin[:q]
    x = functional.embedding(tokens.reshape(-1), model.embedding)
    cache = []
    blocks = _blocks(model)
    for i, block in enumerate(blocks):
        query, key, value = _queries_keys_values(
            block.attention, block.attention_norm(x), p, cos, sin
        )
        cache.append((key, value))
        if i + 1 < len(blocks):  # nothing is read from the stream after the last keys
            mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
            x = _join(block.attention, mixed, x)
            x = block.ffn(block.ffn_norm(x), x)
    return cache


def extend(
    model: Decoder, tokens: Tensor, cache: list[tuple[Tensor, Tensor]], rows: Tensor
) -> Tensor:
    """Return final hidden states of continuations on top of their beginnings.

    Parameters
    ----------
    model
        The decoder.
    tokens
        int64 of shape (r, c); whatever follows the end of a row changes nothing before it.
    cache
        What `prefill` returned.
    rows
        For each row, the number of its beginning, int64 of shape (r,).

    Returns
    -------
    Tensor
        Shape (r, c, d).
    """
    r, c = tokens.shape
    q = cache[0][0].shape[2]
    cos, sin = model.cos[q : q + c], model.sin[q : q + c]
    visible = torch.ones(c, q + c, dtype=torch.bool, device=tokens.device).tril(q)
    x = functional.embedding(tokens.reshape(-1), model.embedding)
    for block, (past_key, past_value) in zip(_blocks(model), cache, strict=True):
        query, key, value = _queries_keys_values(
            block.attention, block.attention_norm(x), r, cos, sin
        )
        key = torch.cat((past_key[rows], key), dim=2)
        value = torch.cat((past_value[rows], value), dim=2)
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=visible)
        x = _join(block.attention, mixed, x)
        x = block.ffn(block.ffn_norm(x), x)
    normed: Tensor = model.norm(x)
    return normed.view(r, c, -1)


def _pad(rows: list[Tokens]) -> tuple[np.ndarray, np.ndarray]:
    """Return rows side by side, zeros after their ends, and which entries are theirs."""
    lengths = np.array([len(row) for row in rows])
    real = np.arange(lengths.max()) < lengths[:, None]
    padded = np.zeros(real.shape, dtype=np.int64)
    padded[real] = np.fromiter(itertools.chain.from_iterable(rows), np.int64, int(lengths.sum()))
    return padded, real


def _score_batch(model: Decoder, batch: list[_Group], score: Score) -> None:
    device = model.head.device
    beginnings = np.array([group.beginning for group in batch], dtype=np.int64)
    cache = prefill(model, torch.from_numpy(beginnings).to(device))
    members = [member for group in batch for member in group.members]
    owners = np.repeat(np.arange(len(batch)), [len(group.members) for group in batch])
    padded, real = _pad([member.tokens for member in members])
    skipped = np.array([member.skipped for member in members])
    scored = real & (np.arange(padded.shape[1]) >= skipped[:, None])
    row = np.nonzero(scored)[0]
    tokens, mask = torch.from_numpy(padded).to(device), torch.from_numpy(scored).to(device)
    hidden = extend(model, tokens[:, :-1], cache, torch.from_numpy(owners).to(device))
    losses, greedy = token_losses(model, hidden[mask[:, 1:]], tokens[mask])
    numbers = [member.number for member in members]
    score.loglikelihood[numbers] = -np.bincount(row, losses, len(numbers))
    score.greedy[numbers] = np.bincount(row, ~greedy, len(numbers)) == 0


def token_losses(model: Decoder, hidden: Tensor, targets: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Return the cross-entropy of each position in nats, and whether its target was likeliest.

    Parameters
    ----------
    model
        The decoder, for its head.
    hidden
        Final hidden states, shape (n, d).
    targets
        Next tokens, int64 of shape (n,).
    """
    losses = torch.empty(len(targets), device=hidden.device)
    greedy = torch.empty(len(targets), dtype=torch.bool, device=hidden.device)
    # 2 MiB of logits at a time, which a core's cache holds while they are read three times.
    chunk = max(1, (1 << 19) // model.config.vocab)
    for start in range(0, len(targets), chunk):
        part = slice(start, start + chunk)
        logits = functional.linear(hidden[part], model.head).float()
        losses[part] = functional.cross_entropy(logits, targets[part], reduction="none")
        picked = logits.gather(1, targets[part, None]).squeeze(1)
        greedy[part] = picked == logits.amax(1)
    return losses.double().cpu().numpy(), greedy.cpu().numpy()


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
        for batch in _batches(_groups(requests, model.config.context)):
            _score_batch(model, batch, score)
    return score
