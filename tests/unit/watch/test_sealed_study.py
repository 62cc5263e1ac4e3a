"""Predictions of a study that are sealed before its targets train, and what came of them."""

import json
import shutil
from pathlib import Path

import pyarrow.parquet
import pytest
import study_records as records

from scalebed.commands.cli import main
from scalebed.core.arithmetic import count_params, flops
from scalebed.core.errors import ScalebedError
from scalebed.core.files import read_json, write_json, write_parquet
from scalebed.predict.study import fit_files
from scalebed.report.judged import judged
from scalebed.report.page import _environment
from scalebed.tables.arrow import from_rows, read_table
from scalebed.tables.database import gather_study
from scalebed.tables.declared.judged import JUDGED
from scalebed.tables.reader import StudyDatabase
from scalebed.tables.tabulate import tabulate_cells
from scalebed.watch.judged_study import changes, judge_study, judged_row
from scalebed.watch.sealed_study import read_study_seal, seal_study
from scalebed.watch.seals import EditedSealError, seal_digest

CODE = "0123456789abcdef"


def planned(cell, listed):
    """Return the row of a target as the study knows it beforehand."""
    N, D = count_params(records.SIZES[cell.size]).total, records.numbers(cell)["D"]
    return {**listed, "status": "planned", "params": N, "tokens": D, "flops": flops(N, D)} | {
        "steps": records.numbers(cell)["steps"],
        "trunk": None,
        "trunk_steps": 0,
        "times_largest": 10.0,
        "times_fit": 2.0,
    }


