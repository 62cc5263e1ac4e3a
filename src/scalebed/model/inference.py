"""Forward pass of a trained decoder, for evaluation.

The weights are fixed, so what `scalebed.model.direct` does at every step is done once: rows of the
projections of queries and keys are put in the order that makes rotations complex products.
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
from scalebed.model.direct import pair_order

_attention = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu

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
    q_gain, k_gain = (
        norm.gain.data[order] if isinstance(norm, Norm) else None
        for norm in (attention.q_norm, attention.k_norm)
    )
    return _Weights(
        attention_gain=block.attention_norm.gain.data,
        q=q[order].t(),
        k=k[order].t(),
        v=v.t(),
        q_gain=q_gain,
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
        The decoder; its weights are read when this is made.
    """

    def __init__(self, model: Decoder) -> None:
        config = model.config
        self.context = config.context
        self._split = (config.heads, config.head_width)
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
        past: tuple[Cache, Tensor | None] | None = None,
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
            parts = [part.unflatten(2, self._split).transpose(1, 2) for part in (q, k, v)]
            mixed, lse = _attention(*parts, 0.0, True)
            if past is not None:
                mixed = self._mix_past(q, mixed, lse, past[0][i], past[1])
            joined = mixed.transpose(1, 2).reshape(x.shape)
            if last and asked is not None:
                x, joined = x[asked], joined[asked]
            x = x.addmm_(joined, block.out)
            y = _normalise(x, block.ffn_gain)
            gate = silu(torch.mm(y, block.gate), inplace=True)
            x.addmm_(gate.mul_(torch.mm(y, block.up)), block.down)
        return x

    def _mix_past(
        self,
        q: Tensor,
        mixed: Tensor,
        lse: Tensor,
        past: tuple[Tensor, Tensor],
        mask: Tensor | None,
    ) -> Tensor:
        """Return attention to beginnings and what follows them, given that to the latter.

        With a row for each beginning instead of each continuation, keys and values need no
        copies. The two are weighed by their shares of the softmax's denominator.
        """
        parts = [
            part.unflatten(2, self._split).transpose(1, 2)
            for part in (q.view(len(past[0]), -1, q.shape[2]), *past)
        ]
        if mask is not None:
            mask = mask.expand(-1, 1, parts[0].shape[2], -1)
        before, before_lse = _attention(*parts, 0.0, False, attn_mask=mask)
        before = before.transpose(1, 2).reshape(len(q), -1, *self._split).transpose(1, 2)
        before_lse = before_lse.transpose(1, 2).reshape(len(q), -1, self._split[0]).transpose(1, 2)
        return mixed.lerp_(before, torch.sigmoid(before_lse.sub_(lse)).unsqueeze(3))

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


def _hidden_padding(lengths: Tensor, cache: Cache) -> Tensor | None:
    """Return what is added to the scores of padded beginnings: (p, 1, 1, q), or None."""
    q = cache[0][0].shape[1]
    if int(lengths.min()) == q:
        return None
    mask = torch.zeros(len(lengths), q)
    return mask.masked_fill_(torch.arange(q) >= lengths[:, None], -torch.inf)[:, None, None]
