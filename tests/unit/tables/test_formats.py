"""Formats of runs: what trackers, harnesses and papers write, read as rows of runs."""

import json
import os
import struct
from pathlib import Path

import numpy as np
import pytest

from scalebed.core.errors import ScalebedError
from scalebed.tables.formats.rows import FORMATS, get_format, recognised
from scalebed.tables.formats.tensorboard import scalars
from scalebed.tables.imports.base import import_any
from scalebed.tables.runs_file import read_runs
from scalebed.tables.runs_names import parse_columns
from scalebed.tables.runs_notes import notes

ZOO = Path(os.environ.get("SCALEBED_ZOO", Path(__file__).resolve().parents[4] / "shared" / "zoo"))

PAGE = (
    '"Name","State","ID","Notes","User","Tags","Created","Runtime","Sweep","config.n_params",'
    '"config.optim.lr","config.seed","config.n_tokens","summary.val_loss","summary._step"\n'
    '"ruby-1","finished","a1b2","","me","","2026-01-01T10:00:00.000Z","12","","11M","0.003","0",'
    '"220M","5.3","100"\n'
    '"ruby-2","finished","a1b3","","me","","2026-01-01T11:00:00.000Z","13","","11M","0.003","1",'
    '"220M","5.31","100"\n'
    '"ruby-3","crashed","a1b4","","me","","2026-01-01T11:00:00.000Z","3","","33M","0.002","0",'
    '"660M","6.1","17"\n'
    '"ruby-4","running","a1b5","","me","","2026-01-01T11:00:00.000Z","3","","33M","0.002","0",'
    '"660M","4.9","80"\n'
    '"ruby-5","finished","a1b6","","me","","2026-01-01T11:00:00.000Z","3","","33M","0.002","0",'
    '"660M","NaN","80"\n'
    '"ruby-6","pending","a1b7","","me","","2026-01-01T11:00:00.000Z","","","1.4B","0.001","0",'
    '"28B","",""\n'
)


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_every_format_has_its_module():
    for name in FORMATS:
        module = get_format(name)
        assert callable(module.recognises)
        assert callable(module.read_rows)


def test_the_page_of_a_project_is_read_as_it_is(tmp_path):
    table = read_runs(written(tmp_path, "wandb.csv", PAGE))
    assert table.named == {
        "params": "config.n_params",
        "tokens": "config.n_tokens",
        "loss": "summary.val_loss",
        "run": "Name",
        "seed": "config.seed",
        "status": "State",
        "step": "summary._step",
    }
    assert table.params.tolist() == [11e6, 11e6, 33e6, 33e6, 33e6, 1.4e9]
    assert table.finished.tolist() == [True, True, False, False, False, False]
    assert table.planned.tolist() == [False] * 5 + [True]
    said = list(notes(table))
    assert said[0].endswith("wandb.csv is read as --format wandb")
    assert "1 run has no loss yet: run ruby-6" in said
    assert (
        "2 rows are no finished run and are set aside: run ruby-3 (crashed), run ruby-4 (running)"
    ) in said
    assert "1 of 6 runs has no finite loss: run ruby-5" in said


def test_every_column_of_the_page_arrives_in_a_study(tmp_path):
    found = import_any("wandb", written(tmp_path, "wandb.csv", PAGE), {})
    assert [row["status"] for row in found.cells] == [
        *("done", "done", "failed", "failed", "failed", "planned"),
    ]
    assert [row["seed"] for row in found.cells] == [0, 1, 0, 1, 2, 0]
    assert [row["size"] for row in found.cells][-1] == "1400m"
    said = {(row["cell"], row["key"]): row["value"] for row in found.arguments}
    cell = found.cells[1]["cell"]
    assert said[cell, "Name"] == "ruby-2"
    assert said[cell, "config.optim.lr"] == "0.003"
    assert said[cell, "config.seed"] == "1"
    assert said[cell, "ID"] == "a1b3"
    assert (cell, "Notes") not in said
    assert not {key for _, key in said} & {"config.n_params", "summary.val_loss"}


