"""A decoder as lm-eval's own model class sees one: a causal model of transformers.

Used by the tests and by benchmarks/tasks.py, as the reference our adapter is held against. Needs
transformers and accelerate, which scalebed does not.
"""

from pathlib import Path
from typing import Any

import torch
import transformers
from lm_eval.models.huggingface import HFLM
from torch import Tensor
from transformers.modeling_outputs import CausalLMOutput

from scalebed.core.files import read_json
from scalebed.model import Decoder


class _Config(transformers.PretrainedConfig):
    model_type = "scalebed"


class _Causal(transformers.PreTrainedModel):
    """The decoder; padding comes after the text, so causal attention needs no mask for it."""

    config_class = _Config

    def __init__(self, decoder: Decoder) -> None:
        super().__init__(_Config(vocab_size=decoder.config.vocab))
        self.decoder = decoder

    def forward(self, input_ids: Tensor, **_: Any) -> CausalLMOutput:
        return CausalLMOutput(logits=self.decoder(input_ids))


def hflm(model: Decoder, tokenizer: Path, batch_size: int | str = 16) -> HFLM:
    """Return lm-eval's own wrapper around a decoder and the tokenizer of a manifest."""
    manifest = read_json(tokenizer)
    words = transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(tokenizer.parent / manifest["file"]["name"]),
        # Text that spells the name of the token is text, as with ours.
        split_special_tokens=True,
    )
    words.eos_token = words.convert_ids_to_tokens(manifest["eot"])
    words.pad_token = words.eos_token
    return HFLM(
        pretrained=_Causal(model).eval(),
        tokenizer=words,
        backend="causal",
        max_length=model.config.context,
        batch_size=batch_size,
        device="cpu",
        dtype=torch.float32,
    )
