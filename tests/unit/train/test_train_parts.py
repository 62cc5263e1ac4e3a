import dataclasses
import errno
import fcntl
import itertools
import logging
import math
import os

import numpy as np
import pyarrow.parquet
import pytest
import torch
from training_cells import MODEL, RECIPE

from scalebed.core.errors import ScalebedError
from scalebed.model import Decoder, ModelConfig, initialise
from scalebed.plan.step_seconds import step_seconds
from scalebed.train import checkpoint
from scalebed.train import curve as curves
from scalebed.train.checkpoint import Checkpoint, open_state
from scalebed.train.loop import Training
from scalebed.train.optimizer import FlatAdamW
from scalebed.train.params import CellFailure, Recipe, check_params
from scalebed.train.rates import learning_rate
from scalebed.train.runtime import choose_device, claim

CONFIG = ModelConfig.from_record(MODEL)
BASE = Recipe.from_record(RECIPE)


class RandomTokens:
    def batch(self, step, batch_sequences):
        rng = np.random.default_rng(step)
        return rng.integers(CONFIG.vocab, size=(batch_sequences, CONFIG.context + 1))


def make_training(recipe=BASE, steps=20, seed=0):
    model = Decoder(CONFIG)
    initialise(model, seed)
    return Training(model, recipe, steps, RandomTokens())


def test_schedule_warms_up_linearly_and_ends_at_the_floor():
    recipe = dataclasses.replace(BASE, lr=3e-3, lr_end=3e-5, warmup_steps=10)
    rates = [learning_rate(recipe, 110, step) for step in range(110)]
    assert rates[:10] == pytest.approx([3e-4 * (i + 1) for i in range(10)])
    assert rates[10] == pytest.approx(3e-3)
    assert rates[60] == pytest.approx((3e-3 + 3e-5) / 2)
    assert all(a > b for a, b in itertools.pairwise(rates[10:]))
    assert learning_rate(recipe, 110, 110) == pytest.approx(3e-5)


def test_schedule_without_warm_up_starts_at_the_peak():
    recipe = dataclasses.replace(BASE, warmup_steps=0)
    assert learning_rate(recipe, 5, 0) == recipe.lr


def test_decay_is_independent_of_the_peak_learning_rate_and_follows_the_schedule():
    # With no gradient nothing but decay moves a weight.
    for lr in (1e-3, 1e-1):
        recipe = dataclasses.replace(BASE, lr=lr, weight_decay=0.01)
        model = Decoder(CONFIG)
        initialise(model, 0)
        before = [parameter.detach().clone() for parameter in model.parameters()]
        optimizer = FlatAdamW(model, recipe)
        optimizer.step(lr)
        optimizer.step(lr / 4)
        for old, new in zip(before, model.parameters(), strict=True):
            torch.testing.assert_close(new.detach(), old * (1 - 0.01) * (1 - 0.0025))


