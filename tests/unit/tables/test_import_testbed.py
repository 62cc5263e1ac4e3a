"""The importer of the testbed's format and its fetching, on a testbed made up here."""

import io
import json
import tarfile

import pytest

from scalebed.core.errors import ScalebedError
from scalebed.tables.imports import fetch, testbed

LOSS = {
    "loss": 3.0,
    "loss_sequences_lower_95": 2.9,
    "loss_sequences_upper_95": 3.1,
    "loss_tokens_lower_95": 2.95,
    "loss_tokens_upper_95": 3.05,
    "sequences": 10,
    "tokens": 20480,
    "val_data": ["somewhere/c4_val/shard.tar"],
}
TASKS = "Eval Task,#datapoints,Random baseline\nquiz,100,25\n"


def write(root, name="rpj-d=96_l=8_h=4-1.0", accuracy=0.4, **changes):
    """Write one model of a testbed below `root`."""
    data = root / "exp_data"
    for folder in ("models", "evals"):
        (data / folder).mkdir(parents=True, exist_ok=True)
    model = {
        "hyperparameters": {"params": 10_569_312, "tokens": 211_386_240, "lr": 0.003},
        "open_lm_args": ["--lr", "0.003", "--qk-norm", "--epochs", "2"],
        "results": [LOSS],
    }
    (data / f"models/{name}.json").write_text(json.dumps(model | changes), encoding="utf-8")
    scores = {"creation_date": "2024_01_02-03_04_05", "eval_metrics": {"icl": {"quiz": accuracy}}}
    path = data / f"evals/evaluation_{name}_heavy.json"
    path.write_text(json.dumps(scores), encoding="utf-8")
    (data / "eval_metadata.csv").write_text(TASKS, encoding="utf-8")
    return root


def test_one_model(tmp_path):
    found = testbed.import_cells(write(tmp_path), {})
    (cell,) = found.cells
    assert cell["cell"] == "dataset=redpajama/size=11m/ratio=20/recipe=base/seed=124"
    assert (cell["params"], cell["tokens"]) == (10_569_312, 211_386_240)
    assert cell["flops"] == 6.0 * 10_569_312 * 211_386_240
    assert (cell["width"], cell["layers"], cell["heads"]) == (96, 8, 4)
    (loss,) = found.losses
    assert (loss["validation"], loss["loss"], loss["sequences"]) == ("c4_val", 3.0, 10)
    (task,) = found.tasks
    assert task["error"] == pytest.approx(0.6)
    assert task["error_stderr"] == pytest.approx((0.6 * 0.4 / 100) ** 0.5)
    assert (task["chance_error"], task["items"]) == (0.75, 100)
    said = {(row["source"], row["key"]): row["value"] for row in found.arguments}
    assert said["hyperparameters", "lr"] == said["open_lm_args", "lr"] == "0.003"
    assert said["open_lm_args", "epochs"] == "2"
    assert said["evaluation", "created"] == "2024-01-02T03:04:05"


@pytest.mark.parametrize("accuracy", [1.0000001192092896, 1.0, 0.0, -1e-9])
def test_an_accuracy_rounded_beyond_its_ends_has_no_standard_error(tmp_path, accuracy):
    """The first is the single precision number after 1."""
    (task,) = testbed.import_cells(write(tmp_path, accuracy=accuracy), {}).tasks
    assert task["error_stderr"] == 0
    assert task["error"] == pytest.approx(1 - accuracy)


@pytest.mark.parametrize("accuracy", [40.0, -0.01, 1.001])
def test_an_accuracy_that_is_none_is_said_and_no_error_of_a_task(tmp_path, accuracy):
    found = testbed.import_cells(write(tmp_path, accuracy=accuracy), {})
    assert not found.tasks
    (said,) = (row["value"] for row in found.arguments if row["source"] == "evaluation")
    assert said.endswith(f"the accuracy of 'quiz' is {accuracy:g}, expected 0 to 1")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"hyperparameters": {"params": "many", "tokens": 1}}, "hyperparameters.params is 'many'"),
        ({"hyperparameters": {"params": 5, "tokens": -1}}, "tokens -1 is not positive"),
        ({"results": []}, "results is [], expected a list"),
        ({"results": [LOSS | {"loss": "low"}]}, "results[0].loss is 'low'"),
        ({"results": [LOSS | {"val_data": ["somewhere/else/x.tar"]}]}, "else/x.tar', unknown"),
        ({"results": [LOSS, LOSS]}, "two results for c4_val"),
    ],
)
def test_a_bad_record_is_a_failed_cell_with_its_reason(tmp_path, changes, words):
    write(tmp_path)
    write(tmp_path, "rpj-d=512_l=8_h=4-1.0", **changes)
    found = testbed.import_cells(tmp_path, {})
    failed, done = sorted(found.cells, key=lambda row: row["status"], reverse=True)
    assert done["status"] == "done"
    assert failed["status"] == "failed"
    assert failed["reason"].startswith("rpj-d=512_l=8_h=4-1.0.json: ")
    assert words in failed["reason"]
    assert {row["cell"] for row in found.losses} == {done["cell"]}


