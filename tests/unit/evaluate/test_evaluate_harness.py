import json
import math
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lm_eval.tasks
import numpy as np
import pytest
import yaml
from evaluation_cells import TASKS, World
from test_evaluate_scoring import naive, pairs_of

from scalebed.core.errors import ScalebedError
from scalebed.core.files import read_json
from scalebed.data.tokenizer import load_tokenizer
from scalebed.evaluate.digests import read_table, suite_digests
from scalebed.evaluate.encoding import encode_pairs
from scalebed.evaluate.loading import load_published, read_items
from scalebed.evaluate.suites import BUILDERS
from scalebed.evaluate.tasks import evaluate_tasks
from scalebed.model import load_model

TABLE = Path(__file__).parents[3] / "config" / "tasks" / "gadre2024.yaml"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"), items=120)


@pytest.fixture(autouse=True)
def restore_environment() -> Any:
    # Evaluating local tasks takes the process offline for good, as a job should be.
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


def params(tasks: list[str], limit: int | None = None) -> dict[str, Any]:
    return {"suite": {"tasks": suite_digests(tasks), "limit": limit}, "numerics": 1}


def evaluate(world: World, cell: Path, folder: Path, spec: dict[str, Any]) -> dict[str, Any]:
    out = folder / "tasks.json"
    evaluate_tasks(cell, world.tokenizer, spec, out, world.suite, folder / "state")
    return dict(read_json(out))


def test_a_model_that_learned_nothing_guesses(world: World, tmp_path: Path) -> None:
    record = evaluate(world, world.fresh, tmp_path, params(TASKS))
    assert set(record["tasks"]) == set(TASKS)
    for name, result in record["tasks"].items():
        chance = 1 - 1 / BUILDERS[name].choices
        assert result["chance_error"] == pytest.approx(chance)
        assert result["items"] == 120
        spread = math.sqrt(chance * (1 - chance) / 120)
        assert abs(result["error"] - chance) < 3.5 * spread, name
        assert abs(result["soft_error"] - chance) < 3.5 * spread, name


def test_errors_are_those_of_a_naive_computation(world: World, tmp_path: Path) -> None:
    tasks = ["agree2", "function5"]
    record = evaluate(world, world.trained, tmp_path, params(tasks))
    model, _ = load_model(world.trained.parent)
    tokenizer = load_tokenizer(world.tokenizer)
    for name in tasks:
        items, _ = read_items(world.suite, name)
        requests = iter(encode_pairs(tokenizer, pairs_of(world, name)))
        right, soft = [], []
        for item in items:
            scores = []
            for _choice in item["choices"]:
                request = next(requests)
                scores.append(naive(model, list(request.context), list(request.continuation))[0])
            right.append(int(np.argmax(scores)) == item["gold"])
            weights = np.exp(np.array(scores) - max(scores))
            soft.append(weights[item["gold"]] / weights.sum())
        result = record["tasks"][name]
        error = 1 - np.mean(right)
        assert result["error"] == pytest.approx(error)
        assert result["error_stderr"] == pytest.approx(math.sqrt(error * (1 - error) / 120))
        assert result["soft_error"] == pytest.approx(1 - np.mean(soft), abs=1e-5)
        assert result["soft_error_stderr"] == pytest.approx(np.std(soft) / math.sqrt(120), abs=1e-5)
        # Sixty steps on this language are enough to see its grammar.
        assert result["error"] < result["chance_error"] - 0.1


def test_nothing_is_evaluated_twice(world: World, tmp_path: Path) -> None:
    cell = world.cell("twice", steps=3)
    first = evaluate(world, cell, tmp_path, params(["swap2", "agree2"]))
    (cell.parent / "model.safetensors").unlink()
    again = evaluate(world, cell, tmp_path, params(["swap2", "agree2"]))
    assert again["tasks"] == first["tasks"]
    # Another task, an edited task file, fewer items: each needs the weights again.
    edited = params(["swap2", "agree2"])
    edited["suite"]["tasks"]["swap2"]["digest"] = "0" * 16
    for spec in (params(["swap2", "order4"]), edited, params(["swap2"], limit=10)):
        record = cell.read_text()
        with pytest.raises(ScalebedError, match=r"weights .* are missing"):
            evaluate(world, cell, tmp_path, spec)
        cell.write_text(record)


