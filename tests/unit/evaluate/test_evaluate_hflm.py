"""Our adapter against lm-eval's own HFLM around the same model: the same result for every item.

Around our decoder as transformers sees it, and around the folder that it is exported to.
"""

import functools
import json
import re
import shutil
from pathlib import Path

import pytest
from evaluation_cells import TASKS, World

pytest.importorskip("transformers", reason="HFLM needs transformers, which is not installed")
pytest.importorskip("accelerate", reason="HFLM needs accelerate, which is not installed")

import numpy as np
import torch
import transformers
from hflm import hflm
from lm_eval.api.instance import Instance
from lm_eval.evaluator import evaluate
from lm_eval.models.huggingface import HFLM
from served_hub import served_hub
from training_cells import make_params

from scalebed.commands.cli import main
from scalebed.core import arithmetic
from scalebed.core.cells import Cell
from scalebed.core.files import read_json, sha256_file, write_json
from scalebed.data.tokenizer import load_tokenizer
from scalebed.evaluate.export import export_cell
from scalebed.evaluate.lm_eval_model import CellLM
from scalebed.evaluate.loading import load_local, read_items
from scalebed.model import Decoder, ModelConfig, initialise, load_model, save_model


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return World(tmp_path_factory.mktemp("world"), items=40)


def samples(lm, world, names):
    """Return lm-eval's record of every item of some tasks."""
    items = {name: read_items(world.suite, name)[0] for name in names}
    tasks = load_local(items, None)
    return evaluate(lm, {"tasks": tasks}, bootstrap_iters=0, log_samples=True)["samples"]


@pytest.fixture(scope="module", params=["fresh", "trained"])
def scored(request, world):
    """Return a model and our record of every item."""
    model, _ = load_model(getattr(world, request.param).parent)
    return model, samples(CellLM(model, load_tokenizer(world.tokenizer)), world, TASKS)


@pytest.mark.filterwarnings("default")  # transformers' own
@pytest.mark.parametrize("batch_size", [1, 16])
def test_every_item_scores_as_with_the_wrapper_of_lm_eval(scored, batch_size, world):
    model, ours = scored
    theirs = samples(hflm(model, world.tokenizer, batch_size), world, TASKS)
    cut = 0
    for name in TASKS:
        assert len(ours[name]) == len(theirs[name]) == 40
        for mine, other in zip(ours[name], theirs[name], strict=True):
            assert mine["doc_id"] == other["doc_id"]
            a, b = (np.array([float(r[0][0]) for r in one["resps"]]) for one in (mine, other))
            np.testing.assert_allclose(a, b, atol=1e-4, rtol=0)
            assert [r[0][1] for r in mine["resps"]] == [r[0][1] for r in other["resps"]]
            # The best two choices further apart than rounding: else either may win.
            close = np.diff(np.sort(a)[-2:])[0] < 2e-4
            assert close or mine["acc"] == other["acc"]
            cut += close
    assert cut <= 2


TEXTS = ("It was <|endoftext|>  on the\n\tnorth, d\u00e4\u00df", " x", "", "  a \u4f60\u597d")


class Results:
    """Results of a study as an export finds them, with cells of the world in them."""

    def __init__(self, root: Path, world: World) -> None:
        self.root = root
        shutil.copytree(world.tokenizer.parent, root / "tokenizers" / "small")
        corpus = {"kind": "corpus", "licence": "CC0-1.0", "credit": "nobody"}
        write_json(root / "corpora" / "invented" / "manifest.json", corpus)
        sources = {"sources": [{"corpus": "invented", "weight": 2.0}]}
        write_json(root / "datasets" / "invented" / "manifest.json", sources)
        self.trained = self.cell(load_model(world.trained.parent)[0], 10)
        config = ModelConfig(
            **{**load_model(world.trained.parent)[0].config.record(), "qk_norm": False}
        )
        plain = Decoder(config)
        initialise(plain, seed=3)
        self.plain = self.cell(plain, 20)

    def cell(self, model: Decoder, ratio: int) -> Path:
        """Write a finished cell; return its folder."""
        cell = Cell("invented", "s", ratio, "base", 4)
        folder = self.root / "cells" / cell.path
        save_model(folder, model, {"tokenizer": "small", "dataset": "invented"})
        params = make_params() | {"model": model.config.record()}
        counts = arithmetic.count_params(model.config)
        write_json(
            folder / "metrics.json",
            {"cell": cell._asdict(), "status": "done", "reason": None, "params": params}
            | {"counts": {"params": counts.total}, "tokens": 12345, "token_multiplier": 1.25}
            | {"flops": 6e9, "backend": "torch", "precision": "fp32", "run": {"scalebed": "0.1.0"}}
            | {"weights_sha256": sha256_file(folder / "model.safetensors")},
        )
        loss = {"loss": 1.2345, "loss_sequences_lower": 1.2, "loss_sequences_upper": 1.3}
        losses = {"invented": loss | {"bits_per_byte": 0.5}}
        write_json(folder / "losses.json", {"losses": losses})
        return folder


