"""Loss and gradient of a decoder in one pass, with the backward pass written out.

Small models on a CPU spend as much time between the matrix products as in them: autograd notes
every operation, stacks the gradients of q, k, v and of gate and up into one matrix, makes new
arrays for them and adds those to ``.grad``. Here the same arithmetic writes its gradients where
they belong. `scalebed.model.Decoder` stays what defines the model; tests hold the two together.

Positions are turned as complex numbers, which needs the two halves of a head side by side. Scalar
products of queries and keys do not mind in which order they sum, so the rows of both projections
are put in that order (a copy of d² numbers) instead of the activations.

Shapes: b sequences, s positions, n = b·s, d width, H heads, h feed-forward width, V vocabulary.
"""

from typing import NamedTuple, cast

import torch
from torch import Tensor
from torch.nn.functional import silu

from scalebed.model.config import ModelConfig
from scalebed.model.decoder import NORM_EPS, Block, Decoder, Norm
from scalebed.model.loss import Parts, head_gradient
from scalebed.model.products import add_mm, mm

_attention = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
_attention_backward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward
_norm_backward = torch.ops.aten.native_layer_norm_backward
_silu_backward_out = torch.ops.aten.silu_backward.grad_input


class _Arithmetic:
    """Products in fp32."""

    def operand(self, x: Tensor) -> Tensor:
        """Return what enters a product."""
        return x

    def add_product(self, residual: Tensor, x: Tensor, weight: Tensor) -> Tensor:
        """Return residual + x weightᵀ."""
        return torch.addmm(residual, x, weight.t())

    def product_into(self, into: Tensor, grad: Tensor, x: Tensor, first: bool) -> None:
        """Put or add gradᵀ x, the gradient of a weight matrix."""
        if first:
            torch.mm(grad.t(), x, out=into)
        else:
            into.addmm_(grad.t(), x)


class _Bf16(_Arithmetic):
    """Products in bf16, everything between them and the weights in fp32, as autocast has it."""

    def operand(self, x: Tensor) -> Tensor:
        return x.bfloat16()

    def add_product(self, residual: Tensor, x: Tensor, weight: Tensor) -> Tensor:
        return residual + mm(x, weight.t())

    def product_into(self, into: Tensor, grad: Tensor, x: Tensor, first: bool) -> None:
        _put(into, mm(grad.t(), x), first)


_ARITHMETIC = {"fp32": _Arithmetic(), "bf16": _Bf16()}


class _Normed(NamedTuple):
    """What a LayerNorm leaves for its backward pass."""

    x: Tensor
    y: Tensor
    mean: Tensor
    rstd: Tensor


class Gradient:
    """Computes losses of a model and their gradients into the ``.grad`` of its parameters.

    Parameters
    ----------
    model
        The decoder, whose parameters have a ``.grad`` each; on the CPU, in fp32.
    precision
        Of the products: ``fp32`` or ``bf16``.
    """

    def __init__(self, model: Decoder, precision: str = "fp32") -> None:
        self._model = model
        self._arithmetic = arithmetic = _ARITHMETIC[precision]
        self._blocks = [
            _BlockGradient(cast(Block, block), model.config, arithmetic) for block in model.blocks
        ]
        self._turns: dict[int, Tensor] = {}
        self._embedding, self._head = _of(model.embedding), _of(model.head)

    @torch.no_grad()
    def __call__(
        self, tokens: Tensor, targets: Tensor, z_weight: float, total: int, first: bool
    ) -> Parts:
        """Return the losses of a part of a batch and add their gradient to that of the parameters.

        Parameters
        ----------
        tokens, targets
            int64 of shape (b, s).
        z_weight
            Weight ζ of the z-loss.
        total
            Positions of the whole batch.
        first
            Whether this is the first part: what the gradients held before is then forgotten.
        """
        b, s = tokens.shape
        flat = tokens.reshape(-1)
        turn = self._turn(s)
        x = torch.embedding(self._model.embedding.data, flat)
        for block in self._blocks:
            x = block.forward(x, b, turn)
        final = _normalise(self._model.norm, x)
        parts, grad = self._head_gradient(final.y, targets.reshape(-1), z_weight, total, first)
        grad = _norm_gradient(self._model.norm, grad, final, first)
        back = turn.conj().resolve_conj()
        for block in reversed(self._blocks):
            grad = block.backward(grad, back, first)
        into = self._embedding[1]
        if first:
            into.zero_()
        into.index_add_(0, flat, grad)
        return parts

    def _head_gradient(
        self, x: Tensor, targets: Tensor, z_weight: float, total: int, first: bool
    ) -> tuple[Parts, Tensor]:
        weight, into = self._head
        hidden, rows = self._arithmetic.operand(x), self._arithmetic.operand(weight)
        grad = torch.empty_like(hidden)
        direct = into if rows is weight else torch.empty_like(rows)
        parts = head_gradient(
            *(hidden, rows, targets, z_weight, total, grad, direct, first or direct is not into)
        )
        if direct is not into:
            _put(into, direct, first)
        return parts, grad.float()

    def _turn(self, s: int) -> Tensor:
        """Return the rotation of every pair at every position, complex of shape (s, d/2)."""
        if s not in self._turns:
            half = self._model.config.head_width // 2
            cos, sin = self._model.cos[:s, 0, half:], self._model.sin[:s, 0, half:]
            turn = torch.complex(cos.contiguous(), sin.contiguous())
            self._turns[s] = turn.repeat(1, self._model.config.heads)
        return self._turns[s]


