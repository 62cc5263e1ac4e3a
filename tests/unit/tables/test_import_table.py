"""Tables of runs: what is read, and one sentence for everything that cannot be."""

import numpy as np
import pandas as pd
import pytest

from scalebed.core.cells import ALL
from scalebed.core.errors import ScalebedError
from scalebed.tables.runs_file import read_runs
from scalebed.tables.runs_notes import about, notes, repeats_note

HEAD = "params,tokens,loss\n"
GOOD = HEAD + "1e7,2e8,5.4\n8e7,1.6e9,3.9\n"


def written(folder, text, name="runs.csv"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_columns_are_read_as_they_stand(tmp_path):
    text = (
        "run, dataset,params,tokens,loss,loss_c4,error,error_arc,stderr,flops,note\n"
        "007,c4,10,20,5.5,5.25,0.75,0.5,0.01,1200,hello\n"
        "008,pile,30,40,4.5,,,0.25,,7200,\n"
    )
    table = read_runs(written(tmp_path, text))
    assert table.run.tolist() == ["007", "008"]
    assert table.dataset.tolist() == ["c4", "pile"]
    assert table.params.tolist() == [10, 30]
    assert table.tokens.tolist() == [20, 40]
    assert table.flops.tolist() == [1200, 7200]
    assert list(table.losses) == ["loss", "loss_c4"]
    assert np.isnan(table.losses["loss_c4"][1])
    assert list(table.errors) == ["error", "error_arc"]
    assert np.isnan(table.errors["error"][1])
    assert table.errors["error_arc"].tolist() == [0.5, 0.25]
    assert table.stderr[0] == 0.01
    assert table.ignored == ("note",)


def test_a_table_without_data_sets_is_one(tmp_path):
    table = read_runs(written(tmp_path, GOOD))
    assert set(table.dataset) == {ALL}
    assert table.run is table.flops is table.stderr is None


@pytest.mark.parametrize("value", ["nan", "NaN", "inf", "-inf", "0", "-1.5"])
def test_a_run_without_a_usable_loss_did_not_finish(value, tmp_path):
    table = read_runs(written(tmp_path, GOOD + f"9e7,3e9,{value}\n"))
    assert table.finished.tolist() == [True, True, False]
    assert list(notes(table)) == ["1 of 3 runs has no finite loss: row 3"]


def test_parquet_and_csv_and_tsv_are_the_same(tmp_path):
    frame = pd.DataFrame(
        {"params": [10, 30], "tokens": [2.5, 4], "loss": [5.5, np.nan], "dataset": ["x", "y"]}
    )
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_csv(tmp_path / "a.tsv", index=False, sep="\t")
    frame.to_parquet(tmp_path / "a.parquet")
    first, *others = (read_runs(tmp_path / f"a.{end}") for end in ("csv", "tsv", "parquet"))
    for other in others:
        assert other.dataset.tolist() == first.dataset.tolist()
        for name in ("params", "tokens"):
            assert getattr(other, name).tolist() == getattr(first, name).tolist()
        np.testing.assert_array_equal(other.losses["loss"], first.losses["loss"])


def test_flops_far_from_6nd_are_noted_and_near_ones_are_not(tmp_path):
    text = "params,tokens,loss,flops\n10,10,5,600\n10,20,4,1255\n10,30,3,2000\n"
    (note,) = notes(read_runs(written(tmp_path, text)))
    assert note.startswith("flops of 1 of 3 runs differ from 6 N D by more than 5 %: row 3 has")


REFUSALS = {
    "missing column": ("params,loss\n1,2\n", ["no column tokens", "params, loss"]),
    "two missing": ("a,loss\n1,2\n", ["no columns params, tokens", "a, loss"]),
    "text": (GOOD + "7Q,1e9,3\n", ["row 3", "params", "'7Q'", "number, such as 1.2e9 or 7B"]),
    "unit in a loss": (GOOD + "7B,1e9,3B\n", ["row 3", "loss", "'3B'", "number"]),
    "text in a loss": (GOOD + "7e9,1e9,oops\n", ["row 3", "loss", "'oops'"]),
    "truth value": ("params,tokens,loss\ntrue,1,2\n", ["row 1", "params", "number"]),
    "zero params": (GOOD + "0,1e9,3\n", ["row 3", "params is 0", "above 0"]),
    "negative tokens": (GOOD + "1e7,-5,3\n", ["row 3", "tokens is -5"]),
    "no params": (GOOD + ",5,3\n", ["row 3", "params is empty or NaN"]),
    "infinite tokens": (GOOD + "1e7,inf,3\n", ["row 3", "tokens is inf"]),
    "same run": (
        "run,params,tokens,loss\na,1,2,3\nb,1,2,3\na,2,2,3\n",
        ["row 3", "run is 'a'", "row 1"],
    ),
    "no run": ("run,params,tokens,loss\n,1,2,3\n", ["row 1", "run is empty"]),
    "no data set": ("dataset,params,tokens,loss\nx,1,2,3\n,1,2,4\n", ["row 2", "dataset is empty"]),
    "error above 1": ("params,tokens,loss,error\n1,2,3,54\n", ["row 1", "error is 54", "0 .. 1"]),
    "task error below 0": (
        "params,tokens,loss,error_arc\n1,2,3,-0.1\n",
        ["row 1", "error_arc is -0.1"],
    ),
    "negative stderr": (
        "params,tokens,loss,error,stderr\n1,2,3,0.5,-1\n",
        ["row 1", "stderr is -1"],
    ),
    "stderr of nothing": ("params,tokens,loss,stderr\n1,2,3,0.5\n", ["stderr", "no column error"]),
    "negative flops": ("params,tokens,loss,flops\n1,2,3,-1\n", ["row 1", "flops is -1"]),
    "duplicate column": ("params,tokens,loss,loss\n1,2,3,4\n", ["2 columns called 'loss'"]),
    "empty": ("", ["is empty"]),
    "header only": (HEAD, ["no rows"]),
    "ragged": (GOOD + "1,2,3,4\n", ["not a readable csv", "4"]),
    "binary": (b"\x00\xff\x01\x9c" * 50, ["not a readable csv", "no text"]),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refusals_are_one_sentence_with_file_row_column_and_value(case, tmp_path):
    text, words = REFUSALS[case]
    with pytest.raises(ScalebedError) as caught:
        read_runs(written(tmp_path, text))
    message = str(caught.value)
    assert "\n" not in message
    for word in ["runs.csv", *words]:
        assert word in message


REPEATS = {
    "same row": (GOOD + "1e7,2e8,5.4\n", GOOD, [(3, 1)]),
    "three times": (GOOD + "8e7,1.6e9,3.9\n" * 2, GOOD, [(3, 2), (4, 2)]),
    "interleaved": (
        HEAD + "3,2,3\n1,2,3\n3,2,3\n1,2,3\n2,2,3\n",
        HEAD + "3,2,3\n1,2,3\n2,2,3\n",
        [(3, 1), (4, 2)],
    ),
    "unfinished": (GOOD + "1,2,nan\n1,2,nan\n", GOOD + "1,2,nan\n", [(4, 3)]),
    "planned": (GOOD + "1,2,\n1,2,\n", GOOD + "1,2,\n", [(4, 3)]),
    "same name": (
        "run,params,tokens,loss\na,1,2,3\nb,1,2,3\na,1,2,3\n",
        "run,params,tokens,loss\na,1,2,3\nb,1,2,3\n",
        [(3, 1)],
    ),
    "everything": (
        "dataset,params,tokens,loss,error,stderr,flops,note\n"
        "x,1,2,3,.5,.1,12,\ny,1,2,3,.5,.1,12,\nx,1,2,3,.5,.1,12,\nx,1,2,3,.5,.1,12,no\n",
        "dataset,params,tokens,loss,error,stderr,flops,note\n"
        "x,1,2,3,.5,.1,12,\ny,1,2,3,.5,.1,12,\nx,1,2,3,.5,.1,12,no\n",
        [(3, 1)],
    ),
}


@pytest.mark.parametrize("case", REPEATS)
def test_a_row_that_repeats_another_counts_once(case, tmp_path):
    text, once, pairs = REPEATS[case]
    table = read_runs(written(tmp_path, text))
    assert table.repeats == tuple(pairs)
    expected = read_runs(written(tmp_path, once))
    assert expected.repeats == ()
    for name in ("dataset", "params", "tokens"):
        np.testing.assert_array_equal(getattr(table, name), getattr(expected, name))
    for name in ("run", "flops", "stderr"):
        one, other = getattr(table, name), getattr(expected, name)
        assert (one is None) == (other is None)
        assert one is None or one.tolist() == other.tolist()
    for found, wanted in ((table.losses, expected.losses), (table.errors, expected.errors)):
        assert list(found) == list(wanted)
        for name in found:
            np.testing.assert_array_equal(found[name], wanted[name])


def test_repeats_are_named_in_one_sentence(tmp_path):
    table = read_runs(written(tmp_path, GOOD + "1e7,2e8,5.4\n"))
    (note,) = notes(table)
    assert note == repeats_note(table)
    assert note.endswith(
        "runs.csv row 3 repeats row 1 in all columns and is left out; "
        "a column run tells two equal runs apart"
    )
    note = repeats_note(read_runs(written(tmp_path, GOOD + "1e7,2e8,5.4\n8e7,1.6e9,3.9\n" * 6)))
    assert "12 rows that repeat another in all columns are left out: row 3 repeats row 1," in note
    assert "row 12 repeats row 2 and 2 more; a column run" in note
    assert "row 13" not in note
    named = "run,params,tokens,loss\n" + "a,1,2,3\n" * 3
    note = repeats_note(read_runs(written(tmp_path, named)))
    assert note.endswith("are left out: row 2 repeats row 1, row 3 repeats row 1")
    assert repeats_note(read_runs(written(tmp_path, GOOD))) == ""


def test_rows_keep_the_numbers_they_have_in_the_file(tmp_path):
    table = read_runs(written(tmp_path, GOOD + "1e7,2e8,5.4\n7,8,nan\n"))
    assert table.rows.tolist() == [1, 2, 4]
    assert about(table)["first_unfinished_rows"] == [4]
    assert list(notes(table))[1:] == ["1 of 3 runs has no finite loss: row 4"]
    text = "params,tokens,loss,flops\n10,10,5,600\n10,10,5,600\n10,30,3,2000\n"
    assert "5 %: row 3 has" in list(notes(read_runs(written(tmp_path, text))))[-1]
    text = "run,params,tokens,loss\na,1,2,3\na,1,2,3\nb,1,2,3\nb,2,2,3\n"
    with pytest.raises(ScalebedError, match=r"row 4: run is 'b', the name of row 3 already"):
        read_runs(written(tmp_path, text))


def test_seeds_are_no_repeats(tmp_path):
    table = read_runs(written(tmp_path, GOOD + "1e7,2e8,5.5\n1e7,2e8,5.6\n"))
    assert table.repeats == ()
    assert table.params.size == 4


def test_an_index_of_pandas_is_compared_if_it_has_a_name(tmp_path):
    frame = pd.DataFrame({"dataset": ["x", "y"], "params": 1, "tokens": 2, "loss": 3.0})
    frame.set_index("dataset").to_parquet(tmp_path / "a.parquet")
    assert read_runs(tmp_path / "a.parquet").repeats == ()
    frame.assign(dataset="x").set_index(pd.Index([7, 5])).to_parquet(tmp_path / "b.parquet")
    assert read_runs(tmp_path / "b.parquet").repeats == ((2, 1),)


def test_equal_runs_with_names_are_two_runs(tmp_path):
    text = "run,params,tokens,loss\na,1,2,3\nb,1,2,3\n"
    assert read_runs(written(tmp_path, text)).params.size == 2


def test_a_run_name_may_return_in_another_data_set(tmp_path):
    text = "run,dataset,params,tokens,loss\na,x,1,2,3\na,y,1,2,3\n"
    assert read_runs(written(tmp_path, text)).params.size == 2


def test_missing_and_foreign_files_are_refused(tmp_path):
    with pytest.raises(ScalebedError, match=r"cannot read .*none\.csv"):
        read_runs(tmp_path / "none.csv")
    with pytest.raises(ScalebedError, match=r"expected \.csv, \.tsv or \.parquet"):
        read_runs(written(tmp_path, GOOD, "runs.xlsx"))
    with pytest.raises(ScalebedError, match=r"cannot read .*: no such file"):
        read_runs(tmp_path.with_suffix(".csv"))
    with pytest.raises(ScalebedError, match="is empty"):
        read_runs(written(tmp_path, "", "none.parquet"))
    with pytest.raises(ScalebedError, match="not a readable parquet"):
        read_runs(written(tmp_path, GOOD, "runs.parquet"))
