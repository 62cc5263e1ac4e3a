"""What of the open_lm backend needs no open_lm: conversion, shards, arguments, checkpoints."""

import gzip
import json
import os
import tarfile

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from training_cells import make_dataset, make_params

from scalebed.core.arithmetic import SIZE_TABLES
from scalebed.core.backends import installed, require, require_for
from scalebed.core.errors import ScalebedError
from scalebed.core.files import read_json
from scalebed.data.sequences import SequenceSource
from scalebed.model import Decoder, ModelConfig, initialise
from scalebed.train.cell import train_cell
from scalebed.train.interrupt import Interrupted, Stop
from scalebed.train.job import Job, Options
from scalebed.train.open_lm import checkpoint, command, convert, shards
from scalebed.train.params import CellFailure, Recipe, check_params

SMALL = ModelConfig(width=16, layers=2, heads=2, vocab=64, context=16)


def decoder(config: ModelConfig = SMALL) -> Decoder:
    model = Decoder(config)
    initialise(model, 0)
    return model


@pytest.mark.parametrize("qk_norm", [True, False])
def test_weights_go_to_open_lm_and_back_to_the_bit(qk_norm):
    config = ModelConfig(**SMALL.record() | {"qk_norm": qk_norm})
    ours = decoder(config).state_dict()
    theirs = convert.to_open_lm(ours, config)
    assert len(theirs) == len(ours) + config.layers  # the rotary frequencies
    assert theirs["layers.1.feed_forward.w12.weight"].shape == (512, 16)
    back = convert.from_open_lm(theirs, config)
    assert back.keys() == ours.keys()
    assert all(torch.equal(back[name], ours[name]) for name in ours)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("output.weight"), r"it has no output\.weight"),
        (lambda w: w.update({"norm.bias": torch.zeros(16)}), r"it has norm\.bias, which our"),
        (
            lambda w: w.update({"norm.weight": torch.ones(8)}),
            r"norm\.weight has the shape \(8,\), expected \(16,\)",
        ),
        (
            lambda w: w.update({"layers.0.attention.pos_embed.inv_freq": torch.ones(4)}),
            "is not that of heads 8 wide and base 10000",
        ),
    ],
)
def test_weights_of_another_architecture_are_refused(change, message):
    weights = convert.to_open_lm(decoder().state_dict(), SMALL)
    change(weights)
    with pytest.raises(ValueError, match=message):
        convert.from_open_lm(weights, SMALL)


@pytest.mark.parametrize("size", SIZE_TABLES["gadre2024"])
def test_the_sizes_of_the_paper_go_to_model_json_and_back(size):
    config = ModelConfig(**SIZE_TABLES["gadre2024"][size])
    known = {"model_norm": "gain_only_lp_layer_norm", "qk_norm": True}
    assert convert.model_config(convert.model_json(config) | known) == config


def test_what_either_side_cannot_express_is_refused_by_name():
    narrow = ModelConfig(**SMALL.record() | {"ffn_multiple": 8})
    with pytest.raises(ValueError, match=r"ffn_multiple is 8, which makes .* 48 wide, but open_lm"):
        convert.model_json(narrow)
    with pytest.raises(ValueError, match=r"rope_base is 5000"):
        convert.model_json(ModelConfig(**SMALL.record() | {"rope_base": 5000.0}))
    plain = convert.model_json(SMALL)
    with pytest.raises(ValueError, match="model_norm is 'default_layer_norm', expected gain_only"):
        convert.model_config(plain)
    known = plain | {"model_norm": "gain_only_lp_layer_norm"}
    for key, value in (
        *(("post_embed_norm", True), ("weight_tying", True), ("ffn_type", "gelu")),
        *(("positional_embedding_type", "head_rotary"), ("model_norm", "rms_norm")),
        *(("seq_len", "2048"), ("moe_freq", 2)),
    ):
        with pytest.raises(ValueError, match=f"{key} is {value!r}, expected"):
            convert.model_config(known | {key: value})


@given(st.integers(1, 10**6), st.integers(1, 2048), st.integers(0, 3), st.floats(1e15, 1e22))
def test_open_lm_is_told_the_right_number_of_steps(steps, per_rank, log_ranks, flops):
    ranks = 2**log_ranks
    layout = shards.make_layout(1000, round(flops / 6000), steps, per_rank * ranks, ranks)
    # As open_lm works it out of --train-num-samples, --epochs and --global-batch-size.
    assert layout.epoch_sequences * layout.epochs // layout.batch_sequences == steps
    # A shard of each rank is enough for an epoch, so open_lm takes no second one.
    assert layout.epoch_sequences <= layout.epoch_steps * layout.batch_sequences
    assert (layout.epochs - 1) * layout.epoch_steps < steps
    assert layout.epochs <= min(200, steps, layout.batch_sequences)


