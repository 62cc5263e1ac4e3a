"""Weights by the names of Llama and OLMoE, on a block of width four."""

import pytest
import torch

from scalebed.model import ModelConfig
from scalebed.model.llama import weights_of


@pytest.mark.parametrize("qk_norm", [False, True])
def test_queries_keys_and_values_are_thirds_and_gate_and_up_halves_of_what_is_stored(qk_norm):
    """Rows of the projections have their number in every column, and 1 more in the last."""
    config = ModelConfig(
        width=4, layers=1, heads=2, vocab=2, context=8, ffn_multiple=1, qk_norm=qk_norm
    )
    rows = torch.arange(12.0)[:, None].repeat(1, 4)
    rows[:, 3] += 1
    down = torch.tensor([[1.0, 0.0, 2.0], [2.0, 0.0, 2.0], [3.0, 0.0, 2.0], [6.0, 4.0, 2.0]])
    block = {"attention.qkv": rows, "ffn.gate_up": rows[:6], "ffn.down": down}
    block |= {"attention.out": torch.eye(4), "attention_norm.gain": torch.full((4,), 5.0)}
    block["ffn_norm.gain"] = torch.full((4,), 6.0)
    block |= {
        f"attention.{one}_norm.gain": torch.full((4,), at)
        for one, at in zip("qk", (7.0, 8.0), strict=True)
    }
    whole = {"embedding": torch.tensor([[1.0, 2.0, 3.0, 6.0], [0.0, 0.0, 0.0, 4.0]])}
    whole |= {"norm.gain": torch.full((4,), 9.0), "head": rows[:2]}
    found = weights_of(config, whole | {f"blocks.0.{name}": value for name, value in block.items()})
    found = {name: value.tolist() for name, value in found.items()}

    layer = "model.layers.0."
    mlp = f"{layer}mlp.experts.0" if qk_norm else f"{layer}mlp"
    assert found[f"{layer}self_attn.v_proj.weight"] == rows[8:].tolist()
    assert found[f"{mlp}.gate_proj.weight"] == rows[:3].tolist()
    assert found[f"{mlp}.up_proj.weight"] == rows[3:6].tolist()
    # Columns of 0 to 3 have a mean of 1.5, those of 4 to 7 one of 5.5.
    about = [[off] * 4 for off in (-1.5, -0.5, 0.5, 1.5)]
    queries, keys = (about, about) if qk_norm else (rows[:4].tolist(), rows[4:8].tolist())
    assert found[f"{layer}self_attn.q_proj.weight"] == queries
    assert found[f"{layer}self_attn.k_proj.weight"] == keys
    # Outputs have no mean: columns of 1, 2, 3, 6 and of 0, 0, 0, 4 and of a single 1.
    assert found[f"{mlp}.down_proj.weight"] == [
        [-2.0, -1.0, 0.0],
        [-1.0, -1.0, 0.0],
        [0.0, -1.0, 0.0],
        [3.0, 3.0, 0.0],
    ]
    assert found[f"{layer}self_attn.o_proj.weight"][0] == [0.75, -0.25, -0.25, -0.25]
    assert found["model.embed_tokens.weight"] == [[-2.0, -1.0, 0.0, 3.0], [-1.0, -1.0, -1.0, 3.0]]
    assert found["lm_head.weight"] == rows[:2].tolist()
    norms = {name: value[0] for name, value in found.items() if "norm" in name}
    assert norms == {
        **{f"{layer}input_layernorm.weight": 5.0, f"{layer}post_attention_layernorm.weight": 6.0},
        **({f"{layer}self_attn.q_norm.weight": 7.0} if qk_norm else {}),
        **({f"{layer}self_attn.k_norm.weight": 8.0} if qk_norm else {}),
        "model.norm.weight": 9.0,
    }
