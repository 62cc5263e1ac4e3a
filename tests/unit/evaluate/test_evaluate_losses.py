import math
from pathlib import Path

import numpy as np
import pytest
import torch
from evaluation_cells import CONTEXT, World

from scalebed.core.errors import ScalebedError
from scalebed.core.files import read_json
from scalebed.data.sequences import validation_sequences
from scalebed.evaluate.bootstrap import interval, resample_sequences, resample_tokens
from scalebed.evaluate.losses import evaluate_losses, summarise
from scalebed.model import load_model

PARAMS = {
    "sets": {"invented": {"split": "val", "max_tokens": 3000}},
    "resamples": 400,
    "seed": 0,
    "numerics": 1,
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"), items=10)


def test_losses_are_the_mean_of_a_plain_cross_entropy(world: World, tmp_path: Path) -> None:
    out = tmp_path / "losses.json"
    evaluate_losses(world.trained, {"invented": world.tokens}, PARAMS, out)
    found = read_json(out)["losses"]["invented"]
    text = validation_sequences(world.tokens, "val", CONTEXT, 3000)
    model, _ = load_model(world.trained.parent)
    batch = torch.from_numpy(text.sequences)
    logits = model(batch[:, :-1]).double()
    nats = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), batch[:, 1:].flatten(), reduction="none"
    )
    assert found["loss"] == pytest.approx(float(nats.mean()), abs=1e-6)
    assert found["tokens"] == nats.numel() == found["sequences"] * CONTEXT
    assert found["sequences"] == 3000 // CONTEXT
    bits = float(nats.sum()) / math.log(2) / (found["tokens"] * text.bytes_per_token)
    assert found["bits_per_byte"] == pytest.approx(bits, rel=1e-6)
    assert found["loss_sequences_lower"] < found["loss"] < found["loss_sequences_upper"]
    assert found["loss_tokens_lower"] < found["loss"] < found["loss_tokens_upper"]
    # Trained on this language, it beats a uniform guess clearly.
    assert found["loss"] < math.log(400) - 1


def test_losses_are_the_same_twice(world: World, tmp_path: Path) -> None:
    records = [
        evaluate_losses(world.fresh, {"invented": world.tokens}, PARAMS, tmp_path / "losses.json")
        for _ in range(2)
    ]
    assert records[0]["losses"] == records[1]["losses"]


def test_a_cell_that_diverged_has_no_losses(world: World, tmp_path: Path) -> None:
    cell = world.cell("diverged", steps=0, status="diverged")
    record = evaluate_losses(cell, {"invented": world.tokens}, PARAMS, tmp_path / "losses.json")
    assert record["losses"] == {}
    assert record["status"] == "diverged"


def test_names_of_texts_must_match(world: World, tmp_path: Path) -> None:
    with pytest.raises(ScalebedError, match="names other, but the parameters have the sets inv"):
        evaluate_losses(world.fresh, {"other": world.tokens}, PARAMS, tmp_path / "losses.json")
    assert not (tmp_path / "losses.json").exists()


def test_tokens_of_another_vocabulary_are_refused(world: World, tmp_path: Path) -> None:
    cell = world.cell("narrow", steps=0, vocab=300)
    with pytest.raises(ScalebedError, match=r"has 400 different tokens.*only 300 rows"):
        evaluate_losses(cell, {"invented": world.tokens}, PARAMS, tmp_path / "losses.json")


def test_resampled_tokens_have_the_moments_of_the_ordinary_bootstrap() -> None:
    rng = np.random.default_rng(0)
    losses = rng.gamma(2.0, 1.5, size=5000)
    cheap = resample_tokens(losses, 20_000, np.random.default_rng(1))
    assert cheap.mean() == pytest.approx(losses.mean(), abs=4 * losses.std() / math.sqrt(5000e4))
    assert cheap.std() == pytest.approx(losses.std() / math.sqrt(5000), rel=0.03)
    ordinary = np.array([rng.choice(losses, losses.size).mean() for _ in range(2000)])
    width = np.subtract(*interval(ordinary)[::-1])
    np.testing.assert_allclose(interval(cheap), interval(ordinary), atol=0.06 * width)


def test_resampled_tokens_keep_the_skew_of_few_tokens() -> None:
    losses = np.array([0.0] * 19 + [20.0])
    means = resample_tokens(losses, 20_000, np.random.default_rng(0))
    # Every resample has a whole number of the one large loss: Binomial(20, 1/20) of them.
    np.testing.assert_allclose(means, np.round(means), atol=1e-9)
    assert (means == 0).mean() == pytest.approx(0.95**20, abs=0.02)


def test_intervals_are_those_of_independent_sequences_and_of_independent_tokens() -> None:
    """Losses of a sequence share a level, so over tokens the interval is far too narrow."""
    rng = np.random.default_rng(3)
    losses = 4 + rng.normal(0, 0.5, size=(80, 1)) + rng.normal(0, 1, size=(80, 32))
    entry = summarise(losses, 1.0, 8000, rng)
    assert entry["loss"] == pytest.approx(losses.mean(), rel=1e-12)
    halves = {}
    for kind, values in (("sequences", losses.mean(axis=1)), ("tokens", losses.ravel())):
        # The 97.5 % quantile of a normal; of 8,000 resamples it is known to 1.5 %.
        halves[kind] = half = 1.959964 * values.std() / math.sqrt(values.size)
        ends = entry[f"loss_{kind}_lower"], entry[f"loss_{kind}_upper"]
        assert ends == pytest.approx((losses.mean() - half, losses.mean() + half), abs=0.05 * half)
    # Variances of a mean of 32: 0.25 + 1 / 32 with the shared level, 1.25 / 32 without: 2.68².
    assert halves["sequences"] / halves["tokens"] == pytest.approx(2.7, abs=0.35)


def test_sequences_of_unequal_length_weigh_by_their_tokens() -> None:
    sums, counts = np.array([10.0, 300.0]), np.array([10.0, 100.0])
    means = resample_sequences(sums, counts, 4000, np.random.default_rng(0))
    assert set(np.round(means, 9)) == {1.0, round(310 / 110, 9), 3.0}
    assert (means == 3.0).mean() == pytest.approx(0.25, abs=0.03)