def test_a_batch_that_ranks_cannot_share_is_refused():
    with pytest.raises(ScalebedError, match="3 ranks do not divide"):
        shards.make_layout(1000, 1000, 10, 8, 3)


@pytest.mark.parametrize("ranks", [1, 2])
def test_shards_hold_our_batches_in_the_order_open_lm_takes_them(tmp_path, ranks):
    source = SequenceSource(make_dataset(tmp_path, 20_000), 16, 0)
    layout = shards.make_layout(1000, 1000, 23, 8, ranks)
    assert (layout.epochs, layout.epoch_steps) == (8, 3)
    shards.write_shards(tmp_path / "shards", source, layout, 5, Stop())
    lines = (tmp_path / "shards" / shards.MANIFEST).read_text().splitlines()
    manifest = [json.loads(line) for line in lines]
    np.random.default_rng(5).shuffle(manifest)  # what open_lm does first
    for epoch in range(layout.epochs):
        taken = [read_shard(tmp_path, line) for line in manifest[epoch * ranks :][:ranks]]
        for step in range(epoch * 3, min(23, epoch * 3 + 3)):
            rows = 8 // ranks
            start = (step - epoch * 3) * rows
            batch = [row for shard in taken for row in shard[start : start + rows]]
            assert batch == source.batch(step, 8).tolist()


def read_shard(root, line):
    path = root / "shards" / f"{line['shard']}.tar"
    with tarfile.open(path) as tar:
        rows = [json.loads(gzip.decompress(tar.extractfile(entry).read())) for entry in tar]
    assert len(rows) == line["num_sequences"]
    return rows


def test_shards_are_the_same_bytes_twice_and_whole_ones_are_kept(tmp_path):
    source = SequenceSource(make_dataset(tmp_path, 20_000), 16, 0)
    layout = shards.make_layout(1000, 1000, 23, 8, 1)
    for name in "ab":
        shards.write_shards(tmp_path / name, source, layout, 0, Stop())
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert len(files) == 9
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "a").glob("*.tar")}
    stop = Stop()
    stop.signal = "SIGTERM"
    shards.write_shards(tmp_path / "a", source, layout, 0, stop)  # nothing is left to stop at
    assert before == {path: path.stat().st_mtime_ns for path in before}
    with pytest.raises(Interrupted, match="SIGTERM"):
        shards.write_shards(tmp_path / "c", source, layout, 0, stop)
    assert not list((tmp_path / "c").iterdir())


def job(**changes) -> Job:
    params = make_params(**{"ffn_multiple": 256, "batch_sequences": 8} | changes)
    config = ModelConfig.from_record(params["model"])
    recipe = Recipe.from_record(params["recipe"])
    return Job(params, check_params(params), config, recipe, None, {}, Options())


def values(words: list[str]) -> dict[str, str]:
    pairs = zip(words, [*words[1:], "--"], strict=True)
    return {
        word: "" if after.startswith("--") else after for word, after in pairs if word[:2] == "--"
    }


def test_arguments_are_those_of_the_paper():
    changes = {"lr": 3e-3, "lr_end": 3e-5, "warmup_steps": 2000, "precision": "bf16"}
    cell = job(steps=4000, batch_sequences=512, micro_sequences=8, seed=124, **changes)
    layout = shards.make_layout(411_616_256, 8_232_325_120, 4000, 512, 8)
    words = command.arguments(cell, layout, "cuda")
    found = values(words)
    expected = {
        # open_lm_args of the 411M model at M = 20 in the published testbed, on eight ranks.
        "--precision": "amp_bfloat16",
        "--global-batch-size": "512",
        "--grad-clip-norm": "1.0",
        "--lr": "0.003",
        "--warmup": "2000",
        "--beta2": "0.95",
        "--resume": "latest",
        "--seed": "124",
        "--accum-freq": "8",
        "--model-norm": "gain_only_lp_layer_norm",
        "--lr-cooldown-end": "3e-05",
        "--delete-previous-checkpoint": "",
        "--fsdp": "",
        "--fsdp-amp": "",
        "--qk-norm": "",
        "--z-loss-coefficient": "0.0001",
    }
    assert expected.items() <= found.items()
    # The paper's 0.033 is 1e-4 / 3e-3 in short.
    assert float(found["--wd"]) == pytest.approx(0.033, rel=0.02)
    steps = int(found["--train-num-samples"]) // 16 * int(found["--epochs"]) // 512
    assert steps == 4000