def test_settings_without_a_place_do_not_hide_the_page(tmp_path):
    # The header of exports that are in public repositories: settings have no config. before them.
    text = (
        '"Name","Agent","State","Notes","User","Tags","Created","Runtime","Sweep","lr","model",'
        '"model.n_params","state","train_tokens","val/loss"\n'
        '"a","-","finished","-","me","","2022-09-13T18:23:32.000Z","9","","0.1","llama","1B","x",'
        '"20B","2.5"\n'
        '"b","-","failed","-","me","","2022-09-13T18:23:32.000Z","9","","0.1","llama","2B","x",'
        '"20B","2.4"\n'
    )
    table = read_runs(written(tmp_path, "page.csv", text))
    assert table.run is not None
    assert table.run.tolist() == ["a", "b"]
    assert table.finished.tolist() == [True, False]
    assert (table.params[0], table.tokens[0]) == (1e9, 2e10)
    assert {"model", "state", "lr"} <= set(table.ignored)


def test_runs_of_one_name_are_called_by_their_id(tmp_path):
    text = PAGE.replace('"ruby-2"', '"ruby-1"')
    table = read_runs(written(tmp_path, "wandb.csv", text))
    assert table.run is not None
    assert table.run.tolist()[:2] == ["a1b2", "a1b3"]
    assert "column `ID` is read as run, as several runs have one name" in list(notes(table))


def test_columns_that_are_given_do_not_hide_the_page(tmp_path):
    path = written(tmp_path, "wandb.csv", PAGE.replace("config.n_params", "config.width"))
    with pytest.raises(ScalebedError, match="no column params"):
        read_runs(path)
    table = read_runs(path, parse_columns(["params=config.width"]))
    assert table.params[0] == 11e6
    assert table.run is not None
    assert table.run[0] == "ruby-1"


def test_dictionaries_of_the_client_are_unpacked(tmp_path):
    text = (
        ",summary,config,name\n"
        "0,\"{'val_loss': 3.5, '_runtime': 3, '_wandb': {'runtime': 3}}\","
        "\"{'lr': 0.001, 'model': {'n_params': 1000000}, 'n_tokens': 20000000}\",a-1\n"
        "1,\"{'val_loss': nan, '_runtime': 3}\","
        "\"{'lr': 0.001, 'model': {'n_params': 2000000}, 'n_tokens': 20000000}\",a-2\n"
        "2,{},\"{'lr': 0.001, 'model': {'n_params': 2000000}, 'n_tokens': 40000000}\",a-3\n"
    )
    table = read_runs(written(tmp_path, "project.csv", text))
    assert table.params.tolist() == [1e6, 2e6, 2e6]
    assert table.finished.tolist() == [True, False, False]
    assert table.planned.tolist() == [False, False, True]
    assert "config.lr" in table.ignored
    with pytest.raises(ScalebedError, match=r"row 1: config is 'x', expected a Python dict"):
        read_runs(written(tmp_path, "b.csv", "summary,config,name\n{},x,a\n"))


HISTORY = "_step,_runtime,_timestamp,train/loss,val_loss\n0,1,2,9,\n10,2,3,8,7.5\n20,3,4,7,6.5\n"


def test_a_history_counts_by_its_last_row_with_a_loss(tmp_path):
    written(tmp_path, "h/web-10m.csv", HISTORY + "30,4,5,7,\n")
    written(tmp_path, "h/web-20m.csv", HISTORY.replace("6.5", "NaN"))
    options = {"tokens_per_step": "1M"}
    table = read_runs(tmp_path / "h", {}, None, options)
    assert table.run is not None
    assert table.run.tolist() == ["web-10m", "web-20m"]
    assert table.params.tolist() == [10e6, 20e6]
    assert table.tokens.tolist() == [20e6, 20e6]
    assert table.losses["loss"][0] == 6.5
    assert table.finished.tolist() == [True, False]
    assert not table.planned.any()
    every = read_runs(tmp_path / "h", {}, "wandb_history", options | {"rows": "all"})
    assert every.tokens.tolist() == [10e6, 20e6, 10e6, 20e6]
    assert np.unique(every.units).size == 2
    with pytest.raises(ScalebedError, match="tokens_per_step=N or --option runs=TABLE"):
        read_runs(tmp_path / "h")


