"""Cells taken from checkpoints in open_lm's format."""

import json
from pathlib import Path

import pyarrow.parquet
import pytest
import torch
from evaluation_cells import CONTEXT, VOCAB, World
from small_study import study_values

from scalebed.commands.cli import main
from scalebed.core.cells import Cell
from scalebed.core.errors import ScalebedError
from scalebed.core.files import read_json, sha256_file
from scalebed.evaluate.losses import evaluate_losses
from scalebed.model import Decoder, ModelConfig, initialise, load_model
from scalebed.plan import rule_params
from scalebed.study.trained import parse_study
from scalebed.train.open_lm import convert
from scalebed.train.open_lm.published import convert_cell

CONFIG = ModelConfig(width=16, layers=2, heads=2, vocab=VOCAB, context=CONTEXT)
CELL = Cell("blue", "small", 20, "published", 0)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"), items=10)


def study(**changes):
    values = study_values()
    values["datasets"]["blue"] = {"tokenizer": "bpe"}
    recipe = {"source": "checkpoint", "checkpoint": "/models/{dataset}/{size}-{ratio}.pt"}
    values["recipes"]["published"] = {"batch_sequences": 4, "warmup_steps": 10} | recipe | changes
    values["grid"][0] |= {"datasets": ["red", "mixed"], "recipes": ["base"]}
    values["add"] = [
        {"datasets": ["blue"], "sizes": ["small"], "ratios": [20], "recipes": ["published"]}
    ]
    return parse_study(values, "study.yaml")


def params(path: Path, config: ModelConfig = CONFIG) -> dict:
    spec = rule_params.cell(study(), CELL)
    return spec | {"checkpoint": str(path), "model": config.record()}


def write(path: Path, config: ModelConfig = CONFIG, seed: int = 5) -> Decoder:
    model = Decoder(config)
    initialise(model, seed)
    weights = convert.to_open_lm(model.state_dict(), config)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"epoch": 1, "state_dict": {f"module.{k}": v for k, v in weights.items()}}, path)
    return model


def test_a_study_names_checkpoints_by_coordinates():
    spec = rule_params.cell(study(), CELL)
    assert spec["checkpoint"] == "/models/blue/small-20.pt"
    assert spec["recipe"]["backend"] == "open_lm"
    other = rule_params.cell(study(), Cell("red", "small", 20, "base", 0))
    assert "checkpoint" not in other
    assert other["recipe"]["backend"] == "torch"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"checkpoint": None}, "recipes.published: checkpoint is needed with source: checkpoint"),
        ({"source": "training"}, "recipes.published: checkpoint is needed with source: checkpoint"),
        ({"checkpoint": "{width}.pt"}, "checkpoint is '{width}.pt', expected a path with no brace"),
        ({"checkpoint": "a{.pt"}, "checkpoint is 'a{.pt', expected a path with no braces but"),
        ({"source": "hub"}, "recipes.published.source: .*'training' or 'checkpoint'"),
    ],
)
def test_what_a_recipe_may_say_of_checkpoints(changes, message):
    with pytest.raises(ScalebedError, match=message):
        study(**changes)


def test_training_needs_text():
    values = study_values()
    del values["datasets"]["red"]["sources"]
    with pytest.raises(
        ScalebedError, match=r"datasets\.red\.sources is missing, but the recipe ba"
    ):
        parse_study(values, "study.yaml")


def test_a_checkpoint_becomes_a_cell_that_is_evaluated_as_any_other(world, tmp_path):
    path = tmp_path / "run" / "checkpoints" / "epoch_1.pt"
    model = write(path)
    out = tmp_path / "cell" / "metrics.json"
    words = ["convert-checkpoint", "--params", json.dumps(params(path))]
    assert main([*words, "--tokenizer", str(world.tokenizer), "--out", str(out)]) == 0
    record = read_json(out)
    assert record["status"] == "done"
    assert record["weights_sha256"] == sha256_file(out.parent / "model.safetensors")
    assert record["checkpoint"]["sha256"] == sha256_file(path)
    assert record["checkpoint"]["bytes"] == path.stat().st_size
    assert record["epochs"] is record["train_loss"] is record["dataset_sha256"] is None
    assert pyarrow.parquet.read_table(out.parent / "curve.parquet").num_rows == 0
    loaded, about = load_model(out.parent)
    assert about["tokenizer"] == "small"
    for name, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value)
    sets = {"sets": {"invented": {"split": "val", "max_tokens": 2000}}}
    losses = sets | {"resamples": 100, "seed": 0, "numerics": 1}
    evaluate_losses(out, {"invented": world.tokens}, losses, out.parent / "losses.json")
    found = read_json(out.parent / "losses.json")["losses"]["invented"]["loss"]
    assert 5 < found < 8  # ln 400 and a little more, untrained


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 32}, r"is not the checkpoint of this size: tok_embeddings\.weight has the shap"),
        ({"layers": 1}, r"is not the checkpoint of this size: it has layers\.1\."),
        ({"layers": 3}, r"is not the checkpoint of this size: it has no layers\.2\."),
        ({"qk_norm": False}, r"it has layers\.0\.attention\.k_norm\.weight, which our decoder has"),
        ({"heads": 4}, "is not that of heads 4 wide"),
        ({"vocab": 300}, "model.vocab is 300, but tokenizer small has token ids up to 399"),
    ],
)
def test_a_checkpoint_of_another_size_is_refused(world, tmp_path, change, message):
    path = tmp_path / "epoch_1.pt"
    write(path)
    wanted = params(path, ModelConfig(**CONFIG.record() | change))
    with pytest.raises(ScalebedError, match=message):
        convert_cell(wanted, world.tokenizer, tmp_path / "cell" / "metrics.json")
    assert not (tmp_path / "cell").exists()


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("params.txt", "model_norm: rms_norm\nqk_norm: True\n", "model_norm is 'rms_norm'"),
        ("params.txt", "positional_embedding_type: head_rotary\n", "'head_rotary', expected rota"),
        ("model.json", '{"context": 7}', None),  # a model JSON of somebody else
        ("model.json", "heads", "n_heads"),
    ],
)
def test_what_lies_beside_a_checkpoint_must_agree(world, tmp_path, file, text, message):
    path = tmp_path / "run" / "checkpoints" / "epoch_1.pt"
    write(path)
    if text == "heads":
        text = json.dumps(convert.model_json(CONFIG) | {"seq_len": 8})
        message = r"model\.json has context 8, but the study has 64"
    (tmp_path / "run" / file).write_text(text)
    out = tmp_path / "cell" / "metrics.json"
    if message is None:
        convert_cell(params(path), world.tokenizer, out)
        return
    with pytest.raises(ScalebedError, match=message):
        convert_cell(params(path), world.tokenizer, out)


def test_a_checkpoint_that_is_not_there_is_named(world, tmp_path):
    with pytest.raises(ScalebedError, match=r"cannot read .*nothing\.pt: No such file"):
        convert_cell(params(tmp_path / "nothing.pt"), world.tokenizer, tmp_path / "metrics.json")
