"""The decoder of the paper (arXiv 2403.08540 §3.1, open_lm) in plain torch.

Pre-norm blocks, LayerNorm with a gain and no bias, qk-norm over the full width before the split
into heads, SwiGLU, rotary positions, an untied head and no biases anywhere. Written for small
models on few cores, where the number of kernels counts: queries, keys and values are one product,
as are gate and up, and activations are kept as (positions, width) so that residual additions are
part of the product before them.

Shapes: b sequences, s positions, n = b·s, d width, H heads, w head width, h feed-forward width.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - its usual name

from scalebed.model.config import ModelConfig
from scalebed.model.loss import Loss, head_loss
from scalebed.model.rope import rope_tables, rotate

NORM_EPS = 1e-5
"""Offset of the variance in every LayerNorm."""


class Norm(nn.Module):
    """LayerNorm with a gain and no bias."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Return x, normalised over its last dimension."""
        return F.layer_norm(x, self.gain.shape, self.gain, None, NORM_EPS)


def _add_product(residual: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    """Return residual + x @ weight.T, in one kernel where that keeps the residual in fp32."""
    if torch.is_autocast_enabled(x.device.type):
        return residual + torch.mm(x, weight.t())
    return torch.addmm(residual, x, weight.t())


def _mix(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Return causal attention, all of shape (b, H, s, w)."""
    if v.device.type == "cpu" and v.dtype == torch.bfloat16:
        # The backward pass of the bf16 kernel takes five times as long as that of the fp32 one.
        with torch.autocast("cpu", enabled=False):
            return F.scaled_dot_product_attention(q.float(), k.float(), v.float(), is_causal=True)
    return F.scaled_dot_product_attention(q.to(v.dtype), k.to(v.dtype), v, is_causal=True)


class Attention(nn.Module):
    """Causal multi-head attention."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        d = config.width
        self.heads = config.heads
        self.qkv = nn.Parameter(torch.empty(3 * d, d))
        self.out = nn.Parameter(torch.empty(d, d))
        self.q_norm = Norm(d) if config.qk_norm else nn.Identity()
        self.k_norm = Norm(d) if config.qk_norm else nn.Identity()

    def forward(self, x: Tensor, residual: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """Return residual + attention(x), both of shape (n, d)."""
        n, d = x.shape
        s = cos.shape[0]
        q, k, v = F.linear(x, self.qkv).view(n // s, s, 3 * d).chunk(3, dim=-1)
        q = rotate(self._split(self.q_norm(q.float())), cos, sin)
        k = rotate(self._split(self.k_norm(k.float())), cos, sin)
        mixed = _mix(q.transpose(1, 2), k.transpose(1, 2), self._split(v).transpose(1, 2))
        return _add_product(residual, mixed.transpose(1, 2).reshape(n, d), self.out)

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1))  # (b, s, H, w)


class FeedForward(nn.Module):
    """SwiGLU (Shazeer 2020, arXiv 2002.05202)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        d, h = config.width, config.ffn_width
        self.gate_up = nn.Parameter(torch.empty(2 * h, d))
        self.down = nn.Parameter(torch.empty(d, h))

    def forward(self, x: Tensor, residual: Tensor) -> Tensor:
        """Return residual + feed_forward(x), both of shape (n, d)."""
        gate, up = torch.mm(x, self.gate_up.t()).chunk(2, dim=-1)
        return _add_product(residual, F.silu(gate) * up, self.down)


class Block(nn.Module):
    """Attention and feed-forward layer, each reading a normalised copy of the residual stream."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.attention_norm = Norm(config.width)
        self.attention = Attention(config)
        self.ffn_norm = Norm(config.width)
        self.ffn = FeedForward(config)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """Return the residual stream after the block, shape (n, d)."""
        x = self.attention(self.attention_norm(x), x, cos, sin)
        updated: Tensor = self.ffn(self.ffn_norm(x), x)
        return updated


class Decoder(nn.Module):
    """A language model.

    Its parameters number `scalebed.core.arithmetic.count_params`(shape).total, plus 2d gains of
    qk-norm a block, which the paper leaves out of N. They are uninitialised: see
    `scalebed.model.initialise`.
    """

    cos: Tensor
    sin: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Parameter(torch.empty(config.vocab, config.width))
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = Norm(config.width)
        self.head = nn.Parameter(torch.empty(config.vocab, config.width))
        cos, sin = rope_tables(config.context, config.head_width, config.rope_base)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def hidden(self, tokens: Tensor) -> Tensor:
        """Return the final, normalised hidden states, shape (b·s, d), of tokens (b, s)."""
        s = tokens.shape[1]
        cos, sin = self.cos[:s], self.sin[:s]
        x = F.embedding(tokens.reshape(-1), self.embedding)
        for block in self.blocks:
            x = block(x, cos, sin)
        normed: Tensor = self.norm(x)
        return normed

    def forward(self, tokens: Tensor) -> Tensor:
        """Return fp32 logits of the next token.

        Parameters
        ----------
        tokens
            int64 of shape (batch, sequence), sequence at most ``config.context``.

        Returns
        -------
        Tensor
            Shape (batch, sequence, vocabulary); row [i, j] predicts token j + 1 of sequence i.
        """
        b, s = tokens.shape
        return F.linear(self.hidden(tokens), self.head).float().view(b, s, -1)

    def loss(
        self, tokens: Tensor, targets: Tensor, z_weight: float = 0.0, total: int | None = None
    ) -> Loss:
        """Return the loss of predicting targets from tokens, both (b, s); see `head_loss`."""
        return head_loss(self.hidden(tokens), self.head, targets.reshape(-1), z_weight, total)
