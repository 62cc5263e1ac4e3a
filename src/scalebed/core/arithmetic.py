"""Sizes and recipes as pure arithmetic: parameters, FLOPs and steps, with no torch in sight.

Symbols: V vocabulary, d width, l layers, h feed-forward width, s context, N parameters,
D tokens, M = D/N token multiplier, C = 6ND FLOPs.
"""

import dataclasses
import math
from typing import Any, NamedTuple

from scalebed.core.values import Positive

NUMERICS = 1
"""Version of the numbers training produces; raising it retrains every cell."""

DATA_NUMERICS = 1
"""Version of the text and tokens the data stage produces."""

EVAL_NUMERICS = 1
"""Version of the losses and task errors the evaluation stage produces."""


class ParamCounts(NamedTuple):
    """Parameters of a decoder under three conventions."""

    total: int
    """Everything the paper counts as N: input embedding, blocks, norm gains, untied head."""
    no_input_embedding: int
    """`total` less the input embedding (the paper's data files call it ``params_no_embed``)."""
    no_embeddings: int
    """`total` less the input embedding and the output head."""


@dataclasses.dataclass(frozen=True)
class Shape:
    """The architecture of one size."""

    width: Positive
    """Model width d."""
    layers: Positive
    """Number of blocks l."""
    heads: Positive
    """Attention heads; must divide the width."""
    vocab: Positive
    """Rows of the embedding and of the head; at least the tokenizer's vocabulary."""
    context: Positive
    """Sequence length in tokens."""
    ffn_multiple: Positive = 256
    """The SwiGLU width is rounded up to a multiple of this."""

    @property
    def heads_fit(self) -> bool:
        """Whether the heads divide the width into parts of even width, as rotation needs."""
        return self.width % self.heads == 0 and self.width // self.heads % 2 == 0


def shape_of(model: dict[str, Any]) -> Shape:
    """Return the architecture in the section ``model`` of a cell's parameters."""
    return Shape(**{field.name: model[field.name] for field in dataclasses.fields(Shape)})


def ffn_width(width: int, multiple: int) -> int:
    """Return the SwiGLU width h = multiple * ceil(floor(8d/3) / multiple).

    Source: arXiv 2403.08540, whose models all have ``multiple`` = 256.
    """
    return multiple * math.ceil((8 * width // 3) / multiple)


def count_params(shape: Shape) -> ParamCounts:
    """Count parameters, N = 2Vd + l(4d² + 3dh + 2d) + d.

    The gains of qk-norm are left out, as in the paper (arXiv 2403.08540), whose six model sizes
    the formula gives to the unit.
    """
    d, vocab = shape.width, shape.vocab
    h = ffn_width(d, shape.ffn_multiple)
    blocks = shape.layers * (4 * d * d + 3 * d * h + 2 * d) + d
    return ParamCounts(blocks + 2 * vocab * d, blocks + vocab * d, blocks)


def flops(params: int, tokens: int) -> float:
    """Return C = 6ND as a float, since large runs overflow 64-bit integers."""
    return 6.0 * float(params) * float(tokens)


def flops_exact(shape: Shape, tokens: int) -> float:
    """Return training FLOPs of every matrix product, attention included.

    Per token and forward pass, 2 FLOPs for each weight of the blocks' matrices and of the head,
    and 4·d·(s+1)/2 for each layer's two attention products under a causal mask (the mean number
    of visible positions is (s+1)/2). The input embedding is a look-up and costs nothing. The
    backward pass costs twice the forward pass.
    """
    d, s = shape.width, shape.context
    h = ffn_width(d, shape.ffn_multiple)
    matrices = shape.layers * (4 * d * d + 3 * d * h) + d * shape.vocab
    attention = shape.layers * 4 * d * (s + 1) / 2
    return 3.0 * (2.0 * matrices + attention) * float(tokens)


def steps_for(params: int, ratio: float, batch_tokens: int) -> int:
    """Return the whole number of steps whose tokens come closest to D = M·N (at least one)."""
    return max(1, round(ratio * params / batch_tokens))


def _open_lm(width: int, layers: int, heads: int) -> dict[str, Any]:
    return {
        "width": width,
        "layers": layers,
        "heads": heads,
        "vocab": 50432,
        "context": 2048,
        "ffn_multiple": 256,
    }


SIZE_TABLES: dict[str, dict[str, dict[str, Any]]] = {
    # Table 3 of arXiv 2403.08540; names are its labels in whole millions.
    "gadre2024": {
        "11m": _open_lm(96, 8, 4),
        "79m": _open_lm(512, 8, 4),
        "154m": _open_lm(576, 24, 8),
        "411m": _open_lm(1024, 24, 8),
        "1400m": _open_lm(2048, 24, 16),
        "6900m": _open_lm(4096, 32, 32),
    },
}


def training_bytes(shape: Shape, sequences: int) -> float:
    """Return a generous estimate of the memory one training step needs, in bytes.

    Sixteen bytes a parameter (fp32 weight, gradient and the two moments of AdamW), the logits with
    their gradient and log-softmax, and per layer about twenty activations of the width and five of
    the feed-forward width.
    """
    d = shape.width
    positions = sequences * shape.context
    h = ffn_width(d, shape.ffn_multiple)
    activations = positions * (shape.layers * (20 * d + 5 * h) + 3 * shape.vocab)
    return 16.0 * count_params(shape).total + 4.0 * activations