@pytest.fixture(scope="module")
def results(world, tmp_path_factory) -> Results:
    return Results(tmp_path_factory.mktemp("exports") / "results", world)


@pytest.mark.filterwarnings("default")  # transformers' own
@pytest.mark.parametrize(
    ("name", "made"), [("trained", "OlmoeForCausalLM"), ("plain", "LlamaForCausalLM")]
)
def test_transformers_loads_an_exported_cell_with_the_same_logits_and_ids(
    name, made, results, tmp_path
):
    cell = getattr(results, name)
    assert export_cell(cell, tmp_path / "model") == made
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "model").eval()
    assert type(theirs).__name__ == made
    assert theirs.dtype == torch.float32
    model, _ = load_model(cell)
    shape = (8, model.config.context)
    tokens = torch.randint(model.config.vocab, shape, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        ours = model(tokens)
        torch.testing.assert_close(theirs(tokens).logits, ours, atol=1e-5, rtol=0)
    assert ours.std() > 0.5
    words = transformers.AutoTokenizer.from_pretrained(tmp_path / "model")
    tokenizer = load_tokenizer(results.root / "tokenizers" / "small" / "manifest.json")
    assert words(list(TEXTS))["input_ids"] == [
        ids.tolist() for ids in tokenizer.encode_batch(TEXTS)
    ]
    assert words.bos_token_id == words.eos_token_id == tokenizer.eot
    assert words.decode(words(TEXTS[0])["input_ids"]) == TEXTS[0]


@pytest.mark.filterwarnings("default")  # transformers' own
def test_lm_eval_scores_the_exported_folder_as_our_wrapper_scores_the_cell(results, tmp_path):
    export_cell(results.trained, tmp_path / "model")
    theirs = HFLM(pretrained=str(tmp_path / "model"), device="cpu", batch_size=2)
    tokenizer = load_tokenizer(results.root / "tokenizers" / "small" / "manifest.json")
    ours = CellLM(load_model(results.trained)[0], tokenizer)
    asked = [
        Instance("loglikelihood", {}, pair, number, task_name="t", doc_id=number)
        for number, pair in enumerate([("", " Many"), ("It was on the", " north"), ("A b ", "c")])
    ]
    for mine, other in zip(
        ours.loglikelihood(asked), theirs.loglikelihood(asked, disable_tqdm=True), strict=True
    ):
        assert mine[0] == pytest.approx(other[0], abs=1e-5)
        assert mine[1] == other[1]


def test_the_verb_finds_a_cell_by_its_name_and_writes_a_card(results, tmp_path, capsys):
    words = ["--results", str(results.root)]
    assert main(["export", "invented/s/10", "--to", str(tmp_path / "a"), *words]) == 0
    assert "seed=4 is OlmoeForCausalLM in" in capsys.readouterr().out
    text = (tmp_path / "a" / "README.md").read_text()
    for part in ("| 12,345 |", "| invented | 1.2345 | 1.2000 to 1.3000 | 0.5000 |", "| seed | 4 |"):
        assert part in text
    assert "invented, 100% of the tokens; licence: CC0-1.0. nobody" in text
    table = results.root / "studies" / "tiny" / "cells.tsv"
    table.parent.mkdir(parents=True, exist_ok=True)
    table.write_text("dataset\tcell\ninvented\t" + Cell("invented", "s", 20, "base", 4).path + "\n")
    one = ["--study", "tiny", "--to", str(tmp_path / "b")]
    assert main(["export", "invented", *one, *words]) == 0
    assert read_json(tmp_path / "b" / "config.json")["model_type"] == "llama"


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("invented/s", "could be 2 cells of .*: dataset=invented/size=s/ratio=10/.*, dataset="),
        ("other/s", "is no folder of a cell and none of the 2 cells"),
        ("taken", "exists and is not an empty folder; nothing is overwritten"),
        ("failed", "has no model to export: failed: too little text"),
        ("altered", "is not what metrics.json beside it records: [0-9a-f]{64}"),
    ],
)
def test_what_cannot_be_exported_is_one_sentence(word, said, results, tmp_path, capsys):
    cell = shutil.copytree(results.plain, tmp_path / "cell")
    record = read_json(cell / "metrics.json")
    if word == "taken":
        (tmp_path / "to").mkdir()
        (tmp_path / "to" / "mine").touch()
    elif word == "failed":
        failed = {"status": "failed", "reason": "too little text", "weights_sha256": None}
        write_json(cell / "metrics.json", record | failed)
    elif word == "altered":
        with (cell / "model.safetensors").open("ab") as file:
            file.write(b"x")
    asked = word if "/" in word else str(cell)
    words = ["export", asked, "--to", str(tmp_path / "to"), "--results", str(results.root)]
    assert main(words) == 2
    error = capsys.readouterr().err
    assert re.search(said, error)
    assert error.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) in (["cell"], ["cell", "to"])