def seal_params():
    cells = records.grid()
    tables = records.tabulate_params(cells)
    kept = [row for row in tables["cells"] if not row["target"]]
    targets = [
        planned(cell, row)
        for cell, row in zip(cells, tables["cells"], strict=True)
        if row["target"]
    ]
    fit = records.fit_params() | {"averages": {"easy": ["cloze", "order"]}}
    return {"study": "x", "tables": tables | {"cells": kept}, "fit": fit, "targets": targets}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A study that was sealed while only its targets were missing, and then finished."""
    folder = tmp_path_factory.mktemp("sealed")
    cells, root = records.grid(), folder / "cells"
    early = [cell for cell in cells if (cell.size, cell.ratio) not in records.TARGETS]
    late = [cell for cell in cells if cell not in early]
    records.write_cells(root, early)
    seal_study(seal_params(), CODE, root, [], folder / "seal.json")
    records.write_cells(root, late)
    tabulate_cells(records.tabulate_params(cells), root, folder / "tables")
    return folder


def judgement(folder, out, params=None, code=CODE):
    params = params or seal_params()
    judge_study(params, code, folder / "seal.json", folder / "cells", folder / "tables", out)
    return json.loads(pyarrow.parquet.read_schema(out).metadata[b"seal"])


def test_sealed_is_what_the_study_predicts_after_its_targets_trained(folder, tmp_path):
    fit_files(folder / "tables", tmp_path, json.dumps(seal_params()["fit"]))
    rows = pyarrow.parquet.read_table(tmp_path / "predictions.parquet").to_pylist()
    names = ("cell", "kind", "response", "law", "predicted", "lower", "upper", "numbers")
    after = {tuple(row[name] for name in names) for row in rows if row["role"] == "target"}
    sealed = read_study_seal(folder / "seal.json")["predictions"]
    # Two losses, four tasks and two averages of two targets on two data sets; on the third one the
    # loss law is refused, as a fit cell diverged.
    assert len(after) == 32
    assert {tuple(row[name] for name in names) for row in sealed} == after


def test_judged_is_what_was_measured(folder, tmp_path):
    about = judgement(folder, tmp_path / "judged.parquet")
    assert about["changes"] == []
    assert {row["fit"] for row in about["refused"]} == {
        f"loss/tied/fiction/{name}" for name in records.VALIDATIONS
    }
    rows = read_table(JUDGED, tmp_path / "judged.parquet").to_pylist()
    cell = next(cell for cell in records.grid(("mixture",)) if cell.size == "w160")
    found = {row["response"]: row for row in rows if row["cell"] == cell.path}
    told = read_json(folder / "cells" / cell.path / "tasks.json")["tasks"]
    assert found["yardstick"]["measured"] == pytest.approx(records.numbers(cell)["loss"], rel=1e-12)
    mean = (told["cloze"]["error"] + told["order"]["error"]) / 2
    assert found["easy"]["measured"] == pytest.approx(mean, rel=1e-12)
    assert (found["easy"]["times_largest"], found["easy"]["times_fit"]) == (10.0, 2.0)


SEALED = {
    **{"cell": "a", "dataset": "d", "kind": "loss", "response": "text", "law": "tied"},
    **{"predicted": 2.0, "lower": 1.8, "upper": 2.2, "level": 0.9, "flops": 1.0},
    **{"times_largest": 30.0, "times_fit": 10.0, "numbers": "found", "evidence": None},
}


@pytest.mark.parametrize(
    ("measured", "error", "inside"),
    [(1.6, 0.25, False), (2.5, 0.2, False), (2.0, 0.0, True), (2.2, 0.2 / 2.2, True)],
)
def test_a_judgement_by_hand(measured, error, inside):
    row = judged_row(SEALED, {("a", "loss", "text"): measured})
    assert row["measured"] == measured
    assert row["relative_error"] == pytest.approx(error, rel=1e-12)
    assert row["inside"] is inside


def test_a_target_that_gave_nothing_is_not_judged():
    row = judged_row(SEALED, {("b", "loss", "text"): 2.0})
    assert (row["measured"], row["relative_error"], row["inside"]) == (None, None, None)
    row = judged_row(SEALED | {"lower": None, "upper": None}, {("a", "loss", "text"): 1.6})
    assert (row["relative_error"], row["inside"]) == (pytest.approx(0.25), None)


def test_nothing_is_sealed_after_a_target_has_begun(tmp_path):
    with pytest.raises(ScalebedError, match="a target has begun to train"):
        seal_study(seal_params(), CODE, tmp_path, [tmp_path / "state"], tmp_path / "seal.json")
    assert not (tmp_path / "seal.json").exists()


def test_a_seal_is_never_written_over(folder):
    before = (folder / "seal.json").read_bytes()
    with pytest.raises(ScalebedError, match="never written over"):
        seal_study(seal_params(), CODE, folder / "cells", [], folder / "seal.json")
    assert (folder / "seal.json").read_bytes() == before


def test_an_edited_seal_is_not_judged(folder, tmp_path):
    record = read_json(folder / "seal.json")
    record["predictions"][0]["upper"] += 1
    write_json(tmp_path / "seal.json", record)
    with pytest.raises(EditedSealError, match=r"seal\.json was edited"):
        judge_study(seal_params(), CODE, tmp_path / "seal.json", tmp_path, tmp_path, tmp_path / "x")
    write_json(tmp_path / "other.json", {"schema": "scalebed.seal"})
    with pytest.raises(ScalebedError, match="no seal of a study"):
        read_study_seal(tmp_path / "other.json")


def test_what_changed_since_the_seal_is_said(folder):
    record, cells = read_study_seal(folder / "seal.json"), folder / "cells"
    assert list(changes(record, seal_params(), CODE, cells)) == []
    params = seal_params()
    params["fit"]["draws"] = 300
    said = "the cells or the settings of the fits"
    assert list(changes(record, params, CODE, cells)) == [said]
    assert list(changes(record, seal_params(), "other", cells)) == ["the code that predicts"]
    params = seal_params()
    del params["targets"][0]
    assert list(changes(record, params, CODE, cells)) == ["the targets"]
    name = next(iter(record["digests"]["records"]))
    other = {**record["digests"]["records"], name: "0" * 64}
    record["digests"] = record["digests"] | {"records": other}
    # Sixteen cells of three data sets with three records each.
    assert list(changes(record, seal_params(), CODE, cells)) == ["1 of 144 records"]


def hand_made(path: Path, changed: list[str]) -> None:
    """Write a judgement of two losses and an error of a cell of the invented study."""
    cell = next(cell for cell in records.grid(("encyclopedia",)) if cell.size == "w160").path
    rows = [
        SEALED | {"response": "yardstick", "measured": 2.5, "relative_error": 0.2, "inside": False},
        SEALED | {"response": "code", "measured": 2.0, "relative_error": 0.0, "inside": True},
        SEALED
        | {"kind": "error", "response": "average", "predicted": 0.5, "lower": 0.4, "upper": 0.6}
        | {"measured": None, "relative_error": None, "inside": None},
    ]
    rows = [row | {"cell": cell, "dataset": "encyclopedia"} for row in rows]
    about = {"date": "2026-01-02T03:04:05+00:00", "digest": "ab" * 32, "refused": []}
    data = from_rows(JUDGED, rows, "x")
    seal = json.dumps(about | {"changes": changed})
    write_parquet(path, data.replace_schema_metadata({"seal": seal}))


@pytest.mark.parametrize("changed", [[], ["1 of 144 records", "the code that predicts"]])
def test_the_report_tells_hits_and_misses(changed, tmp_path_factory, tmp_path):
    study = records.shared_study(tmp_path_factory, "whole").parent
    hand_made(tmp_path / "judged.parquet", changed)
    sources = records.sources(study)._replace(judged=tmp_path / "judged.parquet")
    gather_study(records.gather_params(), sources, tmp_path / "study.duckdb")
    with StudyDatabase(tmp_path / "study.duckdb") as database:
        found = judged(database)
    assert found is not None
    assert [(row["response"], row["inside"]) for row in found["rows"]] == [
        *(("yardstick", False), ("code", True)),
        ("average", None),
    ]
    loss, error = found["summaries"]
    assert (loss["inside"], loss["bounded"], loss["mean"]) == (1, 2, pytest.approx(0.1))
    assert (error["judged"], error["unmeasured"], error["mean"]) == (0, 1, None)
    page = _environment().get_template("judged.html.j2").render(judged=found, anchors={})
    assert "<strong>1 of 2</strong> measured losses lie inside their 90\u00a0% interval" in page
    assert "mean relative error <strong>10.00\u00a0%</strong>" in page
    assert "no task error of a target was measured" in page
    assert page.count("outside") == 1 and page.count("30×") == 3
    said = "of other fits than this page"
    assert (said in page) == bool(changed)
    assert all(words in page for words in changed)


def test_a_study_without_a_seal_has_no_such_section(tmp_path_factory):
    with StudyDatabase(records.shared_study(tmp_path_factory, "whole")) as database:
        assert judged(database) is None
        assert database.rows("SELECT count(*) AS n FROM judged") == [{"n": 0}]


def test_the_ledger_has_a_line_a_study_and_kind(folder, tmp_path, capsys):
    place = tmp_path / "studies/x"
    place.mkdir(parents=True)
    shutil.copy(folder / "seal.json", place / "sealed.json")
    assert main(["ledger", str(tmp_path)]) == 0
    # Two losses on two data sets, four tasks and two averages on two; two targets each.
    said = capsys.readouterr().out
    assert "study x, 6 targets, 8 predictions of the loss: not judged yet" in said
    judgement(folder, place / "judged.parquet")
    rows = read_table(JUDGED, place / "judged.parquet").to_pylist()
    inside = {kind: [r["inside"] for r in rows if r["kind"] == kind] for kind in ("loss", "error")}
    # The seal itself, or a folder anywhere above: the same.
    for path in (tmp_path, place / "sealed.json"):
        assert main(["ledger", str(path)]) == 0
        said = capsys.readouterr().out
        for kind, found in inside.items():
            assert (
                f"{len(found)} predictions of the {kind}: {sum(found)} of {len(found)} inside, "
                "nominal 0.9"
            ) in said
        assert "no track record" in said
    assert main(["ledger", str(tmp_path), "--json"]) == 0
    (one,) = json.loads(capsys.readouterr().out)["studies"]
    assert [kind["inside"] for kind in one["kinds"]] == [sum(inside["loss"]), sum(inside["error"])]


def test_the_ledger_refuses_an_edited_seal_and_a_judgement_of_another(folder, tmp_path, capsys):
    record = read_json(folder / "seal.json")
    judgement(folder, tmp_path / "judged.parquet")
    other = record | {"date": "2020-01-01T00:00:00+00:00"}
    write_json(tmp_path / "sealed.json", other)
    assert main(["ledger", str(tmp_path)]) == 2
    assert "was edited after it was sealed" in capsys.readouterr().err
    write_json(tmp_path / "sealed.json", other | {"digest": seal_digest(other)})
    assert main(["ledger", str(tmp_path)]) == 2
    assert "judges another seal" in capsys.readouterr().err


def test_the_ledger_names_a_seal_that_cannot_be_read(folder, tmp_path, capsys):
    content = (folder / "seal.json").read_bytes()
    (tmp_path / "sealed.json").write_bytes(content[:-20])
    assert main(["ledger", str(tmp_path)]) == 2
    assert "sealed.json is not valid JSON" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("date", 2026),
        ("study", "a\nb"),
        ("targets", {}),
        ("predictions", [{"kind": "loss"}]),
        ("predictions", [{"kind": "other", "level": 0.9, "cell": "a", "response": "b"}]),
        ("digests", {"settings": "a", "code": "b"}),
        ("refused", None),
    ],
)
def test_a_forged_seal_is_refused_by_what_is_wrong_with_it(folder, tmp_path, key, value):
    record = read_json(folder / "seal.json") | {key: value}
    write_json(tmp_path / "sealed.json", record | {"digest": seal_digest(record)})
    with pytest.raises(ScalebedError, match=rf"sealed.json.*\b{key}\b.*, expected"):
        read_study_seal(tmp_path / "sealed.json")


def test_a_seal_that_was_deleted_is_put_back_from_its_copy(folder, tmp_path):
    out, kept = tmp_path / "sealed.json", tmp_path / "sealed.kept"
    shutil.copy(folder / "sealed.kept", kept)
    begun = [tmp_path / "state"]
    seal_study(seal_params(), CODE, tmp_path, begun, out)
    assert out.read_bytes() == (folder / "seal.json").read_bytes()
    # Neither over a seal that is there, nor from a copy that was edited.
    with pytest.raises(ScalebedError, match="a target has begun to train"):
        seal_study(seal_params(), CODE, tmp_path, begun, out)
    out.unlink()
    write_json(kept, read_json(kept) | {"study": "other"})
    with pytest.raises(ScalebedError, match=r"sealed\.kept was edited after it was sealed"):
        seal_study(seal_params(), CODE, tmp_path, begun, out)