def test_histories_stand_beside_the_page_of_their_project(tmp_path):
    written(tmp_path, "h/ruby-1.csv", HISTORY)
    written(tmp_path, "h/ruby-3.csv", HISTORY)
    side = written(tmp_path, "wandb.csv", PAGE)
    table = read_runs(tmp_path / "h", {}, None, {"runs": str(side)})
    assert table.params.tolist() == [11e6, 33e6]
    assert table.tokens.tolist() == [220e6, 660e6]
    assert table.losses["loss"].tolist() == [6.5, 6.5]
    assert table.finished.tolist() == [True, False]
    with pytest.raises(ScalebedError, match="rows=all needs the tokens of every row"):
        read_runs(tmp_path / "h", {}, None, {"runs": str(side), "rows": "all"})
    written(tmp_path, "h/jade.csv", HISTORY)
    table = read_runs(tmp_path / "h", {}, None, {"runs": str(side)})
    assert table.finished.tolist() == [False, True, False]
    assert f"{side} has no run jade" in list(notes(table))
    with pytest.raises(ScalebedError, match="has no option 'sep', expected one of rows, loss"):
        read_runs(tmp_path / "h", {}, None, {"sep": ";"})


def test_a_chart_has_a_column_a_run(tmp_path):
    text = (
        '"Step","a-10m - val_loss","a-10m - val_loss__MIN","a-10m - val_loss__MAX",'
        '"b-20m - val_loss","b-20m - val_loss__MIN","b-20m - val_loss__MAX"\n'
        '"100","5","5","5","","",""\n"200","4","4","4","4.5","4.5","4.5"\n'
        '"300","","","","4.2","4.2","4.2"\n'
    )
    table = read_runs(written(tmp_path, "chart.csv", text), {}, None, {"tokens_per_step": 1e6})
    assert table.run is not None
    assert table.run.tolist() == ["a-10m", "b-20m"]
    assert table.tokens.tolist() == [200e6, 300e6]
    assert table.losses["loss"].tolist() == [4, 4.2]
    time = text.replace("Step", "Relative Time (Process)")
    with pytest.raises(ScalebedError, match="is a chart along 'Relative Time"):
        read_runs(written(tmp_path, "time.csv", time), {}, None, {"tokens_per_step": 1e6})


def harness(folder: Path, model: str, accuracy: float, date: str = "2026-01-01", **more) -> Path:
    record = {
        "results": {
            "boolq": {"alias": "boolq", "acc,none": accuracy, "acc_stderr,none": 0.01},
            "arc_easy": {
                "acc,none": accuracy / 2,
                "acc_stderr,none": "N/A",
                "acc_norm,none": accuracy / 4,
            },
            "mmlu": {"acc,none": 0.3, "acc_stderr,none": 0.02, "alias": "mmlu"},
            "mmlu_law": {"acc,none": 0.9, "acc_stderr,none": 0.02},
            "wikitext": {"word_perplexity,none": 20.0},
        },
        "group_subtasks": {"mmlu": ["mmlu_law"], "boolq": []},
        "configs": {
            "boolq": {"doc_to_choice": ["no", "yes"], "output_type": "multiple_choice"},
            "arc_easy": {"doc_to_choice": "{{choices.text}}", "output_type": "multiple_choice"},
        },
        "n-samples": {"boolq": {"original": 50, "effective": 40}},
        "config": {"model": "hf", "model_args": f"pretrained={model},dtype=float32"},
        **more,
    }
    name = f"{model.replace('/', '__')}/results_{date}.json"
    return written(folder, name, json.dumps(record))


RUNS = "run,params,tokens,loss\nruby-1,1e7,2e8,5.3\nruby-2,3e7,6e8,4.5\nruby-3,9e7,2e9,4.0\n"


