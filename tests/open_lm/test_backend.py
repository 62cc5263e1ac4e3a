"""Cells trained by the real open_lm, from parameters to records."""

import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
import torch
from real import cell_params, needs_open_lm, train
from training_cells import make_dataset, start_training

from scalebed.core.errors import ScalebedError
from scalebed.core.files import read_json, sha256_file, write_json
from scalebed.core.provenance import state_digest
from scalebed.data.sequences import SequenceSource
from scalebed.evaluate.losses import evaluate_losses
from scalebed.model import Decoder, ModelConfig, initialise
from scalebed.train.interrupt import Stop
from scalebed.train.job import Job, Options
from scalebed.train.open_lm import command, convert, shards
from scalebed.train.open_lm.events import Events
from scalebed.train.open_lm.published import convert_cell
from scalebed.train.params import Recipe, check_params

pytestmark = [pytest.mark.open_lm, needs_open_lm]

STEPS = 400


def curve(folder: Path) -> dict[str, np.ndarray]:
    table = pyarrow.parquet.read_table(folder / "curve.parquet")
    return {name: table[name].to_numpy(zero_copy_only=False) for name in table.column_names}


def objective(ours: dict[str, np.ndarray]) -> np.ndarray:
    """Return what open_lm reports as the loss: cross-entropy and z-loss together."""
    return ours["loss"] + ours["z_loss"]


@pytest.fixture(scope="module")
def pair(tmp_path_factory) -> Path:
    """The same steps trained by both backends."""
    root = tmp_path_factory.mktemp("pair")
    dataset = make_dataset(root, 120_000)
    for backend in ("torch", "open_lm"):
        record = train(root, cell_params(steps=STEPS, backend=backend), dataset, backend)
        assert record["status"] == "done", record["reason"]
    return root


def test_400_steps_on_the_same_batches_give_the_same_losses(pair):
    ours, theirs = curve(pair / "torch"), curve(pair / "open_lm")
    difference = np.abs(objective(ours) - theirs["loss"])
    print(f"largest difference of the objective in {STEPS} steps: {difference.max():.1e} nats")
    assert len(difference) == STEPS
    assert difference.max() < 1e-3
    assert ours["loss"][-1] < ours["loss"][0] - 0.5  # there was something to learn


def test_other_batches_would_have_been_noticed(pair, tmp_path):
    dataset = pair / "datasets" / "d" / "manifest.json"
    train(tmp_path, cell_params(steps=STEPS, seed=1), dataset, "other")
    difference = np.abs(objective(curve(tmp_path / "other")) - curve(pair / "open_lm")["loss"])
    assert np.median(difference) > 1e-2


def test_its_cell_has_the_same_files_and_keys(pair):
    files = [sorted(path.name for path in (pair / name).iterdir()) for name in ("torch", "open_lm")]
    assert files[0] == files[1]
    ours, theirs = (read_json(pair / name / "metrics.json") for name in ("torch", "open_lm"))
    assert ours.keys() == theirs.keys()
    assert theirs["backend"] == "open_lm"
    assert theirs["weights_sha256"] == sha256_file(pair / "open_lm" / "model.safetensors")
    assert theirs["curve_rows"] == STEPS
    assert 0 < theirs["seconds"] < theirs["wall_seconds"]
    assert abs(theirs["train_loss"] - ours["train_loss"]) < 0.01
    assert read_json(pair / "torch" / "model.json") == read_json(pair / "open_lm" / "model.json")
    columns = curve(pair / "open_lm")
    assert np.allclose(columns["lr"], curve(pair / "torch")["lr"])
    for unknown in ("z_loss", "grad_norm"):
        table = pyarrow.parquet.read_table(pair / "open_lm" / "curve.parquet")
        assert table[unknown].null_count == STEPS
    assert not list((pair / "state").rglob("*.pt"))


def test_its_cell_is_evaluated_like_any_other(pair):
    params = {"sets": {"c": {"split": "train", "max_tokens": 4000}}}
    params |= {"resamples": 100, "seed": 0, "numerics": 1}
    losses = {}
    for name in ("torch", "open_lm"):
        out = pair / name / "losses.json"
        texts = {"c": pair / "tokens" / "t" / "c" / "manifest.json"}
        evaluate_losses(pair / name / "metrics.json", texts, params, out)
        losses[name] = read_json(out)["losses"]["c"]["loss"]
        out.unlink()
    assert abs(losses["torch"] - losses["open_lm"]) < 1e-3


def newest_epoch(state: Path) -> int:
    """Return the last epoch that has its checkpoint and its statistics."""
    return max((int(path.stem.partition("_")[2]) for path in state.rglob("stats_*.pt")), default=0)


def wait_for_epoch(state: Path, epoch: int, process: "subprocess.Popen[str]") -> None:
    end = time.monotonic() + 240
    while newest_epoch(state) < epoch:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end, "no checkpoint came"
        time.sleep(0.01)


