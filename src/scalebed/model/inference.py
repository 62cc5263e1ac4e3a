"""Forward pass of a trained decoder, for evaluation.

The weights are fixed, so what `scalebed.model.gradient` does at every step is done once: rows of
the projections of queries and keys are put in the order that makes rotations complex products.
Everything is one kernel where it can be, in place where nothing else reads the array, and the last
block goes no further than the positions somebody asked for. `scalebed.model.Decoder` stays what
defines the model; tests hold the two together.

Shapes: r rows of c positions, n = r·c, d width, H heads of width w, m positions asked for.
"""

from typing import NamedTuple, cast

import torch
from torch import Tensor
from torch.nn.functional import silu

from scalebed.model.decoder import NORM_EPS, Block, Decoder, Norm
from scalebed.model.gradient import pair_order

_LOGITS = 1 << 18
"""Logits held at a time: 1 MiB, which a core's cache holds while they are read."""

_LONG = 128
"""Positions of a row up to which plain products are faster than the fused kernel of attention."""

_attention = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu

Cache = list[tuple[Tensor, Tensor]]
"""Per block, keys and values of shape (H, rows, positions, w)."""


class _Weights(NamedTuple):
    """Weights of a block, products transposed as they are used."""

    attention_gain: Tensor
    q: Tensor
    k: Tensor
    v: Tensor
    q_gain: Tensor | None
    k_gain: Tensor | None
    out: Tensor
    ffn_gain: Tensor
    gate: Tensor
    up: Tensor
    down: Tensor


def _weights(block: Block, order: Tensor) -> _Weights:
    attention, ffn = block.attention, block.ffn
    q, k, v = attention.qkv.data.chunk(3)
    gate, up = ffn.gate_up.data.chunk(2)
    q_gain, k_gain = (
        norm.gain.data[order] if isinstance(norm, Norm) else None
        for norm in (attention.q_norm, attention.k_norm)
    )
    # The scale of attention's scores goes with what makes queries.
    scale = attention.heads**0.5 / len(order) ** 0.5
    q = q[order] * (scale if q_gain is None else 1.0)
    return _Weights(
        attention_gain=block.attention_norm.gain.data,
        q=q.t(),
        k=k[order].t(),
        v=v.t(),
        q_gain=None if q_gain is None else q_gain * scale,
        k_gain=k_gain,
        out=attention.out.data.t(),
        ffn_gain=block.ffn_norm.gain.data,
        gate=gate.t(),
        up=up.t(),
        down=ffn.down.data.t(),
    )


def _normalise(x: Tensor, gain: Tensor | None) -> Tensor:
    return x if gain is None else torch.layer_norm(x, gain.shape, gain, None, NORM_EPS)