def test_errors_of_the_harness_stand_beside_their_runs(tmp_path):
    side = written(tmp_path, "runs.csv", RUNS)
    harness(tmp_path / "evals", "org/ruby-1", 0.6)
    harness(tmp_path / "evals", "org/ruby-2", 0.1)
    harness(tmp_path / "evals", "org/ruby-2", 0.7, "2026-02-01", model_name="org/ruby-2")
    harness(tmp_path / "evals", "org/other", 0.7)
    samples = tmp_path / "evals" / "org__ruby-1" / "samples_arc_easy_2026-01-01.jsonl"
    counts = (4, 4, 5)
    items = [{"doc_id": i, "arguments": dict.fromkeys("abcde"[:n])} for i, n in enumerate(counts)]
    samples.write_text("".join(json.dumps(item) + "\n" for item in items), encoding="utf-8")
    table = read_runs(tmp_path / "evals", {}, None, {"runs": str(side)})
    assert list(table.errors) == ["error_arc_easy", "error_boolq", "error_mmlu"]
    np.testing.assert_allclose(table.errors["error_boolq"], [0.4, 0.3, np.nan])
    np.testing.assert_allclose(table.errors["error_arc_easy"], [0.7, 0.65, np.nan])
    boolq = table.tasks["error_boolq"]
    np.testing.assert_allclose(boolq["stderr"], [0.01, 0.01, np.nan])
    np.testing.assert_allclose(boolq["chance"], [0.5, 0.5, np.nan])
    np.testing.assert_allclose(boolq["items"], [40, 40, np.nan])
    arc = table.tasks["error_arc_easy"]
    assert set(arc) == {"chance"}
    np.testing.assert_allclose(arc["chance"][0], 1 - (1 / 4 + 1 / 4 + 1 / 5) / 3)
    assert "has no run org/other" in " ".join(notes(table))
    norm = {"runs": str(side), "metric": "acc_norm"}
    found = import_any("lm_eval", tmp_path / "evals", norm)
    assert {row["task"] for row in found.tasks} == {"error_arc_easy"}
    (first, _) = import_any("lm_eval", tmp_path / "evals", norm).tasks
    assert first["error"] == 1 - 0.6 / 4
    whole = import_any("lm_eval", tmp_path / "evals", {"runs": str(side)}).tasks
    (one,) = [
        row
        for row in whole
        if row["task"] == "error_boolq" and "ratio=20" in row["cell"] and "10m" in row["cell"]
    ]
    assert (one["error_stderr"], one["chance_error"], one["items"]) == (0.01, 0.5, 40)


@pytest.mark.parametrize(
    "text", ["{", "[]", "[" * 100_000, '{"doc_id": 1}', '{"doc_id": [], "arguments": {}}']
)
def test_samples_that_are_none_are_named(tmp_path, text):
    side = written(tmp_path, "runs.csv", RUNS)
    harness(tmp_path / "evals", "org/ruby-1", 0.6)
    samples = tmp_path / "evals" / "org__ruby-1" / "samples_arc_easy_2026-01-01.jsonl"
    samples.write_text(text + "\n", encoding="utf-8")
    with pytest.raises(ScalebedError, match="holds no samples of lm-evaluation-harness"):
        read_runs(tmp_path / "evals", {}, None, {"runs": str(side)})


def test_results_of_the_harness_need_runs(tmp_path):
    file = harness(tmp_path, "org/ruby-1", 0.6)
    with pytest.raises(ScalebedError, match="neither tokens nor a loss; expected --option runs="):
        read_runs(file)
    side = written(tmp_path, "runs.csv", RUNS.replace("ruby", "jade"))
    with pytest.raises(ScalebedError, match="names none of the runs org/ruby-1"):
        read_runs(file, {}, "lm_eval", {"runs": str(side)})
    side = written(tmp_path, "runs.csv", RUNS.replace("ruby-2", "ruby-1"))
    with pytest.raises(ScalebedError, match="two rows of run ruby-1 in column run"):
        read_runs(file, {}, "lm_eval", {"runs": str(side)})
    for text in ("{", "[" * 100_000, "9" * 5000):
        broken = written(tmp_path, "results_x.json", text)
        with pytest.raises(ScalebedError, match="is not valid JSON"):
            read_runs(broken, {}, "lm_eval", {"runs": str(side)})


def test_scalars_are_those_that_tensorboard_writes(tmp_path):
    tensorboard = pytest.importorskip("tensorboard.summary.writer.event_file_writer")
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.compat.proto.tensor_pb2 import TensorProto

    writer = tensorboard.EventFileWriter(str(tmp_path / "web-10m"))
    wide = TensorProto(dtype=2, double_val=[2.25])
    packed = TensorProto(dtype=1, tensor_content=struct.pack("<f", 1.5))
    for step, value in (
        (10, {"tag": "val_loss", "simple_value": 3.5}),
        (10, {"tag": "lr", "tensor": wide}),
        (300, {"tag": "val_loss", "tensor": packed}),
        (300, {"tag": "words", "tensor": TensorProto(dtype=7, string_val=[b"x"])}),
    ):
        writer.add_event(Event(step=step, summary=Summary(value=[Summary.Value(**value)])))
    writer.close()
    (file,) = (tmp_path / "web-10m").iterdir()
    found = [("val_loss", 10, 3.5), ("lr", 10, 2.25), ("val_loss", 300, 1.5)]
    assert list(scalars(file)) == found
    # What is still being written ends with a part of a record.
    file.write_bytes(file.read_bytes()[:-3])
    assert list(scalars(file))[:2] == found[:2]
    table = read_runs(tmp_path, {}, None, {"tokens_per_step": "1M"})
    assert table.params.tolist() == [10e6]
    assert table.losses["loss"].size == 1


