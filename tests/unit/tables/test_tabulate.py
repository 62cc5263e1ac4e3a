"""From records of cells to tables: completeness, order, and records that are broken."""

import json
import shutil

import pyarrow.parquet
import pytest
import study_records as records

from scalebed.core.errors import ScalebedError
from scalebed.core.provenance import digest
from scalebed.tables.declared.cells import CELL_TABLES
from scalebed.tables.tabulate import tabulate_cells

CELL = records.grid()[0]
NAMES = [table.name for table in CELL_TABLES]


def read(folder, name):
    return pyarrow.parquet.read_table(folder / f"{name}.parquet")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    records.write_cells(folder / "cells", records.grid())
    params = records.tabulate_params(records.grid())
    tabulate_cells(params, folder / "cells", folder / "tables")
    return folder


@pytest.fixture
def one(tmp_path):
    """Write one finished cell and return its folder and a function that gathers it."""
    folder = tmp_path / "cells" / CELL.path
    records.write_cell(folder, CELL)
    params = records.tabulate_params([CELL])
    return folder, lambda: tabulate_cells(params, tmp_path / "cells", tmp_path / "tables")


def edit(path, change):
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))


def test_tables_have_the_declared_columns_sorted_by_key(study):
    for table in CELL_TABLES:
        data = read(study / "tables", table.name)
        assert data.column_names == table.names
        rows = [tuple(row[name] for name in table.key) for row in data.to_pylist()]
        assert rows == sorted(rows)
        assert data.schema.field(table.names[0]).metadata[b"comment"]


def test_every_cell_appears_and_only_finished_ones_have_losses(study):
    cells = {row["cell"]: row for row in read(study / "tables", "cells").to_pylist()}
    assert set(cells) == {cell.path for cell in records.grid()}
    assert cells[records.DIVERGED.path]["status"] == "diverged"
    assert cells[records.FAILED.path]["reason"].startswith("the data set has")
    assert cells[records.FAILED.path]["weights_sha256"] is None
    done = {path for path, row in cells.items() if row["status"] == "done"}
    assert len(done) == len(records.grid()) - 2
    for name, each in (("losses", len(records.VALIDATIONS)), ("tasks", len(records.TASKS))):
        rows = read(study / "tables", name).to_pylist()
        assert {row["cell"] for row in rows} == done
        assert len(rows) == each * len(done)


def test_values_come_from_the_records(study):
    row = next(
        row for row in read(study / "tables", "cells").to_pylist() if row["cell"] == CELL.path
    )
    metrics = json.loads((study / "cells" / CELL.path / "metrics.json").read_text())
    assert row["params"] == metrics["counts"]["params"]
    assert row["flops"] == 6.0 * row["params"] * row["tokens"]
    assert row["width"] == metrics["params"]["model"]["width"]
    assert (row["device"], row["ranks"]) == ("cpu", metrics["ranks"])
    assert row["peak_bytes"] == metrics["peak_bytes"]
    tasks = read(study / "tables", "tasks").to_pylist()
    assert {row["task"] for row in tasks if row["in_average"]} == set(records.AVERAGE)
    assert {row["version"] for row in tasks} == {"1.0"}


def test_the_last_loss_of_a_diverged_cell_is_missing_not_nan(study):
    curve = [
        row
        for row in read(study / "tables", "curves").to_pylist()
        if row["cell"] == records.DIVERGED.path
    ]
    assert curve[-1]["loss"] is None
    assert curve[-2]["loss"] > 5


def test_provenance_adds_up(study):
    facts = {row["key"]: row["value"] for row in read(study / "tables", "provenance").to_pylist()}
    cells = read(study / "tables", "cells").to_pylist()
    assert facts["cells_done"] == str(len(cells) - 2)
    spent = sum(cell["seconds"] * cell["ranks"] for cell in cells)
    assert float(facts["train_device_seconds"]) == pytest.approx(spent)
    assert facts["git_commit"] == records.RUN["git_commit"]
    assert facts["version_torch"] == "2.13.0"


def test_content_does_not_depend_on_the_order_of_cells(study, tmp_path):
    backwards = records.grid()[::-1]
    records.write_cells(tmp_path / "cells", backwards)
    tabulate_cells(records.tabulate_params(backwards), tmp_path / "cells", tmp_path / "tables")
    for name in NAMES:
        path = f"tables/{name}.parquet"
        assert (tmp_path / path).read_bytes() == (study / path).read_bytes()


def test_a_study_without_tasks_needs_no_task_records(one, tmp_path):
    folder, _ = one
    (folder / "tasks.json").unlink()
    params = records.tabulate_params([CELL]) | {"suite": None, "tasks_in_average": []}
    tabulate_cells(params, tmp_path / "cells", tmp_path / "tables")
    assert read(tmp_path / "tables", "tasks").num_rows == 0
    assert read(tmp_path / "tables", "losses").num_rows == 2


