import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from scalebed.core import arithmetic
from scalebed.core.errors import ScalebedError
from scalebed.model import Decoder, ModelConfig, initialise, load_model, save_model
from scalebed.model.generate import generate
from scalebed.model.initialise import init_std
from scalebed.model.loss import head_loss
from scalebed.model.rope import rope_tables, rotate

TINY = ModelConfig(width=16, layers=2, heads=2, vocab=64, context=32, ffn_multiple=8)
PAPER = arithmetic.SIZE_TABLES["gadre2024"]
PAPER_COUNTS = {
    "11m": 10_569_312,
    "79m": 78_914_048,
    "154m": 153_677_376,
    "411m": 411_616_256,
    "1400m": 1_439_795_200,
    "6900m": 6_889_410_560,
}


def tiny(seed: int = 0, config: ModelConfig = TINY) -> Decoder:
    model = Decoder(config)
    initialise(model, seed)
    return model


def tokens_of(seed: int, batch: int = 3, length: int = 20) -> torch.Tensor:
    return torch.randint(64, (batch, length), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("qk_norm", [True, False])
def test_module_has_the_parameters_that_the_arithmetic_counts(qk_norm):
    config = ModelConfig(**{**TINY.record(), "qk_norm": qk_norm})
    gains = 2 * config.width * config.layers if qk_norm else 0
    parameters = sum(parameter.numel() for parameter in Decoder(config).parameters())
    assert parameters - gains == arithmetic.count_params(config).total


@pytest.mark.parametrize("size", PAPER)
def test_the_papers_models_have_the_papers_parameters(size):
    config = ModelConfig(**PAPER[size])
    with torch.device("meta"):
        model = Decoder(config)
    counted = {name: p.numel() for name, p in model.named_parameters()}
    qk_gains = sum(n for name, n in counted.items() if "q_norm" in name or "k_norm" in name)
    assert qk_gains == 2 * config.width * config.layers
    assert sum(counted.values()) - qk_gains == PAPER_COUNTS[size]


def reference_logits(model: Decoder, tokens: torch.Tensor) -> torch.Tensor:
    """The architecture once more, one sequence, head and position pair at a time, in fp64."""
    config, weights = model.config, {k: v.double() for k, v in model.state_dict().items()}
    s, w, d = len(tokens), config.head_width, config.width

    def norm(x, gain):
        centred = x - x.mean(-1, keepdim=True)
        return centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt() * weights[gain]

    def turn(x, position):
        out = x.clone()
        for i in range(w // 2):
            angle = position * config.rope_base ** (-2 * i / w)
            a, b = x[i], x[i + w // 2]
            out[i] = a * math.cos(angle) - b * math.sin(angle)
            out[i + w // 2] = b * math.cos(angle) + a * math.sin(angle)
        return out

    x = weights["embedding"][tokens]
    for layer in range(config.layers):
        name = f"blocks.{layer}."
        q, k, v = (norm(x, name + "attention_norm.gain") @ weights[name + "attention.qkv"].T).split(
            d, dim=-1
        )
        q = norm(q, name + "attention.q_norm.gain")
        k = norm(k, name + "attention.k_norm.gain")
        mixed = torch.zeros_like(x)
        for head in range(config.heads):
            part = slice(head * w, (head + 1) * w)
            for i in range(s):
                query = turn(q[i, part], i)
                scores = [query @ turn(k[j, part], j) / math.sqrt(w) for j in range(i + 1)]
                share = torch.softmax(torch.stack(scores), dim=0)
                mixed[i, part] = share @ v[: i + 1, part]
        x = x + mixed @ weights[name + "attention.out"].T
        gate, up = (norm(x, name + "ffn_norm.gain") @ weights[name + "ffn.gate_up"].T).chunk(2, -1)
        x = x + (gate * torch.sigmoid(gate) * up) @ weights[name + "ffn.down"].T
    return norm(x, "norm.gain") @ weights["head"].T


def test_logits_equal_a_literal_reading_of_the_architecture():
    model = tiny()
    with torch.no_grad():
        for gain in (p for p in model.parameters() if p.ndim == 1):
            gain.uniform_(0.5, 1.5, generator=torch.Generator().manual_seed(gain.numel()))
    tokens = tokens_of(1, batch=2, length=7)
    expected = torch.stack([reference_logits(model, row) for row in tokens])
    torch.testing.assert_close(model(tokens).double(), expected, rtol=1e-4, atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(position=st.integers(1, 19), seed=st.integers(0, 99))
def test_a_token_changes_no_earlier_logit_and_its_own(position, seed):
    model, tokens = tiny(), tokens_of(seed)
    changed = tokens.clone()
    changed[:, position] = (changed[:, position] + 1) % 64
    before, after = model(tokens), model(changed)
    assert torch.equal(before[:, :position], after[:, :position])
    assert not torch.allclose(before[:, position:], after[:, position:])


@settings(max_examples=20, deadline=None)
@given(shift=st.integers(0, 20), gap=st.integers(0, 10), seed=st.integers(0, 99))
def test_rotated_products_depend_on_distance_alone(shift, gap, seed):
    cos, sin = rope_tables(32, 8, 10000.0)
    generator = torch.Generator().manual_seed(seed)
    q, k = torch.randn(2, 1, 32, 1, 8, generator=generator)
    q, k = q[:, :1].expand(1, 32, 1, 8), k[:, :1].expand(1, 32, 1, 8)
    turned_q, turned_k = rotate(q, cos, sin), rotate(k, cos, sin)
    product = (turned_q[0, gap] * turned_k[0, 0]).sum()
    shifted = (turned_q[0, gap + shift] * turned_k[0, shift]).sum()
    torch.testing.assert_close(product, shifted, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(turned_q.norm(dim=-1), q.norm(dim=-1))


def test_rotation_has_the_gradient_of_its_formula():
    cos, sin = rope_tables(5, 8, 10000.0)
    x = torch.randn(2, 5, 3, 8, generator=torch.Generator().manual_seed(0))
    ours, plain = x.clone().requires_grad_(), x.clone().requires_grad_()
    weights = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    (rotate(ours, cos, sin) * weights).sum().backward()
    swapped = torch.cat((plain[..., 4:], plain[..., :4]), dim=-1)
    ((plain * cos + swapped * sin) * weights).sum().backward()
    torch.testing.assert_close(ours.grad, plain.grad)


@pytest.mark.parametrize(("rows", "vocab"), [(50, 64), (700, 1024)])
def test_head_loss_equals_cross_entropy_plus_z_loss(rows, vocab):
    # 700 rows of 1024 logits are more than one chunk.
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(rows, 8, generator=generator)
    weight = torch.randn(vocab, 8, generator=generator)
    targets = torch.randint(vocab, (rows,), generator=generator)
    ours = [t.clone().requires_grad_() for t in (hidden, weight)]
    plain = [t.clone().requires_grad_() for t in (hidden, weight)]
    loss = head_loss(*ours, targets, 0.01)
    loss.objective.backward()
    logits = plain[0] @ plain[1].T
    cross_entropy = functional.cross_entropy(logits, targets)
    z = logits.logsumexp(-1).square().mean()
    (cross_entropy + 0.01 * z).backward()
    torch.testing.assert_close(loss.cross_entropy, cross_entropy.detach(), rtol=1e-5, atol=0)
    torch.testing.assert_close(loss.z, z.detach(), rtol=1e-5, atol=0)
    for mine, theirs in zip(ours, plain, strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-4, atol=1e-6)


def test_head_loss_survives_logits_that_overflow_exp():
    hidden = torch.tensor([[300.0], [-300.0]], requires_grad=True)
    weight = torch.tensor([[1.0], [-1.0]], requires_grad=True)
    loss = head_loss(hidden, weight, torch.tensor([0, 0]), 0.0)
    loss.objective.backward()
    assert float(loss.cross_entropy) == pytest.approx(300.0)
    assert torch.isfinite(hidden.grad).all()


def test_losses_of_parts_add_up_to_the_loss_of_the_batch():
    model, batch = tiny(), tokens_of(3, batch=4, length=17)
    whole = model.loss(batch[:, :-1], batch[:, 1:], 1e-2)
    parts = [model.loss(p[:, :-1], p[:, 1:], 1e-2, 4 * 16) for p in batch.split(1)]
    for name in whole._fields:
        total = sum(getattr(part, name).detach() for part in parts)
        torch.testing.assert_close(total, getattr(whole, name).detach(), rtol=1e-5, atol=0)


def test_initial_matrices_have_the_scaled_deviation_and_are_cut():
    # A normal cut at three deviations keeps 0.9866 of its standard deviation.
    model = tiny(config=ModelConfig(width=128, layers=3, heads=2, vocab=300, context=8))
    for name, trained in model.named_parameters():
        parameter = trained.detach()
        if parameter.ndim == 1:
            assert torch.equal(parameter, torch.ones_like(parameter))
            continue
        std = init_std(name, tuple(parameter.shape))
        error = 0.9866 * std / math.sqrt(2 * parameter.numel())
        assert abs(float(parameter.std()) - 0.9866 * std) < 5 * error
        assert float(parameter.abs().max()) <= 3 * std


def test_residual_projections_are_scaled_by_depth_and_nothing_else_is():
    d, h = 64, 256  # whose roots are exact
    assert init_std("embedding", (300, d)) == init_std("head", (300, d)) == 1 / 8
    for layer in range(3):
        scale = math.sqrt(2 * (layer + 1))
        assert init_std(f"blocks.{layer}.attention.qkv", (3 * d, d)) == 1 / 8
        assert init_std(f"blocks.{layer}.ffn.gate_up", (2 * h, d)) == 1 / 8
        assert init_std(f"blocks.{layer}.attention.out", (d, d)) == 1 / 8 / scale
        assert init_std(f"blocks.{layer}.ffn.down", (d, h)) == 1 / 16 / scale


def test_seeds_give_the_same_and_different_weights():
    assert torch.equal(tiny(1).head, tiny(1).head)
    assert not torch.equal(tiny(1).head, tiny(2).head)


def test_bf16_autocast_is_close_to_fp32_and_trains_every_parameter():
    model, batch = tiny(), tokens_of(5, batch=4, length=17)
    exact = model.loss(batch[:, :-1], batch[:, 1:], 1e-4)
    with torch.autocast("cpu", torch.bfloat16):
        rough = model.loss(batch[:, :-1], batch[:, 1:], 1e-4)
    rough.objective.backward()
    torch.testing.assert_close(rough.cross_entropy, exact.cross_entropy, rtol=5e-3, atol=0)
    for name, parameter in model.named_parameters():
        assert parameter.grad.dtype == torch.float32, name
        assert float(parameter.grad.abs().sum()) > 0, name


@pytest.mark.parametrize(
    ("change", "message"),
    [({"heads": 3}, "model.heads is 3"), ({"width": 6, "heads": 2}, "even width"),
     ({"layers": 0}, "model.layers is 0")],
)  # fmt: skip
def test_impossible_models_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        ModelConfig.from_record(TINY.record() | change)


@pytest.mark.parametrize(
    ("record", "message"),
    [({"depth": 2}, "model.depth is not"), ({"width": "16"}, "model.width is '16'")],
)
def test_garbled_model_records_are_refused(record, message):
    with pytest.raises(ScalebedError, match=message):
        ModelConfig.from_record(TINY.record() | record)
    with pytest.raises(ScalebedError, match=r"model\.vocab is missing"):
        ModelConfig.from_record({k: v for k, v in TINY.record().items() if k != "vocab"})


def test_a_saved_model_comes_back(tmp_path):
    model, tokens = tiny(), tokens_of(0)
    save_model(tmp_path, model, {"tokenizer": "t"})
    loaded, about = load_model(tmp_path)
    assert torch.equal(loaded(tokens), model(tokens))
    assert about == {"model": TINY.record(), "vocab": 64, "tokenizer": "t"}
    assert not any(parameter.requires_grad for parameter in loaded.parameters())


def test_broken_models_are_named(tmp_path):
    with pytest.raises(ScalebedError, match=r"model\.json"):
        load_model(tmp_path)
    save_model(tmp_path, tiny(), {})
    weights = tmp_path / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-100])
    with pytest.raises(ScalebedError, match="not a whole safetensors file"):
        load_model(tmp_path)
    save_model(tmp_path, tiny(config=ModelConfig(**TINY.record() | {"width": 32})), {})
    weights.write_bytes(whole)
    with pytest.raises(ScalebedError, match=r"does not fit model\.json"):
        load_model(tmp_path)
    weights.unlink()
    with pytest.raises(ScalebedError, match=r"cannot read .*model\.safetensors"):
        load_model(tmp_path)


def test_generation_is_repeatable_and_passes_the_context():
    model = tiny()
    first = generate(model, [1, 2], 40, 1.0, seed=7)
    assert first == generate(model, [1, 2], 40, 1.0, seed=7)
    assert first != generate(model, [1, 2], 40, 1.0, seed=8)
    assert len(first) == 40
    greedy = generate(model, [1, 2], 1, 0.0, seed=0)
    assert greedy == [int(model(torch.tensor([[1, 2]]))[0, -1].argmax())]
