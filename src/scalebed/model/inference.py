"""Forward pass of a trained decoder, for evaluation.

The weights are fixed, so what `scalebed.model.direct` does at every step is done once: rows of the
projections of queries and keys are put in the order that makes rotations complex products.
Everything is one kernel where it can be, in place where nothing else reads the array, and the last
block goes no further than the positions somebody asked for. `scalebed.model.Decoder` stays what
defines the model; tests hold the two together.

Shapes: r rows of c positions, n = r·c, d width, H heads of width w, m positions asked for.
"""

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor
from torch.nn import functional

from scalebed.model.decoder import NORM_EPS, Block, Decoder, Norm
from scalebed.model.direct import pair_order

Cache = list[tuple[Tensor, Tensor]]
"""Per block, keys and values of shape (rows, positions, d)."""


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
    gains = [
        norm.gain.data[order] if isinstance(norm, Norm) else None
        for norm in (attention.q_norm, attention.k_norm)
    ]
    return _Weights(
        block.attention_norm.gain.data,
        *(q[order].t(), k[order].t(), v.t()),
        *gains,
        attention.out.data.t(),
        block.ffn_norm.gain.data,
        *(gate.t(), up.t(), ffn.down.data.t()),
    )


def _normalise(x: Tensor, gain: Tensor | None) -> Tensor:
    return x if gain is None else torch.layer_norm(x, gain.shape, gain, None, NORM_EPS)


class Inference:
    """Computes hidden states of a decoder whose weights no longer change.

    Parameters
    ----------
    model
        The decoder; its weights are read when this is made.
    """

    def __init__(self, model: Decoder) -> None:
        config = model.config
        self.device = model.head.device
        self.context = config.context
        self._split = (config.heads, config.head_width)
        order = pair_order(config.width, config.heads).to(self.device)
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
            Texts the rows continue: what `cache` returned, with a row for each row of `tokens`,
            and how many of its positions are theirs, int64 of shape (r,).

        Returns
        -------
        Tensor
            Shape (m, d).
        """
        c = tokens.shape[1]
        if past is None:
            x = self._run(tokens, self._turns[:c], asked)
        else:
            cache, lengths = past
            places = lengths[:, None] + torch.arange(c, device=self.device)
            # Rows of padding may end behind the last position.
            turn = self._turns[places.clamp_(max=self.context - 1).view(-1)]
            x = self._run(tokens, turn, asked, cache, _visible(lengths, cache, c))
        return _normalise(x, self._gain)

    def _run(
        self,
        tokens: Tensor,
        turn: Tensor,
        asked: Tensor | None = None,
        past: Cache | None = None,
        visible: Tensor | None = None,
        kept: Cache | None = None,
    ) -> Tensor:
        """Return the residual stream; stop at the last keys and values if these are `kept`."""
        r, d = tokens.shape[0], self._embedding.shape[1]
        x = torch.embedding(self._embedding, tokens.reshape(-1))
        for i, block in enumerate(self._blocks):
            last = i + 1 == len(self._blocks)
            y = _normalise(x, block.attention_gain)
            k = _turned(_normalise(torch.mm(y, block.k), block.k_gain), turn).view(r, -1, d)
            v = torch.mm(y, block.v).view(r, -1, d)
            if kept is not None:
                kept.append((k, v))
                if last:
                    break
            q = _turned(_normalise(torch.mm(y, block.q), block.q_gain), turn).view(r, -1, d)
            if past is not None:
                k, v = (torch.cat(parts, 1) for parts in zip(past[i], (k, v), strict=True))
            mixed = functional.scaled_dot_product_attention(
                *(part.unflatten(2, self._split).transpose(1, 2) for part in (q, k, v)),
                attn_mask=visible,
                is_causal=visible is None,
            )
            joined = mixed.transpose(1, 2).reshape(x.shape)
            if last and asked is not None:
                x, joined = x[asked], joined[asked]
            x = x.addmm_(joined, block.out)
            y = _normalise(x, block.ffn_gain)
            gate = functional.silu(torch.mm(y, block.gate), inplace=True)
            x.addmm_(gate.mul_(torch.mm(y, block.up)), block.down)
        return x

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
        losses = torch.empty(len(targets), device=self.device)
        greedy = torch.empty(len(targets), dtype=torch.bool, device=self.device)
        # 1 MiB of logits at a time, which a core's cache holds while they are read.
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


_LOGITS = 1 << 18


def _turned(x: Tensor, turn: Tensor) -> Tensor:
    """Return x of shape (n, d), pairs side by side, turned by a complex (c, d/2) or (n, d/2)."""
    pairs = torch.view_as_complex(x.float().view(-1, len(turn), x.shape[1] // 2, 2))
    return torch.view_as_real(pairs.mul_(turn)).view(x.shape).to(x.dtype)


def _visible(lengths: Tensor, cache: Sequence[tuple[Tensor, Tensor]], c: int) -> Tensor:
    """Return what is added to the scores of c positions behind beginnings: (r, 1, c, q + c)."""
    q = cache[0][0].shape[1]
    mask = torch.zeros(len(lengths), c, q + c, device=lengths.device, dtype=cache[0][0].dtype)
    padding = torch.arange(q, device=lengths.device) >= lengths[:, None]
    mask[:, :, :q].masked_fill_(padding[:, None], -torch.inf)
    later = torch.ones(c, c, dtype=torch.bool, device=lengths.device).triu(1)
    mask[:, :, q:].masked_fill_(later, -torch.inf)
    return mask[:, None]