def _key(*path, value):
    def change(record):
        for name in path[:-1]:
            record = record[name]
        if value is None:
            del record[path[-1]]
        else:
            record[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("file", "change", "told"),
    [
        ("metrics.json", _key("tokens", value=None), "no value for key 'tokens'"),
        ("metrics.json", _key("counts", "params", value="many"), "'counts.params' is 'many'"),
        ("metrics.json", _key("flops", value=float("nan")), "'flops' is nan"),
        ("metrics.json", _key("steps", value=1.5), "'steps' is 1.5, expected a whole number"),
        ("metrics.json", _key("steps", value=True), "'steps' is True"),
        ("metrics.json", _key("params", "model", value=None), "'params.model.width'"),
        ("metrics.json", _key("status", value="running"), "'status' is 'running'"),
        ("metrics.json", _key("cell", "seed", value=7), "'cell.seed' is 7, but the study lists"),
        ("metrics.json", _key("weights_sha256", value=None), "'weights_sha256'"),
        ("metrics.json", _key("curve_rows", value=3), "curve_rows is 3"),
        ("losses.json", _key("losses", value={}), "'losses' is empty"),
        ("losses.json", _key("losses", "code", "loss", value=None), "'losses.code.loss'"),
        ("losses.json", _key("losses", "code", value=3), "'losses.code' is not an object"),
        ("losses.json", _key("weights_sha256", value="f" * 64), "'weights_sha256' is ffffffffffff"),
        ("losses.json", _key("cell", "dataset", value="other"), "'cell.dataset' is 'other'"),
        ("tasks.json", _key("tasks", "cloze", value=None), "no task 'cloze'"),
        ("tasks.json", _key("tasks", "cloze", "items", value="500"), "'tasks.cloze.items'"),
    ],
)
def test_a_garbled_record_is_one_sentence_naming_file_and_key(one, tmp_path, file, change, told):
    folder, gather = one
    edit(folder / file, change)
    with pytest.raises(ScalebedError) as caught:
        gather()
    assert told in str(caught.value)
    assert file.partition(".")[0] in str(caught.value) or "metrics.json" in str(caught.value)
    assert CELL.path in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "tables").exists()


@pytest.mark.parametrize("file", ["metrics.json", "losses.json", "tasks.json", "curve.parquet"])
@pytest.mark.parametrize("damage", ["missing", "truncated", "empty"])
def test_a_missing_or_truncated_record_is_named(one, tmp_path, file, damage):
    folder, gather = one
    path = folder / file
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(content[: len(content) // 2] if damage == "truncated" else b"")
    with pytest.raises(ScalebedError, match=file) as caught:
        gather()
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "tables").exists()


def test_a_record_that_is_no_object_is_refused(one):
    folder, gather = one
    (folder / "losses.json").write_text("[]")
    with pytest.raises(ScalebedError, match="holds a JSON list"):
        gather()


def test_an_unfinished_cell_may_not_have_losses(tmp_path):
    cell = records.FAILED
    records.write_cell(tmp_path / "cells" / cell.path, cell)
    records.write_cell(tmp_path / "donor", CELL)
    donated = json.loads((tmp_path / "donor" / "losses.json").read_text())["losses"]
    edit(
        tmp_path / "cells" / cell.path / "losses.json",
        lambda record: record.update(losses=donated),
    )
    with pytest.raises(ScalebedError, match="but the cell is not done"):
        tabulate_cells(records.tabulate_params([cell]), tmp_path / "cells", tmp_path / "tables")


def test_duplicate_and_empty_lists_are_refused(one, tmp_path):
    with pytest.raises(ScalebedError, match="twice"):
        tabulate_cells(records.tabulate_params([CELL, CELL]), tmp_path / "cells", tmp_path / "out")
    with pytest.raises(ScalebedError, match="no cells"):
        tabulate_cells(records.tabulate_params([]), tmp_path / "cells", tmp_path / "out")


def test_a_curve_without_a_column_or_with_a_step_twice_is_refused(one):
    folder, gather = one
    path = folder / "curve.parquet"
    curve = pyarrow.parquet.read_table(path)
    pyarrow.parquet.write_table(curve.drop_columns(["lr"]), path)
    with pytest.raises(ScalebedError, match="no column 'lr'"):
        gather()
    twice = pyarrow.concat_tables([curve, curve.slice(0, 1)])
    pyarrow.parquet.write_table(twice, path)
    edit(folder / "metrics.json", _key("curve_rows", value=twice.num_rows))
    with pytest.raises(ScalebedError, match="share one key"):
        gather()


def test_a_rerun_heals_what_an_error_left(one, tmp_path):
    folder, gather = one
    shutil.copy(folder / "losses.json", tmp_path / "good.json")
    (folder / "losses.json").write_text("{")
    with pytest.raises(ScalebedError):
        gather()
    shutil.copy(tmp_path / "good.json", folder / "losses.json")
    gather()
    assert read(tmp_path / "tables", "losses").num_rows == 2


def test_a_cell_trained_with_other_values_is_refused(one, tmp_path):
    folder, _ = one
    params = records.tabulate_params([CELL])
    trained = json.loads((folder / "metrics.json").read_text())["params"]
    params["cells"][0]["params_digest"] = digest(trained)
    tabulate_cells(params, tmp_path / "cells", tmp_path / "tables")
    edit(folder / "metrics.json", lambda record: record["params"].update(numerics=99))
    with pytest.raises(ScalebedError, match=r"metrics\.json: the cell was trained with other"):
        tabulate_cells(params, tmp_path / "cells", tmp_path / "tables")