def test_one_process_needs_no_torchrun_and_more_need_a_gpu():
    assert "torch.distributed.run" not in command.launcher(1)
    assert command.launcher(2)[1:5] == [
        *("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    ]
    one, two = (shards.make_layout(1000, 1000, 10, 8, ranks) for ranks in (1, 2))
    assert "--fsdp" not in command.arguments(job(), one, "cuda")
    with pytest.raises(ScalebedError, match="--ranks is 2, but open_lm trains in a single process"):
        command.arguments(job(), two, "cpu")
    three = shards.make_layout(1000, 1000, 10, 12, 3)
    with pytest.raises(CellFailure, match="micro_sequences 3 does not divide the 4 sequences"):
        command.arguments(job(batch_sequences=12, micro_sequences=3), three, "cuda")


class Evil:
    def __reduce__(self):
        return os.system, ("true",)


def test_a_checkpoint_that_could_run_code_is_refused(tmp_path):
    path = tmp_path / "epoch_1.pt"
    torch.save({"state_dict": {}, "evaluation_metrics": Evil()}, path)
    with pytest.raises(ScalebedError, match=r"can be read safely: it holds a \S*system"):
        checkpoint.read(path)


def test_checkpoints_are_read_with_prefixes_and_numpy_numbers(tmp_path):
    path = tmp_path / "epoch_1.pt"
    weight = torch.ones(3)
    metrics = [{"loss": np.float64(2.5), "tokens": np.int64(7)}]
    for prefix in ("module.", "_orig_mod.", "module._orig_mod.", ""):
        torch.save(
            {"epoch": 1, "state_dict": {f"{prefix}norm.weight": weight}} | {"m": metrics}, path
        )
        content = checkpoint.read(path)
        assert content["m"] == metrics
        assert list(checkpoint.state_dict(content, path)) == ["norm.weight"]
    torch.save({"norm.weight": weight}, path)  # bare weights
    assert list(checkpoint.state_dict(checkpoint.read(path), path)) == ["norm.weight"]


def test_broken_checkpoints_are_said_to_be_so(tmp_path):
    path = tmp_path / "epoch_1.pt"
    with pytest.raises(ScalebedError, match="cannot read"):
        checkpoint.read(path)
    torch.save({"state_dict": {"a": torch.ones(1000)}}, path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ScalebedError, match=r"epoch_1\.pt is not a whole checkpoint"):
        checkpoint.read(path)
    torch.save([1], path)
    with pytest.raises(ScalebedError, match="holds a list, expected a dictionary"):
        checkpoint.read(path)
    torch.save({"state_dict": {"a": 3}}, path)
    with pytest.raises(ScalebedError, match="has no state_dict of tensors"):
        checkpoint.state_dict(checkpoint.read(path), path)


def test_a_checkpoint_that_was_interrupted_is_removed(tmp_path):
    assert checkpoint.newest(tmp_path) is None
    for number, parts in ((9, ("epoch", "optimizer", "stats")), (10, ("epoch", "optimizer"))):
        for part in parts:
            torch.save({"step": number}, tmp_path / f"{part}_{number}.pt")
    assert checkpoint.newest(tmp_path) == 9
    assert not list(tmp_path.glob("*_10.pt"))
    broken = tmp_path / "optimizer_9.pt"
    broken.write_bytes(broken.read_bytes()[:-50])
    assert checkpoint.newest(tmp_path) is None
    assert not list(tmp_path.iterdir())


@pytest.fixture
def missing(monkeypatch):
    """Have no package be found, as where open_lm is not installed."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)


def test_without_open_lm_a_cell_says_how_to_install_it_and_leaves_nothing(tmp_path, missing):
    dataset = make_dataset(tmp_path)
    params = make_params(ffn_multiple=256, backend="open_lm")
    out = tmp_path / "cell" / "metrics.json"
    with pytest.raises(ScalebedError, match=r"install it with: requirements/open_lm\.sh"):
        train_cell(params, dataset, out, Options(state=tmp_path / "state", device="cpu"))
    assert not out.exists()


def test_without_open_lm_only_cells_that_are_not_trained_yet_ask_for_it(tmp_path, missing):
    spec = make_params(backend="open_lm")
    require("torch")
    with pytest.raises(ScalebedError, match="the backend open_lm is not installed"):
        require_for({"a": spec}, tmp_path)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "metrics.json").write_text("{}")
    require_for({"a": spec, "b": make_params(), "c": spec | {"checkpoint": "x.pt"}}, tmp_path)


def test_an_architecture_open_lm_has_not_is_a_failed_cell(tmp_path):
    if not installed("open_lm"):
        pytest.skip("open_lm is not installed (requirements/open_lm.sh installs it)")
    out = tmp_path / "cell" / "metrics.json"
    params = make_params(backend="open_lm")
    options = Options(state=tmp_path / "state", device="cpu")
    assert train_cell(params, make_dataset(tmp_path), out, options) == "failed"
    assert "ffn_multiple is 8" in read_json(out)["reason"]
