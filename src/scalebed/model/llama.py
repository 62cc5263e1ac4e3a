"""A decoder in the words of architectures that other libraries know: Llama, or OLMoE for qk-norm.

Two identities turn LayerNorms without bias into the RMSNorms of those architectures.

* Every norm of the residual stream takes the mean of its input away. So what is written into the
  stream may be without mean from the start: of each vector that the embedding and the two
  projections out of a block write, the mean is taken off their weights. LayerNorm(x) is
  RMSNorm(x - mean x), with the same offset of the variance (Ashkboos et al., arXiv 2401.15024).
* qk-norm takes the mean of a query or key away, over the full width. So the rows of their
  projections may be without mean, and the norm be an RMSNorm.

Llama has all the rest: SwiGLU, rotary positions by halves of a head, an untied head, no biases. It
has no qk-norm; the OLMoE architecture has one over the full width, before the split into heads, and
is a Llama otherwise when its mixture has a single expert, whose share softmax makes one.
"""

from typing import Any

from torch import Tensor

from scalebed.model.config import ModelConfig
from scalebed.model.decoder import NORM_EPS


def config_json(config: ModelConfig, eot: int) -> dict[str, Any]:
    """Return ``config.json`` of the decoder.

    Parameters
    ----------
    config
        What the decoder is made of.
    eot
        Id of the end-of-text token, which stands between documents and so begins them as well.
    """
    kind = ("olmoe", "OlmoeForCausalLM") if config.qk_norm else ("llama", "LlamaForCausalLM")
    mixture = {"num_experts": 1, "num_experts_per_tok": 1, "norm_topk_prob": False}
    return {
        "model_type": kind[0],
        "architectures": [kind[1]],
        "vocab_size": config.vocab,
        "hidden_size": config.width,
        "intermediate_size": config.ffn_width,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.heads,
        "hidden_act": "silu",
        "max_position_embeddings": config.context,
        "rms_norm_eps": NORM_EPS,
        "rope_theta": config.rope_base,
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_base},
        "attention_bias": False,
        "tie_word_embeddings": False,
        "bos_token_id": eot,
        "eos_token_id": eot,
        "pad_token_id": None,
        # Its older name beside its new one, as for rope_theta.
        "dtype": "float32",
        "torch_dtype": "float32",
        **(mixture if config.qk_norm else {"mlp_bias": False}),
    }


def weights_of(config: ModelConfig, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights by the names of the architecture, each an array of its own in fp32.

    Its logits differ from ours by as much as ours, in fp32, differ from the exact ones.

    Parameters
    ----------
    config
        What the decoder is made of.
    weights
        Parameters of the `Decoder` by name.
    """
    found = {
        "model.embed_tokens.weight": _without_mean(weights["embedding"], 1),
        "model.norm.weight": weights["norm.gain"],
        "lm_head.weight": weights["head"],
    }
    for number in range(config.layers):
        prefix = f"blocks.{number}."
        own = {
            name.removeprefix(prefix): value
            for name, value in weights.items()
            if name.startswith(prefix)
        }
        block = _block(config, own)
        found |= {f"model.layers.{number}.{name}": value for name, value in block.items()}
    return {name: value.detach().float().cpu().clone() for name, value in found.items()}


def _block(config: ModelConfig, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    q, k, v = weights["attention.qkv"].chunk(3)
    gate, up = weights["ffn.gate_up"].chunk(2)
    down = _without_mean(weights["ffn.down"], 0)
    found = {
        "input_layernorm.weight": weights["attention_norm.gain"],
        "post_attention_layernorm.weight": weights["ffn_norm.gain"],
        "self_attn.v_proj.weight": v,
        "self_attn.o_proj.weight": _without_mean(weights["attention.out"], 0),
    }
    projections = {"gate_proj": gate, "up_proj": up, "down_proj": down}
    if not config.qk_norm:
        found |= {"self_attn.q_proj.weight": q, "self_attn.k_proj.weight": k}
        return found | {f"mlp.{name}.weight": value for name, value in projections.items()}
    found |= {
        "self_attn.q_proj.weight": _without_mean(q, 0),
        "self_attn.k_proj.weight": _without_mean(k, 0),
        "self_attn.q_norm.weight": weights["attention.q_norm.gain"],
        "self_attn.k_norm.weight": weights["attention.k_norm.gain"],
        # Of one expert, softmax makes one whatever the router says.
        "mlp.gate.weight": q.new_zeros(1, config.width),
    }
    return found | {f"mlp.experts.0.{name}.weight": value for name, value in projections.items()}


def _without_mean(weight: Tensor, dim: int) -> Tensor:
    """Return a weight whose outputs, along `dim`, have mean zero; reckoned in fp64."""
    exact = weight.double()
    return exact - exact.mean(dim, keepdim=True)