def test_flat_optimizer_equals_the_ordinary_one():
    ours = make_training()
    plain = Decoder(CONFIG)
    initialise(plain, 0)
    decay = BASE.weight_decay / BASE.lr
    betas = (BASE.beta1, BASE.beta2)
    adamw = torch.optim.AdamW(plain.parameters(), BASE.lr, betas, BASE.eps, decay)
    for step in range(10):
        batch = torch.from_numpy(RandomTokens().batch(step, BASE.batch_sequences))
        loss = plain.loss(batch[:, :-1], batch[:, 1:], BASE.z_loss)
        adamw.zero_grad()
        loss.objective.backward()
        norm = torch.nn.utils.clip_grad_norm_(plain.parameters(), BASE.grad_clip)
        adamw.param_groups[0]["lr"] = learning_rate(BASE, 20, step)
        adamw.step()
        ours.step()
        row = ours.curve[step]
        torch.testing.assert_close(row[curves.GRAD_NORM], norm, rtol=1e-4, atol=0)
        torch.testing.assert_close(row[curves.LOSS], loss.cross_entropy, rtol=1e-5, atol=0)
        torch.testing.assert_close(row[curves.Z_LOSS], BASE.z_loss * loss.z, rtol=1e-4, atol=0)
    for mine, theirs in zip(ours.model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("micro", [1, 2])
def test_accumulated_gradients_equal_those_of_the_whole_batch(micro):
    whole = make_training()
    parts = make_training(dataclasses.replace(BASE, micro_sequences=micro))
    for _ in range(5):
        whole.step()
        parts.step()
    torch.testing.assert_close(parts.curve[:5], whole.curve[:5], rtol=1e-4, atol=1e-6)
    assert not torch.equal(parts.optimizer.weights, make_training().optimizer.weights)
    torch.testing.assert_close(parts.optimizer.weights, whole.optimizer.weights, rtol=0, atol=1e-4)


def test_bf16_trains_close_to_fp32():
    exact, rough = make_training(), make_training(dataclasses.replace(BASE, precision="bf16"))
    for _ in range(15):
        exact.step()
        rough.step()
    torch.testing.assert_close(rough.curve[:15, 0], exact.curve[:15, 0], rtol=0.01, atol=0)
    assert rough.optimizer.weights.dtype == torch.float32
    assert not torch.equal(rough.curve, exact.curve)


# What torch imports to compile is deprecated by torch itself.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_compiled_steps_give_the_same_losses():
    pytest.importorskip("torch._inductor")
    plain = make_training()
    model = Decoder(CONFIG)
    initialise(model, 0)
    compiled = Training(model, BASE, 20, RandomTokens(), compiled=True)
    # On the eager backend the graph is captured but nothing is built, so no compiler is needed.
    compiled._loss = torch.compile(model.loss, backend="aot_eager")
    for _ in range(3):
        plain.step()
        compiled.step()
    torch.testing.assert_close(compiled.curve[:3], plain.curve[:3], rtol=1e-5, atol=1e-6)


def test_resumed_training_continues_bit_identically(tmp_path):
    whole, first = make_training(), make_training()
    for _ in range(20):
        whole.step()
    for _ in range(7):
        first.step()
    first.seconds = 1.5
    second = make_training(seed=1)
    with open_state(tmp_path) as state:
        first.save(state, {"wall_seconds": 2.0})
        second.resume(state.newest())
    assert (second.done, second.seconds) == (7, 1.5)
    for _ in range(13):
        second.step()
    assert torch.equal(second.optimizer.weights, whole.optimizer.weights)
    assert torch.equal(second.curve, whole.curve)


def test_state_of_another_model_is_refused(tmp_path):
    training = make_training()
    saved = training.checkpoint({})
    with open_state(tmp_path) as state:
        saved.tensors["weights/head"] = saved.tensors["weights/head"][:-1]
        state.save(saved)
        with pytest.raises(ValueError, match="weights/head has not the shape"):
            training.resume(state.newest())
        del saved.tensors["weights/head"]
        state.save(saved)
        with pytest.raises(ValueError, match="has no weights/head"):
            training.resume(state.newest())


def curve_of(losses):
    rows = torch.zeros(len(losses), 3)
    rows[:, curves.LOSS] = torch.tensor(losses)
    return rows


def test_divergence_is_a_value_that_is_not_finite():
    losses = [4.0] * 150
    assert curves.divergence(curve_of(losses)) is None
    for value in (math.nan, math.inf):
        losses[120] = value
        kept, reason = curves.divergence(curve_of(losses))
        assert kept == 121
        assert "step 120 is not finite" in reason


def test_divergence_is_a_long_climb_and_not_a_spike():
    spike = [4.0] * 199 + [50.0]
    assert curves.divergence(curve_of(spike)) is None
    kept, reason = curves.divergence(curve_of([4.0] * 100 + [5.5] * 100))
    assert kept == 200
    assert "mean loss of 100 steps" in reason
    assert curves.divergence(curve_of([4.0] * 100 + [4.9] * 100)) is None


@pytest.mark.parametrize(
    ("steps", "rows"), [(0, 0), (1, 1), (2000, 2000), (2001, 1001), (9999, 1668)]
)
def test_long_curves_are_thinned_and_keep_both_ends(tmp_path, steps, rows):
    curve = torch.rand(steps, 3, generator=torch.Generator().manual_seed(0))
    path = tmp_path / "curve.parquet"
    written = curves.write_curve(path, curve, BASE if steps else None, steps, 16)
    table = pyarrow.parquet.read_table(path).to_pydict()
    assert list(table) == ["step", "tokens", "loss", "z_loss", "lr", "grad_norm"]
    assert written == len(table["step"]) == rows <= curves.ROWS
    if steps:
        assert (table["step"][0], table["step"][-1]) == (0, steps - 1)
        assert table["tokens"][-1] == steps * 4 * 16
        assert table["loss"][-1] == pytest.approx(float(curve[-1, curves.LOSS]))
        assert table["lr"][-1] == learning_rate(BASE, steps, steps - 1)


def test_train_loss_is_the_mean_of_the_last_steps():
    assert curves.train_loss(curve_of([9.0] * 10 + [2.0] * 10)) == 2.0
    assert curves.train_loss(curve_of([9.0] * 1980 + [2.0] * 20)) == 2.0
    assert curves.train_loss(curve_of([1.0, 3.0])) == 2.0


def save_steps(state, *steps):
    for step in steps:
        state.save(Checkpoint(step, {"x": torch.full((1000,), float(step))}, {"seconds": step}))


def test_the_last_two_checkpoints_are_kept(tmp_path):
    with open_state(tmp_path / "s") as state:
        save_steps(state, 1, 2, 30)
        names = sorted(path.name for path in state.path.glob("step-*"))
        assert names == [
            "step-000000002.safetensors",
            "step-000000002.sha256",
            "step-000000030.safetensors",
            "step-000000030.sha256",
        ]
        newest = state.newest()
        assert (newest.step, newest.facts) == (30, {"seconds": 30})
        x = torch.zeros(1000)
        newest.fill({"x": x})
        assert torch.equal(x, torch.full((1000,), 30.0))


def corrupt_flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def corrupt_cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def corrupt_empty(path):
    path.write_bytes(b"")


def corrupt_sum(path):
    path.with_suffix(".sha256").unlink()


@pytest.mark.parametrize("corrupt", [corrupt_flip, corrupt_cut, corrupt_empty, corrupt_sum])
def test_a_broken_checkpoint_falls_back_to_the_one_before(tmp_path, corrupt, caplog):
    with open_state(tmp_path / "s") as state:
        save_steps(state, 1, 2)
        broken = state.path / "step-000000002.safetensors"
        corrupt(broken)
        assert state.newest().step == 1
        assert str(broken) in caplog.text
        assert not broken.exists()
        corrupt(state.path / "step-000000001.safetensors")
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            assert state.newest() is None
        assert "starts anew" in caplog.text


def test_a_checkpoint_that_the_disk_does_not_give_now_is_kept(tmp_path, monkeypatch, caplog):
    given = checkpoint.sha256_file

    def read(path):
        if path == unread:
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return given(path)

    unread = tmp_path / "s" / "step-000000002.safetensors"
    with open_state(unread.parent) as state:
        save_steps(state, 1, 2)
        monkeypatch.setattr(checkpoint, "sha256_file", read)
        assert state.newest().step == 1
        assert f"cannot read checkpoint {unread}" in caplog.text
        corrupt_cut(state.path / "step-000000001.safetensors")
        with pytest.raises(ScalebedError, match=r"000002\.safetensors: .*Input/output error"):
            state.newest()
        assert unread.exists()


def test_a_temporary_file_left_by_a_kill_is_no_checkpoint(tmp_path, caplog):
    with open_state(tmp_path / "s") as state:
        save_steps(state, 1)
        (state.path / ".step-000000002.safetensors.abc").write_bytes(b"half")
        (state.path / "step-000000002.sha256").write_text("0" * 64)
        assert state.newest().step == 1
        assert not caplog.text


def test_one_state_has_one_trainer(tmp_path):
    path = tmp_path / "dataset=d" / "seed=0" / "digest"
    with open_state(path) as state:
        second = open_state(path)
        with pytest.raises(ScalebedError, match="another process is training this cell"):
            second.__enter__()
        assert state.count_attempt() == 1
    with open_state(path) as state:
        assert state.count_attempt() == 2
        state.discard()
    assert not path.exists()


def test_a_lock_on_a_removed_folder_does_not_count(tmp_path):
    path = tmp_path / "digest"
    path.mkdir()
    with (path / "lock").open("w") as old:
        fcntl.flock(old, fcntl.LOCK_EX)
        (path / "lock").unlink()
        with open_state(path):
            assert (path / "lock").exists()


def test_devices_are_claimed_one_by_one(tmp_path):
    first, lock = claim(2, tmp_path / "devices")
    second, other = claim(2, tmp_path / "devices")
    assert (first, second) == (0, 1)
    with pytest.raises(ScalebedError, match="all 2 CUDA devices are taken"):
        claim(2, tmp_path / "devices")
    lock.close()
    again, third = claim(2, tmp_path / "devices")
    assert again == 0
    third.close()
    other.close()


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has the device")
def test_a_device_that_is_not_there_is_named(tmp_path):
    assert choose_device("auto", tmp_path) == (torch.device("cpu"), None)
    for wanted, message in (("tpu9", "--device is 'tpu9'"), ("cuda", "has 0 CUDA devices")):
        with pytest.raises(ScalebedError, match=message):
            choose_device(wanted, tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"micro_sequences": 3}, "micro_sequences 3 does not divide batch_sequences 4"),
        ({"lr": 0.0}, "recipe.lr is 0.0"),
        ({"precision": "fp8"}, "recipe.precision is 'fp8'"),
        ({"backend": "jax"}, "recipe.backend is 'jax'"),
    ],
)
def test_impossible_recipes_are_refused(change, message):
    with pytest.raises(CellFailure, match=message):
        Recipe.from_record(RECIPE | change)


def test_garbled_params_are_refused():
    for record, message in (
        ({**RECIPE, "momentum": 0.9}, "recipe.momentum is not a value"),
        ({k: v for k, v in RECIPE.items() if k != "lr"}, "recipe.lr is missing"),
    ):
        with pytest.raises(ScalebedError, match=message):
            Recipe.from_record(record)
    for params, message in (
        ([], "--params is a JSON list"),
        ({}, "--params has no key 'cell'"),
    ):
        with pytest.raises(ScalebedError, match=message):
            check_params(params)


def test_calibration_measures_real_steps():
    seconds = step_seconds(MODEL, RECIPE, seconds=0.05)
    assert 0 < seconds < 10
