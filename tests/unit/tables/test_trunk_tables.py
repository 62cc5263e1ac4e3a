"""Branches in the tables: their trunk, and totals in which every step of it counts once."""

import json

import duckdb
import numpy as np
import pyarrow.parquet
import pytest
import study_records as records

from scalebed.core.cells import Cell
from scalebed.core.errors import ScalebedError
from scalebed.predict.runs import collect_runs
from scalebed.report.answer import targets
from scalebed.report.facts import compute
from scalebed.tables.declared.database import TABLES
from scalebed.tables.reader import StudyDatabase
from scalebed.tables.tabulate import tabulate_cells
from scalebed.tables.trunks import saved_steps, spent

TRUNK = "dataset=encyclopedia/size=w32/seed=0/trunk=0123456789abcdef"
BRANCHES = [Cell("encyclopedia", "w32", ratio, "base", 0) for ratio in (10, 20, 40)]
ALONE = Cell("encyclopedia", "w48", 20, "base", 0)


def change(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.fixture
def gathered(tmp_path):
    """Three branches, two of which take over the same steps, and a cell of its own."""
    cells = tmp_path / "cells"
    records.write_cells(cells, [*BRANCHES, ALONE])
    taken = []
    for cell, share in zip(BRANCHES, (0.8, 0.4, 0.4), strict=True):
        path = cells / cell.path / "metrics.json"
        steps = round(share * json.loads(path.read_text())["steps"])
        taken.append(steps)
        change(path, trunk=TRUNK, trunk_steps=steps)
    state = tmp_path / "trunks" / TRUNK / f"step={max(taken)}"
    state.mkdir(parents=True)
    (state / "state.json").write_text(
        json.dumps({"seconds": 30.0, "wall_seconds": 40.0, "ranks": 2})
    )

    def gather():
        params = records.tabulate_params([*BRANCHES, ALONE])
        tabulate_cells(params, cells, tmp_path / "tables")
        found = {}
        for name in ("cells", "provenance"):
            path = tmp_path / "tables" / f"{name}.parquet"
            found[name] = pyarrow.parquet.read_table(path).to_pylist()
        facts = {row["key"]: row["value"] for row in found["provenance"]}
        return found["cells"], facts

    return gather, taken, state / "state.json"


def test_a_trunk_counts_once(gathered):
    gather, taken, _ = gathered
    cells, facts = gather()
    by_path = {row["cell"]: row for row in cells}
    branches = [by_path[cell.path] for cell in BRANCHES]
    alone = by_path[ALONE.path]
    assert [row["trunk"] for row in branches] == [TRUNK] * 3
    assert [row["trunk_steps"] for row in branches] == taken
    # Records of cells that were trained before have neither key.
    assert (alone["trunk"], alone["trunk_steps"]) == (None, None)
    own = [row["steps"] - steps for row, steps in zip(branches, taken, strict=True)]
    steps = sum(own) + max(taken)
    tokens = steps * records.BATCH_TOKENS + alone["tokens"]
    assert facts["tokens_trained"] == str(tokens)
    flops = 6.0 * branches[0]["params"] * steps * records.BATCH_TOKENS + alone["flops"]
    assert float(facts["flops_trained"]) == pytest.approx(flops, rel=1e-12)
    assert facts["trunks"] == "1"


def test_the_time_of_a_trunk_is_that_of_its_last_state(gathered):
    gather, _, state = gathered
    cells, facts = gather()
    own = sum(row["seconds"] * row["ranks"] for row in cells)
    assert float(facts["train_device_seconds"]) == pytest.approx(own + 60.0)
    assert facts["trunks_of_unknown_time"] == "0"
    walls = float(facts["train_wall_seconds"])
    state.unlink()
    _, without = gather()
    assert without["trunks_of_unknown_time"] == "1"
    assert float(without["train_device_seconds"]) == pytest.approx(own)
    assert float(without["train_wall_seconds"]) == pytest.approx(walls - 40.0)
    state.write_text(json.dumps({"seconds": "long", "wall_seconds": 40.0}))
    with pytest.raises(ScalebedError, match=r"state\.json: key 'seconds' is 'long', expected"):
        gather()


def test_totals_without_trunks_are_plain_sums(tmp_path):
    cells = [*BRANCHES, ALONE]
    records.write_cells(tmp_path / "cells", cells)
    tabulate_cells(records.tabulate_params(cells), tmp_path / "cells", tmp_path / "tables")
    rows = pyarrow.parquet.read_table(tmp_path / "tables" / "cells.parquet").to_pylist()
    found = pyarrow.parquet.read_table(tmp_path / "tables" / "provenance.parquet").to_pylist()
    facts = {row["key"]: row["value"] for row in found}
    assert facts["tokens_trained"] == str(sum(row["tokens"] for row in rows))
    assert facts["flops_trained"] == repr(sum(row["flops"] for row in rows))
    assert "trunks" not in facts


def row(trunk, taken, steps, **more):
    cell = {"dataset": "x", "recipe": "r", "seed": 0, "status": "done", "target": False}
    return (
        cell | {"trunk": trunk, "trunk_steps": taken, "steps": steps, "flops": 100.0 * steps} | more
    )


def test_what_was_trained_for_another_is_saved():
    rows = [row("a", 8, 10), row("a", 16, 20), row("b", 4, 5), row(None, None, 7), row("a", 16, 21)]
    assert saved_steps(rows) == [8, 0, 0, 0, 16]
    assert spent(rows) == pytest.approx(100 * (2 + 20 + 5 + 7 + 5))


def test_a_fit_costs_each_trunk_once_and_its_branches_are_one_run():
    rows = [
        row("a", 8, 10, params=1, tokens=10),
        row("a", 16, 20, params=1, tokens=20),
        row("b", 4, 5, params=2, tokens=10),
        row(None, None, 7, params=3, tokens=9),
    ]
    roles = {"fit_loss": True, "fit_error": True}
    cells = [one | roles | {"cell": f"c{i}"} for i, one in enumerate(rows)]
    (runs,) = collect_runs({"cells": cells, "losses": [], "tasks": []})
    assert runs.trunk.tolist()[0] == runs.trunk.tolist()[1]
    assert len(set(runs.trunk.tolist())) == 3
    assert runs.independent(runs.fit_loss) == 3
    assert runs.spent(runs.fit_loss) == pytest.approx(100 * (2 + 20 + 5 + 7))
    # Without the longest branch the other one has its own part of the trunk to pay.
    assert runs.spent(np.array([True, False, True, True])) == pytest.approx(100 * (10 + 5 + 7))
    plain = [{name: value for name, value in one.items() if "trunk" not in name} for one in cells]
    (older,) = collect_runs({"cells": plain, "losses": [], "tasks": []})
    assert older.trunk is None
    assert older.spent(older.fit_loss) == pytest.approx(100 * (10 + 20 + 5 + 7))


def database(path, rows, without=()):
    """Write a database with these rows of its cells and nothing else."""
    with duckdb.connect(str(path)) as connection:
        for table in TABLES:
            later = without if table.name == "cells" else ()
            columns = [f'"{c.name}" {c.sql_type}' for c in table.columns if c.name not in later]
            connection.execute(f"CREATE TABLE {table.name} ({', '.join(columns)})")
        connection.execute("INSERT INTO provenance VALUES ('yardstick', 'loss')")
        for one in rows:
            marks = ", ".join("?" * len(one))
            connection.execute(
                f"INSERT INTO cells ({', '.join(one)}) VALUES ({marks})", list(one.values())
            )


def test_the_report_counts_a_trunk_once(tmp_path):
    fit = {"fit_loss": True, "fit_error": True, "params": 1, "seconds": 1.0}
    asked = fit | {"fit_loss": False, "fit_error": False, "target": True}
    rows = [
        row("a", 8, 10) | fit | {"cell": "c0"},
        row("a", 16, 20) | fit | {"cell": "c1"},
        row(None, None, 7) | fit | {"cell": "c2"},
        row("a", 64, 80) | asked | {"cell": "c3"},
    ]
    database(tmp_path / "study.duckdb", rows)
    with StudyDatabase(tmp_path / "study.duckdb") as study:
        (found,) = compute(study)
        (target,) = targets(study)
    # Two steps and twenty of the trunk, seven alone; a target that nothing was trained for.
    assert (found["fit_cells"], found["targets"], found["trunks"]) == (3, 1, 1)
    assert found["fit_flops"] == found["fit_loss_flops"] == pytest.approx(2900)
    assert (found["target_flops"], found["fit_seconds"]) == (8000, 3.0)
    assert target.cell["fit_ratio"] == pytest.approx(8000 / 2900)


def test_a_database_from_before_trunks_is_read(tmp_path):
    path = tmp_path / "study.duckdb"
    database(path, [{"cell": "one", "flops": 6.0}], without=("trunk", "trunk_steps"))
    with StudyDatabase(path) as study:
        (found,) = study.rows("SELECT * FROM cells")
        assert (found["cell"], found["flops"]) == ("one", 6.0)
        assert (found["trunk"], found["trunk_steps"]) == (None, None)
        assert study.rows("SELECT count(*) AS rows FROM cells WHERE trunk IS NULL") == [{"rows": 1}]