def _of(parameter: Tensor) -> tuple[Tensor, Tensor]:
    if parameter.grad is None:
        raise ValueError("every parameter needs a .grad to write to")
    return parameter.data, parameter.grad


def pair_order(d: int, heads: int) -> Tensor:
    """Return the rows of a projection in the order that puts the halves of each head in pairs."""
    return torch.arange(d).view(heads, 2, -1).transpose(1, 2).reshape(-1)


def _normalise(norm: Norm, x: Tensor, gain: Tensor | None = None) -> _Normed:
    weight = norm.gain.data if gain is None else gain
    y, mean, rstd = torch.native_layer_norm(x, weight.shape, weight, None, NORM_EPS)
    return _Normed(x, y, mean, rstd)


def _norm_gradient(norm: Norm, grad: Tensor, kept: _Normed, first: bool) -> Tensor:
    """Return the gradient in the input of a LayerNorm; that of its gain goes to its ``.grad``."""
    gain, into = _of(norm.gain)
    grad_x, grad_gain = _norm_backward(
        *(grad, kept.x, gain.shape, kept.mean, kept.rstd, gain, None, (True, True, False))
    )[:2]
    _put(into, grad_gain, first)
    return grad_x


def _put(into: Tensor, value: Tensor, first: bool) -> None:
    if first:
        into.copy_(value)
    else:
        into.add_(value)


