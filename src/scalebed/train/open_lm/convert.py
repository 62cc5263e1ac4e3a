"""Weights and configurations of open_lm's Transformer and of our Decoder, either way.

Both compute the same function: queries, keys and values are one product, gate and up are one
product, rotary positions pair the halves of a head. Only names differ, and open_lm keeps the
rotary frequencies with the weights.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from scalebed.core import arithmetic
from scalebed.model import ModelConfig

FFN_MULTIPLE = 256
"""open_lm rounds the width of its feed-forward layers up to a multiple of this."""
ROPE_BASE = 10000.0
"""Base of open_lm's rotary frequencies."""

_OUTER = {"embedding": "tok_embeddings.weight", "head": "output.weight", "norm.gain": "norm.weight"}
_BLOCK = {
    "attention_norm.gain": "attention_norm.weight",
    "attention.qkv": "attention.in_proj.weight",
    "attention.out": "attention.out_proj.weight",
    "ffn_norm.gain": "ffn_norm.weight",
    "ffn.gate_up": "feed_forward.w12.weight",
    "ffn.down": "feed_forward.w3.weight",
}
_QK_NORM = {
    "attention.q_norm.gain": "attention.q_norm.weight",
    "attention.k_norm.gain": "attention.k_norm.weight",
}
# Model JSON of open_lm: our name of each value, and the values that mean our architecture.
_SIZES = {
    "hidden_dim": "width",
    "n_layers": "layers",
    "n_heads": "heads",
    "vocab_size": "vocab",
    "seq_len": "context",
}
_ONLY: dict[str, tuple[Any, ...]] = {
    "post_embed_norm": (False,),
    "weight_tying": (False,),
    "model_norm": ("gain_only_lp_layer_norm", "gain_only_layer_norm"),
    "ffn_type": ("swiglu", "swiglu_torch"),
    "positional_embedding_type": ("rotary",),
    "moe_freq": (0,),
}
_DEFAULTS = {"model_norm": "default_layer_norm", "ffn_type": "swiglu", "qk_norm": False}


def names(config: ModelConfig) -> dict[str, str]:
    """Return open_lm's name of every parameter of a decoder, by ours."""
    block = _BLOCK | (_QK_NORM if config.qk_norm else {})
    return _OUTER | {
        f"blocks.{layer}.{ours}": f"layers.{layer}.{theirs}"
        for layer in range(config.layers)
        for ours, theirs in block.items()
    }


def model_json(config: ModelConfig) -> dict[str, Any]:
    """Return the model JSON with which open_lm builds the same architecture.

    It holds the sizes, as those of the paper do; norms are arguments, see `model_arguments`.

    Raises
    ------
    ValueError
        If open_lm cannot express it; names the value and what it would be.
    """
    theirs = arithmetic.ffn_width(config.width, FFN_MULTIPLE)
    if config.ffn_width != theirs:
        raise ValueError(
            f"model.ffn_multiple is {config.ffn_multiple}, which makes a feed-forward layer "
            f"{config.ffn_width} wide, but open_lm rounds up to a multiple of {FFN_MULTIPLE} "
            f"and has {theirs}"
        )
    if config.rope_base != ROPE_BASE:
        raise ValueError(f"model.rope_base is {config.rope_base}, expected open_lm's {ROPE_BASE:g}")
    sizes = {theirs: getattr(config, ours) for theirs, ours in _SIZES.items()}
    return sizes | {"post_embed_norm": False, "weight_tying": False}


def model_arguments(config: ModelConfig) -> list[str]:
    """Return the arguments of open_lm that go with the model JSON."""
    norm = ["--model-norm", "gain_only_lp_layer_norm"]
    return [*norm, *(["--qk-norm"] if config.qk_norm else [])]


def model_config(record: Mapping[str, Any]) -> ModelConfig:
    """Return the configuration of the decoder that a model JSON of open_lm describes.

    Parameters
    ----------
    record
        The JSON. What it leaves out has open_lm's default; norms and others often come from the
        command line and are to be merged in.

    Raises
    ------
    ValueError
        If our decoder cannot express it; names the key, its value and what was expected.
    """
    for key, allowed in _ONLY.items():
        value = record.get(key, _DEFAULTS.get(key, allowed[0]))
        if value not in allowed:
            expected = " or ".join(str(item) for item in allowed)
            raise ValueError(f"{key} is {value!r}, expected {expected}")
    for key in _SIZES:
        if type(record.get(key)) is not int:
            raise ValueError(f"{key} is {record.get(key)!r}, expected a whole number")
    sizes = {ours: record[theirs] for theirs, ours in _SIZES.items()}
    qk_norm = bool(record.get("qk_norm", _DEFAULTS["qk_norm"]))
    return ModelConfig(**sizes, ffn_multiple=FFN_MULTIPLE, qk_norm=qk_norm, rope_base=ROPE_BASE)


def _frequencies(head_width: int) -> Tensor:
    """Return the rotary frequencies as open_lm computes them, to the bit."""
    return 1.0 / (ROPE_BASE ** (torch.arange(0, head_width, 2).float() / head_width))


def to_open_lm(weights: Mapping[str, Tensor], config: ModelConfig) -> dict[str, Tensor]:
    """Return the state dict of open_lm's Transformer for one of our Decoder.

    Raises
    ------
    ValueError
        If open_lm cannot express the configuration.
    """
    model_json(config)
    converted = {theirs: weights[ours] for ours, theirs in names(config).items()}
    for layer in range(config.layers):
        name = f"layers.{layer}.attention.pos_embed.inv_freq"
        converted[name] = _frequencies(config.head_width)
    return converted


def from_open_lm(weights: Mapping[str, Tensor], config: ModelConfig) -> dict[str, Tensor]:
    """Return the state dict of our Decoder for one of open_lm's Transformer.

    Parameters
    ----------
    weights
        open_lm's state dict, without prefixes of wrappers.
    config
        Configuration of the decoder.

    Raises
    ------
    ValueError
        If the weights are those of another architecture; names one and what was expected.
    """
    model_json(config)
    left = dict(weights)
    converted = {}
    for ours, theirs in names(config).items():
        if theirs not in left:
            raise ValueError(f"it has no {theirs}")
        converted[ours] = left.pop(theirs)
    _check_shapes(converted, config)
    expected = _frequencies(config.head_width)
    for name in [name for name in left if name.endswith(".pos_embed.inv_freq")]:
        found = left.pop(name).float()
        if found.shape != expected.shape or not torch.allclose(found, expected, rtol=1e-2):
            raise ValueError(
                f"{name} is not that of heads {config.head_width} wide and base {ROPE_BASE:g}"
            )
    if left:
        raise ValueError(f"it has {min(left)}, which our decoder has not")
    return converted


def _check_shapes(weights: Mapping[str, Tensor], config: ModelConfig) -> None:
    d, h, v = config.width, config.ffn_width, config.vocab
    shapes = {
        **{"embedding": (v, d), "head": (v, d), "qkv": (3 * d, d), "out": (d, d), "gain": (d,)},
        **{"gate_up": (2 * h, d), "down": (d, h)},
    }
    theirs = names(config)
    for name, value in weights.items():
        expected = shapes[name.rpartition(".")[2]]
        if tuple(value.shape) != expected:
            raise ValueError(
                f"{theirs[name]} has the shape {tuple(value.shape)}, expected {expected}"
            )