def test_stopped_midway_it_goes_on_and_ends_with_the_same_weights(pair, tmp_path):
    params = cell_params(steps=STEPS, backend="open_lm")
    dataset, state = pair / "datasets" / "d" / "manifest.json", tmp_path / "state"
    digest = state_digest(params, sha256_file(dataset))
    # The first of eight epochs may end before anybody looks.
    for number, more in ((signal.SIGTERM, 2), (signal.SIGKILL, 1)):
        epoch = newest_epoch(state) + more
        process = start_training(tmp_path, params, dataset, "out/metrics.json")
        wait_for_epoch(state, epoch, process)
        process.send_signal(number)
        err = process.communicate()[1]
        if number == signal.SIGTERM:
            assert process.returncode == 75, err
            assert "SIGTERM: open_lm's last checkpoint is after step" in err
        else:
            assert "resuming after step" in err
        assert not (tmp_path / "out").exists()
        assert list(state.rglob(digest))
    process = start_training(tmp_path, params, dataset, "out/metrics.json")
    err = process.communicate()[1]
    assert process.returncode == 0, err
    assert "resuming after step" in err
    record, expected = (
        read_json(folder / "metrics.json") for folder in (tmp_path / "out", pair / "open_lm")
    )
    assert record["attempts"] == 3
    assert record["weights_sha256"] == expected["weights_sha256"]
    assert np.array_equal(curve(tmp_path / "out")["loss"], curve(pair / "open_lm")["loss"])
    assert not list(state.rglob("*.pt"))


def test_a_loss_that_is_not_finite_is_divergence(tmp_path):
    params = cell_params(steps=50, backend="open_lm", lr=1e30, lr_end=1e30)
    record = train(tmp_path, params, make_dataset(tmp_path, 60_000), "cell")
    assert record["status"] == "diverged"
    assert "is not finite" in record["reason"]
    assert 0 < record["curve_rows"] < 50
    assert not (tmp_path / "cell" / "model.safetensors").exists()


def test_two_ranks_see_our_batches(tmp_path):
    """open_lm saves no checkpoint of two processes without a GPU, so one epoch is looked at."""
    params, dataset = cell_params(steps=20), make_dataset(tmp_path, 60_000)
    train(tmp_path, params, dataset, "torch")
    layout = shards.Layout(steps=20, batch_sequences=8, ranks=2, epochs=1, epoch_steps=20)
    done = run_open_lm(tmp_path / "run", params, dataset, layout, "--dist-backend", "gloo")
    assert "save_checkpoint" in done.stderr or done.returncode == 0, done.stderr[-3000:]
    events = Events(tmp_path / "run" / command.LOGS / command.RUN / "tensorboard")
    events.read()
    theirs = events.curve()[:, 0].numpy()
    assert len(theirs) == 20
    assert np.abs(theirs - objective(curve(tmp_path / "torch"))).max() < 1e-3


def test_its_checkpoint_becomes_the_same_cell_as_its_training(tmp_path):
    params, dataset = cell_params(steps=20, backend="open_lm"), make_dataset(tmp_path, 60_000)
    expected = train(tmp_path, params, dataset, "trained")
    layout = shards.make_layout(1000, 1000, 20, 8, 1)
    done = run_open_lm(tmp_path / "run", params, dataset, layout)
    assert done.returncode == 0, done.stderr[-3000:]
    (path,) = (tmp_path / "run").rglob("epoch_*.pt")
    assert (path.parents[1] / "params.txt").is_file()
    tokenizer = tmp_path / "tokenizer.json"
    write_json(tokenizer, {"kind": "tokenizer", "tokenizer": "t", "vocab": 64})
    out = tmp_path / "taken" / "metrics.json"
    convert_cell(params | {"checkpoint": str(path)}, tokenizer, out)
    assert read_json(out)["weights_sha256"] == expected["weights_sha256"]
    # Its arguments lie one folder above, and are read.
    other = params | {"model": params["model"] | {"qk_norm": False}, "checkpoint": str(path)}
    with pytest.raises(ScalebedError, match="k_norm"):
        convert_cell(other, tokenizer, out)


def run_open_lm(
    folder: Path, params: dict, dataset: Path, layout: shards.Layout, *more: str
) -> "subprocess.CompletedProcess[str]":
    """Run open_lm as the backend does, and keep what it leaves."""
    cell, recipe = check_params(params), Recipe.from_record(params["recipe"])
    config = ModelConfig.from_record(params["model"])
    job = Job(params, cell, config, recipe, dataset, read_json(dataset), Options())
    source = SequenceSource(dataset, config.context, 0)
    shards.write_shards(folder / command.SHARDS, source, layout, 0, Stop())
    write_json(folder / command.MODEL, convert.model_json(config))
    model = Decoder(config)
    initialise(model, 0)
    weights = convert.to_open_lm(model.state_dict(), config)
    torch.save({"epoch": 0, "step": 0, "state_dict": weights}, folder / command.INITIAL)
    words = command.launcher(layout.ranks) + command.arguments(job, layout, "cuda")
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [*words, *more],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