class _BlockGradient:
    """Forward and backward pass of one block."""

    def __init__(self, block: Block, config: ModelConfig, arithmetic: _Arithmetic) -> None:
        d, h = config.width, config.ffn_width
        self._block = block
        self._heads = config.heads
        self._arithmetic = arithmetic
        attention, ffn = block.attention, block.ffn
        self._qkv, self._qkv_grad = _of(attention.qkv)
        self._out, self._out_grad = _of(attention.out)
        self._gate_up, gate_up_grad = _of(ffn.gate_up)
        self._gate_grad, self._up_grad = gate_up_grad[:h], gate_up_grad[h:]
        self._down, self._down_grad = _of(ffn.down)
        self._norms: tuple[Norm, ...] = ()
        if config.qk_norm:
            self._norms = (cast(Norm, attention.q_norm), cast(Norm, attention.k_norm))
        self._order = pair_order(d, config.heads)
        self._rows = torch.cat((self._order, d + self._order, torch.arange(2 * d, 3 * d)))
        self._sorted = torch.empty_like(self._qkv)
        self._sorted_grad = torch.empty_like(self._qkv)

    def forward(self, x: Tensor, b: int, turn: Tensor) -> Tensor:
        """Return the residual stream after the block, both of shape (n, d)."""
        use = self._arithmetic.operand
        x = self._attend(x, b, turn)
        self._ffn_normed = normed = _normalise(self._block.ffn_norm, x)
        self._ffn_in = inputs = use(normed.y)
        self._gate_weight, self._up_weight = use(self._gate_up).chunk(2)
        self._down_weight = use(self._down)
        self._gate = mm(inputs, self._gate_weight.t())
        self._up = mm(inputs, self._up_weight.t())
        self._silu = silu(self._gate)
        self._mixed = self._silu * self._up
        return self._arithmetic.add_product(x, self._mixed, self._down_weight)

    def _attend(self, x: Tensor, b: int, turn: Tensor) -> Tensor:
        use = self._arithmetic.operand
        self._normed = normed = _normalise(self._block.attention_norm, x)
        self._in = inputs = use(normed.y)
        torch.index_select(self._qkv, 0, self._rows, out=self._sorted)
        self._weights = use(self._sorted).chunk(3)
        self._out_weight = use(self._out)
        q, k, v = (mm(inputs, weight.t()).float() for weight in self._weights)
        if self._norms:
            self._gains = [norm.gain.data[self._order] for norm in self._norms]
            self._qk_normed = [
                _normalise(norm, part, gain)
                for norm, part, gain in zip(self._norms, (q, k), self._gains, strict=True)
            ]
            q, k = (kept.y for kept in self._qk_normed)
        self._q, self._k = (self._split(_turned(part, turn), b) for part in (q, k))
        self._v = self._split(v, b)
        self._attended, self._lse = _attention(self._q, self._k, self._v, 0.0, True)
        self._joined = use(self._attended.transpose(1, 2).reshape(x.shape))
        return self._arithmetic.add_product(x, self._joined, self._out_weight)

    def _split(self, x: Tensor, b: int) -> Tensor:
        """Return (n, d) as (b, H, s, w)."""
        return x.view(b, -1, self._heads, x.shape[1] // self._heads).transpose(1, 2)

    def backward(self, grad: Tensor, back: Tensor, first: bool) -> Tensor:
        """Return the gradient in the block's input from that in its output, both (n, d)."""
        into = self._arithmetic.product_into
        outer = self._arithmetic.operand(grad)
        into(self._down_grad, outer, self._mixed, first)
        inner = mm(outer, self._down_weight)
        up = torch.mul(inner, self._silu, out=self._silu)
        gate = inner.mul_(self._up)
        _silu_backward_out(gate, self._gate, grad_input=gate)
        into(self._gate_grad, gate, self._ffn_in, first)
        into(self._up_grad, up, self._ffn_in, first)
        inner = add_mm(mm(gate, self._gate_weight), up, self._up_weight).float()
        inner = _norm_gradient(self._block.ffn_norm, inner, self._ffn_normed, first)
        return self._attend_backward(inner.add_(grad), back, first)

    def _attend_backward(self, grad: Tensor, back: Tensor, first: bool) -> Tensor:
        use = self._arithmetic.operand
        outer = use(grad)
        self._arithmetic.product_into(self._out_grad, outer, self._joined, first)
        joined = mm(outer, self._out_weight).float()
        parts = _attention_backward(
            *(self._split(joined, self._q.shape[0]), self._q, self._k, self._v),
            *(self._attended, self._lse, 0.0, True),
        )
        q, k, v = (part.transpose(1, 2).reshape(grad.shape) for part in parts)
        q, k = _turned(q, back), _turned(k, back)
        if self._norms:
            q, k = (
                self._gain_gradient(*each, first)
                for each in zip(self._norms, (q, k), self._qk_normed, self._gains, strict=True)
            )
        grads, weights = (use(q), use(k), use(v)), self._weights
        for part, rows in zip(grads, self._sorted_grad.chunk(3), strict=True):
            self._arithmetic.product_into(rows, part, self._in, True)
        put = self._qkv_grad.index_copy_ if first else self._qkv_grad.index_add_
        put(0, self._rows, self._sorted_grad)
        inner = add_mm(mm(grads[0], weights[0]), grads[1], weights[1])
        inner = add_mm(inner, grads[2], weights[2]).float()
        return _norm_gradient(self._block.attention_norm, inner, self._normed, first).add_(grad)

    def _gain_gradient(
        self, norm: Norm, grad: Tensor, kept: _Normed, gain: Tensor, first: bool
    ) -> Tensor:
        grad_x, grad_gain = _norm_backward(
            *(grad, kept.x, gain.shape, kept.mean, kept.rstd, gain, None, (True, True, False))
        )[:2]
        into = _of(norm.gain)[1]
        if first:
            into.index_copy_(0, self._order, grad_gain)
        else:
            into.index_add_(0, self._order, grad_gain)
        return grad_x


def _turned(x: Tensor, turn: Tensor) -> Tensor:
    """Return x of shape (n, d), its pairs turned by position."""
    s, half = turn.shape
    pairs = torch.view_as_complex(x.view(-1, s, half, 2))
    return torch.view_as_real(pairs * turn).view(x.shape)