@pytest.fixture
def hub(monkeypatch):
    """Serve a hub to huggingface_hub; return what it is asked."""
    import huggingface_hub

    asked: list[tuple[str, bytes]] = []
    with served_hub(asked) as address:
        api = functools.partial(huggingface_hub.HfApi, endpoint=address, token="hf_x")
        monkeypatch.setattr("huggingface_hub.HfApi", api)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        yield asked


def test_an_exported_cell_is_pushed_in_one_commit(hub, results, tmp_path, capsys):
    words = ["--to", str(tmp_path / "m"), "--results", str(results.root), "--push", "me/m"]
    assert main(["export", "invented/s/10", *words]) == 0
    assert "pushed to https://huggingface.co/me/m/commit/1" in capsys.readouterr().out
    paths = [path.partition("?")[0] for path, _ in hub]
    assert paths[0] == "GET /api/whoami-v2"
    assert json.loads(dict(hub)["POST /api/repos/create"])["visibility"] == "private"
    (commit,) = [body for path, body in hub if "/commit/main" in path]
    sent = {
        row["value"]["path"] for row in map(json.loads, commit.splitlines()) if row["key"] == "file"
    }
    assert sent == {path.name for path in (tmp_path / "m").iterdir()}


@pytest.mark.parametrize(
    ("name", "token", "reason"),
    [
        ("me/m", "hf_x", "refused"),
        ("me/m", None, "[Tt]oken"),
        ("no such/na me", "hf_x", "Repo id must"),
    ],
)
def test_without_a_hub_nothing_is_exported_and_one_sentence_says_why(
    name, token, reason, results, tmp_path, capsys, monkeypatch
):
    import huggingface_hub

    api = functools.partial(huggingface_hub.HfApi, endpoint="http://127.0.0.1:1", token=token)
    monkeypatch.setattr("huggingface_hub.hf_api.get_token", lambda: None)
    monkeypatch.setattr("huggingface_hub.utils._headers.get_token", lambda: None)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.HfApi", api)
    words = ["--to", str(tmp_path / "m"), "--results", str(results.root), "--push", name]
    assert main(["export", "invented/s/10", *words]) == 2
    error = capsys.readouterr().err
    said = rf"cannot push to {name}, so nothing is exported or uploaded \(.*\): .*{reason}"
    assert re.search(said, error), error
    assert error.count("\n") == 1
    assert not (tmp_path / "m").exists()