LENGTH_18 = 627318564


def record(data: bytes, crc: int) -> bytes:
    return struct.pack("<QI", len(data), crc) + data + b"\0\0\0\0"


def test_event_files_are_read_without_tensorboard(tmp_path):
    # Event(step=300, summary=[value(tag="loss", simple_value=2.0)]), by the wire format's rules.
    value = b"\x0a\x04loss" + b"\x15" + struct.pack("<f", 2.0)
    summary = b"\x0a" + bytes([len(value)]) + value
    event = b"\x10\xac\x02" + b"\x2a" + bytes([len(summary)]) + summary
    # Masked CRC-32C of the eight bytes of the length 18, as the package tensorboard computes it.
    assert len(event) == 18
    path = tmp_path / "web-10m" / "events.out.tfevents.1.host"
    path.parent.mkdir()
    path.write_bytes(record(event, LENGTH_18))
    assert list(scalars(path)) == [("loss", 300, 2.0)]
    table = read_runs(path.parent, {}, None, {"tokens_per_step": "1M"})
    assert table.tokens.tolist() == [300e6]
    path.write_bytes(record(event, LENGTH_18 + 1))
    with pytest.raises(ScalebedError, match="is no event file of TensorBoard: byte 0"):
        read_runs(path.parent, {}, None, {"tokens_per_step": "1M"})


LADDER = (
    "_step,eval/c4_en-validation/CrossEntropyLoss,eval/pile-validation/CrossEntropyLoss,"
    "eval/downstream/arc_easy_test_rc_5shot_len_norm,throughput/total_tokens,"
    "learning_rate_peak,batch_size_in_tokens\n"
    "200,6.03,6.40,0.25,1e8,0.001,5e5\n400,3.60,3.01,0.625,2e8,0.001,5e5\n"
)


def test_runs_of_the_ladder_are_named_by_their_size(tmp_path):
    written(tmp_path, "190M-1xC.csv", LADDER)
    lacking = LADDER.replace("throughput/total_tokens", "throughput/x")
    written(tmp_path, "1B-2xC.csv", lacking)
    table = read_runs(tmp_path)
    assert table.params.tolist() == [190_354_176, 1_279_395_840]
    assert table.tokens.tolist() == [2e8, 400 * 5e5]
    assert {name: loss.tolist() for name, loss in table.losses.items()} == {"loss": [3.6, 3.6]}
    options = {"tasks": "yes", "losses": "yes"}
    more = read_runs(tmp_path, {}, "olmo_ladder", options)
    assert more.losses["loss_pile"].tolist() == [3.01, 3.01]
    assert more.errors["error_arc_easy_test_rc_5shot"].tolist() == [0.375, 0.375]
    written(tmp_path, "peteish7.csv", LADDER)
    with pytest.raises(ScalebedError, match="begins with no size of the ladder"):
        read_runs(tmp_path)
    with pytest.raises(ScalebedError, match="option tasks is 'maybe', expected yes or no"):
        read_runs(tmp_path, {}, "olmo_ladder", {"tasks": "maybe", "params": "1B"})


def test_an_isoflop_table_has_its_tokens_from_c_and_n(tmp_path):
    path = written(tmp_path, "iso.csv", "C,N,loss\n6e18,1e8,3.2\n1.2e19,200M,3.0\n")
    table = read_runs(path)
    assert table.tokens.tolist() == [1e10, 1e10]
    said = list(notes(table))
    assert said[0].endswith("iso.csv is read as --format isoflop")
    assert "no column has the tokens: D = C / (6 N) with C of `C`" in said
    both = written(tmp_path, "both.csv", "C,N,D,loss\n6e18,1e8,7,3.2\n1.2e19,200M,7,3.0\n")
    assert recognised(both, {}) == "table"
    assert read_runs(both).tokens.tolist() == [7, 7]
    assert read_runs(both, {}, "isoflop").tokens.tolist() == [1e10, 1e10]
    words = written(tmp_path, "words.csv", "compute,N,loss\n8xA100,1e8,3.2\n9xA100,2e8,3.0\n")
    with pytest.raises(ScalebedError, match=r"no column tokens .*`compute` is not read as flops"):
        read_runs(words)