def test_results_do_not_depend_on_what_was_kept(world: World, tmp_path: Path) -> None:
    whole = evaluate(world, world.trained, tmp_path / "a", params(["phrase4", "swap2"]))
    evaluate(world, world.trained, tmp_path / "b", params(["phrase4"]))
    pieces = evaluate(world, world.trained, tmp_path / "b", params(["phrase4", "swap2"]))
    assert pieces["tasks"] == whole["tasks"]


def test_a_broken_kept_result_is_computed_again(
    world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = evaluate(world, world.fresh, tmp_path, params(["swap2"]))
    (kept,) = (tmp_path / "state" / "evaluations").glob("??/*.json")
    whole = kept.read_bytes()
    for broken in (whole[:40], b"[]", b"\xff\xfe", whole.replace(b"weights", b"feathers")):
        kept.write_bytes(broken)
        caplog.clear()
        assert evaluate(world, world.fresh, tmp_path, params(["swap2"]))["tasks"] == first["tasks"]
        assert "ignoring the kept evaluation" in caplog.text
        assert kept.read_bytes() == whole


def test_a_limit_takes_the_first_items(world: World, tmp_path: Path) -> None:
    record = evaluate(world, world.fresh, tmp_path, params(["swap2"], limit=7))
    assert record["tasks"]["swap2"]["items"] == 7


def test_a_cell_that_failed_has_no_errors(world: World, tmp_path: Path) -> None:
    cell = world.cell("failed", steps=0, status="failed")
    record = evaluate(world, cell, tmp_path, params(["swap2"]))
    assert record["tasks"] == {}
    assert record["status"] == "failed"


def test_altered_weights_are_refused(world: World, tmp_path: Path) -> None:
    cell = world.cell("altered", steps=0)
    weights = cell.parent / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    with pytest.raises(ScalebedError, match=r"model\.safetensors has SHA-256"):
        evaluate(world, cell, tmp_path, params(["swap2"]))
    assert not cell.exists()


def test_a_tokenizer_with_more_tokens_than_the_model_is_refused(
    world: World, tmp_path: Path
) -> None:
    cell = world.cell("narrow", steps=0, vocab=300)
    with pytest.raises(ScalebedError, match=r"has 400 tokens, but the model .* has only 300 rows"):
        evaluate(world, cell, tmp_path, params(["swap2"]))
    assert not (tmp_path / "tasks.json").exists()


def test_local_tasks_need_their_suite(world: World, tmp_path: Path) -> None:
    with pytest.raises(ScalebedError, match="name its suite by --suite"):
        evaluate_tasks(world.fresh, world.tokenizer, params(["swap2"]), tmp_path / "tasks.json")
    other = world.folder / "other" / "manifest.json"
    world.build(other, 5, ["agree2"])
    with pytest.raises(ScalebedError, match="has no task 'swap2'; it has agree2"):
        evaluate_tasks(
            world.fresh, world.tokenizer, params(["swap2"]), tmp_path / "tasks.json", other
        )


def _manager(*folders: str) -> Any:
    root = Path(lm_eval.tasks.__file__).parent
    return lm_eval.tasks.TaskManager(
        include_path=[str(root / folder) for folder in folders], include_defaults=False
    )


def test_an_unreachable_hub_and_an_unknown_task_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets.config

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    manager = _manager("piqa")
    with pytest.raises(ScalebedError, match=r"lm-eval task piqa \(is the hub reachable\?\): "):
        load_published("piqa", 10, manager)
    with pytest.raises(ScalebedError, match="'guess9' is neither a task file of scalebed nor"):
        load_published("guess9", None, manager)


class Shots:
    """As much of a task of lm-eval as its number of shots."""

    def __init__(self, shots: int | None) -> None:
        self.config = {"num_fewshot": shots}

    def get_config(self, key: str) -> int | None:
        return self.config[key]

    def set_config(self, key: str, value: int) -> None:
        self.config[key] = value

    def set_fewshot_seed(self, seed: int) -> None:
        self.config["seed"] = seed


@pytest.mark.parametrize(
    ("own", "asked", "found"),
    [(None, None, 0), (5, None, 5), (0, None, 0), (None, 3, 3), (5, 3, 3), (0, 3, 0)],
)
def test_shots_are_those_asked_for_else_those_of_the_task_else_none(
    own: int | None, asked: int | None, found: int
) -> None:
    task = Shots(own)
    manager = SimpleNamespace(all_tasks=["a"], load=lambda names: {"tasks": {"a": task}})
    assert load_published("a", asked, manager) == {"a": task}
    assert task.config == {"num_fewshot": found, "seed": 1234}


def test_an_lm_eval_task_by_name_runs_with_shots_and_its_own_metric(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A word-prediction task and a generating one, as published tasks come, from files."""
    items, _ = read_items(world.suite, "lastword5")
    rows = [{"text": i["query"], "word": i["choices"][i["gold"]].rstrip(".")} for i in items[:30]]
    data = tmp_path / "words.json"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    common = {
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(data)}, "cache_dir": str(tmp_path / "hf")},
        "test_split": "test",
        "doc_to_text": "text",
        "doc_to_target": "word",
        "metadata": {"version": 2},
    }
    scored = {"task": "predict", "output_type": "loglikelihood", "metric_list": [{"metric": "acc"}]}
    written = {
        "task": "write",
        "output_type": "generate_until",
        "generation_kwargs": {"until": ["."], "max_gen_toks": 6},
        "metric_list": [{"metric": "exact_match"}],
    }
    for task in (scored, written):
        (tmp_path / f"{task['task']}.yaml").write_text(yaml.safe_dump(common | task))
    manager = lm_eval.tasks.TaskManager(include_path=str(tmp_path), include_defaults=False)
    monkeypatch.setattr("lm_eval.tasks.TaskManager", lambda: manager)
    spec = params(["predict", "write"])
    spec["suite"]["tasks"]["predict"]["shots"] = 1
    spec["suite"]["tasks"]["write"] = None
    record = evaluate(world, world.trained, tmp_path, spec)
    predicted, generated = record["tasks"]["predict"], record["tasks"]["write"]
    assert predicted["items"] == generated["items"] == 30
    assert predicted["version"] == "2"
    assert predicted["chance_error"] == generated["chance_error"] == 1.0
    assert 0 < predicted["soft_error"] < 1
    assert generated["soft_error"] is None


def test_the_table_of_published_tasks_names_tasks_of_lm_eval() -> None:
    table = read_table(TABLE)
    assert len(table) == 46
    assert sum(entry["in_17"] for entry in table.values()) == 17
    assert np.mean([1 - entry["chance"] for entry in table.values()]) == pytest.approx(0.75)
    chosen = [1 - entry["chance"] for entry in table.values() if entry["in_17"]]
    assert np.mean(chosen) == pytest.approx(0.80882, abs=1e-5)
    names = {entry["lm_eval"] for entry in table.values()} - {None}
    folders = (
        *("agieval", "arc", "bbq", "bigbench", "commonsense_qa", "coqa", "hellaswag", "lambada"),
        *("logiqa", "mathqa", "mmlu", "openbookqa", "piqa", "pubmedqa", "siqa", "winogender"),
        *("squad_completion", "super_glue", "winogrande", "wsc273"),
    )
    manager = _manager(*folders)
    assert names <= set(manager.all_tasks)
    for name, entry in table.items():
        assert (entry["lm_eval"] is None) == ("reason" in entry), name
        if entry["lm_eval"] is None:
            continue
        metrics = (manager.task_index[entry["lm_eval"]].cfg or {}).get("metric_list")
        if metrics:  # a group and a task in Python state theirs elsewhere
            assert entry["metric"] in [metric["metric"] for metric in metrics], name


def test_a_table_becomes_a_suite_without_the_tasks_lm_eval_lacks() -> None:
    found = suite_digests([], TABLE)
    assert len(found) == 42
    assert found["hellaswag"]["shots"] == 10
    assert found["hellaswag_zeroshot"]["shots"] == 0
    assert found["hellaswag"]["digest"] != found["hellaswag_zeroshot"]["digest"]
    assert list(suite_digests(["piqa"], TABLE)) == ["piqa"]


@pytest.mark.parametrize(
    ("text", "message"),
    [("tasks: [", "cannot read"), ("a: 1", "no mapping"), ("tasks: {a: {shots: 1}}", "lacks")],
)
def test_a_bad_table_is_told(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "table.yaml").write_text(text)
    with pytest.raises(ScalebedError, match=message):
        suite_digests([], tmp_path / "table.yaml")


def test_digests_import_nothing_heavy() -> None:
    code = (
        "import sys, scalebed.evaluate.digests as d; d.suite_digests(['swap2']);"
        "bad = {'torch', 'lm_eval', 'pandas', 'numpy', 'datasets'} & set(sys.modules);"
        "sys.exit(', '.join(bad) or None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