class Inference:
    """Computes hidden states of a decoder whose weights no longer change.

    Parameters
    ----------
    model
        The decoder, in fp32 on the CPU; its weights are read when this is made.
    """

    def __init__(self, model: Decoder) -> None:
        config = model.config
        self.context = config.context
        self._heads = (config.heads, config.head_width)
        order = pair_order(config.width, config.heads)
        self._embedding, self._gain = model.embedding.data, model.norm.gain.data
        self._head = model.head.data.t()
        self._blocks = [_weights(cast(Block, block), order) for block in model.blocks]
        half = config.head_width // 2
        turn = torch.complex(model.cos[:, 0, half:], model.sin[:, 0, half:])
        self._turns = turn.repeat(1, config.heads)

    def cache(self, tokens: Tensor) -> Cache:
        """Return keys and values of every block for the beginnings of texts.

        Parameters
        ----------
        tokens
            int64 of shape (r, c); whatever follows the end of a row changes nothing before it.
        """
        cache: Cache = []
        self._run(tokens, self._turns[: tokens.shape[1]], kept=cache)
        return cache

    def hidden(
        self,
        tokens: Tensor,
        asked: Tensor | None = None,
        past: tuple[Cache, Tensor] | None = None,
    ) -> Tensor:
        """Return final, normalised hidden states.

        Parameters
        ----------
        tokens
            int64 of shape (r, c).
        asked
            Numbers of the positions wanted, among all r·c; all of them when None.
        past
            Texts the rows continue, each as many rows in turn: what `cache` returned, and the
            length of each text, int64 of shape (p,).

        Returns
        -------
        Tensor
            Shape (m, d).
        """
        c = tokens.shape[1]
        if past is None:
            return _normalise(self._run(tokens, self._turns[:c], asked), self._gain)
        cache, lengths = past
        places = lengths.repeat_interleave(len(tokens) // len(lengths))[:, None] + torch.arange(c)
        # Rows of padding may end behind the last position.
        turn = self._turns[places.clamp_(max=self.context - 1).view(-1)]
        x = self._run(tokens, turn, asked, (cache, _hidden_padding(lengths, cache)))
        return _normalise(x, self._gain)

    def _run(
        self,
        tokens: Tensor,
        turn: Tensor,
        asked: Tensor | None = None,
        past: tuple[Cache, Tensor] | None = None,
        kept: Cache | None = None,
    ) -> Tensor:
        """Return the residual stream; stop at the last keys and values if these are `kept`."""
        r = tokens.shape[0]
        x = torch.embedding(self._embedding, tokens.reshape(-1))
        for i, block in enumerate(self._blocks):
            last = i + 1 == len(self._blocks)
            y = _normalise(x, block.attention_gain)
            k = self._split(_turned(_normalise(torch.mm(y, block.k), block.k_gain), turn), r)
            v = self._split(torch.mm(y, block.v), r)
            if kept is not None:
                kept.append((k, v))
                if last:
                    break
            q = self._split(_turned(_normalise(torch.mm(y, block.q), block.q_gain), turn), r)
            mixed = _attend(q, k, v) if past is None else _attend_past(q, k, v, past[0][i], past[1])
            joined = mixed.permute(1, 2, 0, 3).reshape(x.shape)
            if last and asked is not None:
                x, joined = x[asked], joined[asked]
            x = x.addmm_(joined, block.out)
            y = _normalise(x, block.ffn_gain)
            gate = silu(torch.mm(y, block.gate), inplace=True)
            x.addmm_(gate.mul_(torch.mm(y, block.up)), block.down)
        return x

    def _split(self, x: Tensor, rows: int) -> Tensor:
        """Return (n, d) as (H, r, c, w), contiguous."""
        return x.view(rows, -1, *self._heads).permute(2, 0, 1, 3).contiguous()

    def token_losses(self, hidden: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return the cross-entropy of each position in nats, and whether its target was likeliest.

        Parameters
        ----------
        hidden
            Final hidden states, shape (m, d).
        targets
            Next tokens, int64 of shape (m,).

        Returns
        -------
        tuple of Tensor
            fp32 and bool, both of shape (m,).
        """
        losses = torch.empty(len(targets))
        greedy = torch.empty(len(targets), dtype=torch.bool)
        chunk = max(1, _LOGITS // self._head.shape[1])
        for start in range(0, len(targets), chunk):
            part = slice(start, start + chunk)
            logits = torch.mm(hidden[part], self._head).float()
            picked = logits.gather(1, targets[part, None]).squeeze(1)
            top = logits.amax(1)
            torch.eq(picked, top, out=greedy[part])
            total = logits.sub_(top[:, None]).exp_().sum(1)
            losses[part] = total.log_().add_(top).sub_(picked)
        return losses, greedy


def _turned(x: Tensor, turn: Tensor) -> Tensor:
    """Return x of shape (n, d), pairs side by side, turned by a complex (c, d/2) or (n, d/2)."""
    pairs = torch.view_as_complex(x.float().view(-1, len(turn), x.shape[1] // 2, 2))
    return torch.view_as_real(pairs.mul_(turn)).view(x.shape).to(x.dtype)


def _later(c: int) -> Tensor:
    """Return what is added to scores to hide later positions, (c, c)."""
    return torch.full((c, c), -torch.inf).triu_(1)


def _attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Return causal attention, all of shape (H, r, c, w)."""
    heads, r, c, w = q.shape
    if c > _LONG:
        parts = (part.transpose(0, 1) for part in (q, k, v))
        return cast(Tensor, _attention(*parts, 0.0, True, scale=1.0)[0]).transpose(0, 1)
    scores = torch.bmm(q.view(-1, c, w), k.view(-1, c, w).transpose(1, 2)).add_(_later(c))
    return torch.bmm(torch.softmax(scores, 2), v.view(-1, c, w)).view(heads, r, c, w)


def _attend_past(
    q: Tensor, k: Tensor, v: Tensor, past: tuple[Tensor, Tensor], mask: Tensor
) -> Tensor:
    """Return attention to beginnings (H, p, q, w) and what follows them, (H, r, c, w) like q, k, v.

    Continuations of a beginning are one row to it, so its keys and values need no copies.
    """
    heads, _, c, w = q.shape
    p, before = past[0].shape[1:3]
    old_k, old_v = (part.view(-1, before, w) for part in past)
    old = torch.bmm(q.view(heads * p, -1, w), old_k.transpose(1, 2))
    old.view(heads, p, -1, before).add_(mask)
    own = torch.bmm(q.view(-1, c, w), k.view(-1, c, w).transpose(1, 2)).add_(_later(c))
    shares = torch.softmax(torch.cat((old.view(-1, c, before), own), 2), 2)
    mixed = torch.bmm(shares.view(heads * p, -1, before + c)[:, :, :before], old_v)
    return mixed.view(-1, c, w).baddbmm_(shares[:, :, before:], v.view(-1, c, w)).view(q.shape)


def _hidden_padding(lengths: Tensor, cache: Cache) -> Tensor:
    """Return what is added to scores to hide the padding of beginnings: (p, 1, q)."""
    q = cache[0][0].shape[2]
    mask = torch.zeros(len(lengths), q)
    return mask.masked_fill_(torch.arange(q) >= lengths[:, None], -torch.inf)[:, None]