def test_ratios_stand_for_tokens_and_are_coordinates_as_given(tmp_path):
    path = written(tmp_path, "m.csv", "params,ratio,loss\n1e7,2.5,5\n1e7,20,4.5\n1e7,160.4,4.1\n")
    table = read_runs(path)
    assert table.tokens.tolist() == [2.5e7, 2e8, 1.604e9]
    found = import_any("table", path, {})
    assert [row["ratio"] for row in found.cells] == [2.5, 20, 160.4]
    assert found.cells[0]["cell"].split("/")[2] == "ratio=2.5"
    assert found.cells[1]["cell"].split("/")[2] == "ratio=20"


def test_a_study_may_say_what_its_columns_are(tmp_path):
    path = written(tmp_path, "a.csv", "size,D,nll,who\n1B,20B,2.5,x\n")
    found = import_any("table", path, {"column": ["params=size,loss=nll", "run=who"]})
    assert [(row["params"], row["tokens"]) for row in found.cells] == [(10**9, 2 * 10**10)]
    assert [(row["key"], row["value"]) for row in found.arguments] == [("who", "x")]
    with pytest.raises(ScalebedError, match="a plain table has no option 'sep'"):
        import_any("table", path, {"sep": ";"})


def test_seeds_unique_tokens_and_what_is_known_of_errors_arrive(tmp_path):
    text = (
        "seed,params,tokens,unique_tokens,loss,error_arc,stderr_arc,chance_arc,items_arc\n"
        "7,1e9,2e10,1e10,2.5,0.5,0.01,0.75,100\n7,1e9,2e10,2e10,2.4,0.4,,,\n"
    )
    path = written(tmp_path, "a.csv", text)
    found = import_any("table", path, {})
    assert [(row["seed"], row["epochs"]) for row in found.cells] == [(7, 2), (0, None)]
    first, second = found.tasks
    assert (first["error_stderr"], first["chance_error"], first["items"]) == (0.01, 0.75, 100)
    assert set(second) == {"cell", "task", "error"}
    assert read_runs(path).ignored == ()


def test_loss_curves_of_luo_et_al_are_read_as_they_are(tmp_path):
    folder = ZOO / "multipower"
    if not folder.is_dir():
        pytest.skip(f"no {folder}: SCALEBED_ZOO names the folder of public tables")
    table = read_runs(folder, {}, None, {"tokens_per_step": "0.25M"})
    assert table.run is not None
    last = {
        run: (n, d, loss)
        for run, n, d, loss in zip(
            table.run, table.params, table.tokens, table.losses["loss"], strict=True
        )
    }
    assert len(last) == 18
    rows = (folder / "25m" / "cosine_24000.csv").read_text().split()
    step, _, loss = rows[-1].split(",")
    assert last["25m/cosine_24000"] == (25e6, 0.25e6 * float(step), float(loss))
    assert "params are read from the names of the runs" in list(notes(table))


def test_a_folder_of_nothing_that_is_known_names_the_formats(tmp_path):
    written(tmp_path, "a.txt", "x")
    with pytest.raises(ScalebedError, match=r"of no format that is recognised.*lm_eval, tensorb"):
        read_runs(tmp_path)
    with pytest.raises(ScalebedError, match="a plain table has no option 'rows'"):
        read_runs(written(tmp_path, "runs.csv", RUNS), {}, "table", {"rows": "all"})


def test_an_unnamed_loss_and_two_losses_are_refused(tmp_path):
    text = "step,loss_a,eval/loss,val_loss\n1,2,3,4\n"
    path = written(tmp_path, "c-10m.csv", text)
    with pytest.raises(ScalebedError, match="eval/loss and val_loss could each be the loss"):
        read_runs(path, {}, "loss_curves", {"tokens_per_step": 1})
    with pytest.raises(ScalebedError, match="has no x, expected one of step, loss_a"):
        read_runs(path, {}, "loss_curves", {"tokens_per_step": 1, "loss": "x"})
    found = read_runs(path, {}, "loss_curves", {"tokens_per_step": 1, "loss": "loss_a"})
    assert found.losses["loss"].tolist() == [2]