def test_a_strange_file_name_is_refused(tmp_path):
    write(tmp_path, "rpj-huge-1.0")
    with pytest.raises(ScalebedError, match=r"rpj-huge-1\.0\.json: the name is not"):
        testbed.import_cells(tmp_path, {})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"colour": 1}, "has no option 'colour'"),
        ({"search_window": [2, 1]}, r"search_window is \[2, 1\]"),
        ({"search_window": "all"}, "search_window is 'all'"),
    ],
)
def test_bad_options_are_refused(tmp_path, options, words):
    with pytest.raises(ScalebedError, match=words):
        testbed.import_cells(write(tmp_path), options)


def test_a_broken_search_is_a_fact_and_stops_nothing(tmp_path):
    write(tmp_path)
    (tmp_path / "exp_data/grid.json").write_text("{", encoding="utf-8")
    found = testbed.import_cells(tmp_path, {})
    assert len(found.cells) == 1
    assert "grid.json" in found.facts["search_problem"]


ELSEWHERE = {
    "../exp_data/outside.json": tarfile.REGTYPE,
    "ROOT/outside.json": tarfile.REGTYPE,
    "scaling-a003c49/exp_data/models/../../../outside.json": tarfile.REGTYPE,
    "scaling-a003c49/exp_data/outside.json": tarfile.SYMTYPE,
    "scaling-a003c49/exp_data/models/outside.json": tarfile.LNKTYPE,
    "scaling-a003c49/exp_data/fifo": tarfile.FIFOTYPE,
}
"""Members that lead out of the folder, are links, or are no files."""


def archive(root):
    """Return the URL of an archive of the testbed below `root`, as the public host makes them."""
    file = root / "archive.tar.gz"
    with tarfile.open(file, "w:gz") as tar:
        tar.add(root / "exp_data", "scaling-a003c49/exp_data")
        other = tarfile.TarInfo("scaling-a003c49/exp_data/../../outside.json")
        tar.addfile(other, io.BytesIO(b""))
        for name, kind in ELSEWHERE.items():
            other = tarfile.TarInfo(name.replace("ROOT", str(root)))
            other.type, other.linkname = kind, str(root / "target")
            tar.addfile(other, io.BytesIO(b""))
    return file.as_uri()


def test_fetching_checks_every_byte(tmp_path):
    url = archive(write(tmp_path / "public"))
    right = fetch.files_digest(tmp_path / "public/exp_data")
    out = tmp_path / "here/manifest.json"
    out.parent.mkdir()
    with pytest.raises(ScalebedError, match=f"have SHA-256 {right}, expected {fetch.SHA256}"):
        fetch.fetch_testbed(out, url)
    assert list(out.parent.iterdir()) == []
    fetch.fetch_testbed(out, url, right)
    assert json.loads(out.read_text(encoding="utf-8"))["files"] == 3
    assert len(testbed.import_cells(out.parent, {}).cells) == 1
    assert not list(tmp_path.rglob("outside.json"))


def test_what_cannot_be_fetched_says_both_ways(tmp_path):
    with pytest.raises(ScalebedError, match=r"run where .* or give .*--config testbed=FOLDER"):
        fetch.fetch_testbed(tmp_path / "m.json", (tmp_path / "nothing.tar.gz").as_uri())
    (tmp_path / "text").write_text("no archive", encoding="utf-8")
    with pytest.raises(ScalebedError, match="cannot unpack"):
        fetch.fetch_testbed(tmp_path / "m.json", (tmp_path / "text").as_uri())
