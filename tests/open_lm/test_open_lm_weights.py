"""The real open_lm builds the same function from the same weights."""

import json

import pytest
import torch
from real import needs_open_lm

from scalebed.core.arithmetic import SIZE_TABLES
from scalebed.model import Decoder, ModelConfig, initialise
from scalebed.train.open_lm import convert

pytestmark = [
    pytest.mark.open_lm,
    needs_open_lm,
    pytest.mark.filterwarnings("ignore"),  # open_lm is older than the torch it runs on
]

TINY = {"width": 32, "layers": 2, "heads": 2, "vocab": 97, "context": 64}
PAPER = SIZE_TABLES["gadre2024"]
# To draw weights takes the time. So one size has the vocabulary of the paper, one its depth,
# and all have its widths and heads.
SIZES = {
    "tiny": TINY,
    "tiny-no-qk-norm": TINY | {"qk_norm": False},
    "11m": PAPER["11m"],
    "79m": PAPER["79m"] | {"vocab": 1000},
    "154m": PAPER["154m"] | {"vocab": 1000},
    "411m": PAPER["411m"] | {"vocab": 1000, "layers": 2},
}


def open_lm_model(config: ModelConfig, folder) -> torch.nn.Module:
    from open_lm.model import create_model
    from open_lm.params import parse_args

    path = folder / "model.json"
    path.write_text(json.dumps(convert.model_json(config)))
    words = ["--model", str(path), *convert.model_arguments(config)]
    return create_model(parse_args(words)).eval()


@pytest.mark.parametrize("size", SIZES)
def test_the_same_weights_give_the_same_logits_both_ways(size, tmp_path):
    config = ModelConfig(**SIZES[size])
    ours, theirs = Decoder(config), open_lm_model(config, tmp_path)
    initialise(ours, 1)
    with torch.no_grad():
        for name, value in ours.named_parameters():
            if value.ndim == 1:  # gains of one would hide one that is missing
                value.uniform_(0.8, 1.2, generator=torch.Generator().manual_seed(len(name)))
    theirs.load_state_dict(convert.to_open_lm(ours.state_dict(), config))
    tokens = torch.randint(config.vocab, (2, 24), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = theirs(tokens)[0]
        difference = float((ours(tokens) - expected).abs().max())
        print(f"{size}: largest difference of a logit {difference:.1e}")
        assert difference <= 1e-5
        back = Decoder(config)
        back.load_state_dict(convert.from_open_lm(theirs.state_dict(), config))
        assert torch.equal(back(tokens), ours(tokens))
    assert float(expected.std()) > 0.1


@pytest.mark.parametrize("size", ["tiny", "tiny-no-qk-norm", "11m"])
def test_weights_go_both_ways_to_the_bit(size, tmp_path):
    config = ModelConfig(**SIZES[size])
    theirs = open_lm_model(config, tmp_path).state_dict()
    ours = convert.from_open_lm(theirs, config)
    again = convert.to_open_lm(ours, config)
    assert again.keys() == theirs.keys()
    assert all(torch.equal(again[name], theirs[name]) for name in theirs)
    assert Decoder(config).load_state_dict(ours)


def test_parameters_number_the_same(tmp_path):
    config = ModelConfig(**SIZES["11m"])
    count = sum(p.numel() for p in open_lm_model(config, tmp_path).parameters())
    assert count == sum(p.numel() for p in Decoder(config).parameters())
