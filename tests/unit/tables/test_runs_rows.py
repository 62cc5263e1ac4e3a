"""Tables of runs: other names of columns, and what rows are: runs, checkpoints, repeats."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scalebed.core.errors import ScalebedError
from scalebed.tables.designs import design_codes, near_codes
from scalebed.tables.imports.table import import_cells
from scalebed.tables.runs_file import read_runs
from scalebed.tables.runs_names import KEYS, parse_columns
from scalebed.tables.runs_notes import about, notes
from scalebed.tables.runs_table import RunTable

HEAD = "params,tokens,loss"
ZOO = Path(os.environ.get("SCALEBED_ZOO", Path(__file__).resolve().parents[4] / "shared" / "zoo"))


def read(folder: Path, text: str, *columns: str) -> RunTable:
    path = folder / "runs.csv"
    path.write_text(text)
    return read_runs(path, parse_columns(columns))


def groups(codes: np.ndarray) -> list[int]:
    """Codes by first appearance."""
    return pd.factorize(codes)[0].tolist()


def zoo(name: str) -> Path:
    path = ZOO / name
    if not path.is_file():
        pytest.skip(f"no {path}: SCALEBED_ZOO names the folder of public tables")
    return path


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["size=N"], "--column size=N: 'size' is unknown, expected one of params, tokens, loss"),
        (["params"], "--column params: cannot read 'params', expected KEY=NAME"),
        (["params="], "cannot read 'params=', expected KEY=NAME"),
        (["params=a", "tokens=b,params=c"], "params is given twice"),
        (["params=a,tokens=a"], "a is given for params and for tokens"),
    ],
)
def test_words_of_column_that_cannot_be_read_get_one_sentence(words, said):
    with pytest.raises(ScalebedError) as caught:
        parse_columns(words)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_key_lists_all_keys():
    with pytest.raises(ScalebedError, match=", ".join(KEYS)):
        parse_columns(["x=y"])


def test_a_column_that_the_file_lacks_lists_its_columns(tmp_path):
    with pytest.raises(ScalebedError, match=r"--column params=M: .* no column M; .* are a, b, c"):
        read(tmp_path, "a,b,c\n1,2,3\n", "params=M")


def test_columns_are_what_the_user_says(tmp_path):
    text = "x,params,y,loss_c4,loss,who\n10,1,20,3.5,9,007\n30,1,40,3.25,9,008\n"
    table = read(tmp_path, text, "params=x,tokens=y", "loss=loss_c4,run=who")
    assert table.params.tolist() == [10, 30]
    assert table.tokens.tolist() == [20, 40]
    assert {name: loss.tolist() for name, loss in table.losses.items()} == {"loss": [3.5, 3.25]}
    assert table.run is not None
    assert table.run.tolist() == ["007", "008"]
    assert table.ignored == ("params", "loss")
    assert about(table)["columns"] == {
        "params": "x",
        "tokens": "y",
        "loss": "loss_c4",
        "run": "who",
    }
    assert list(notes(table)) == []


@pytest.mark.parametrize("names", ["N,D,val/loss", "Model Size,tokens-seen,Final_Loss"])
def test_common_other_names_are_recognised_and_said(names, tmp_path):
    table = read(tmp_path, f"{names}\n10,20,3.5\n30,40,3.25\n")
    assert table.params.tolist() == [10, 30]
    assert table.tokens.tolist() == [20, 40]
    assert table.losses["loss"].tolist() == [3.5, 3.25]
    keys = zip(names.split(","), ("params", "tokens", "loss"), strict=True)
    assert list(notes(table)) == [f"column `{name}` is read as {key}" for name, key in keys]


def test_the_exact_name_wins_and_a_ratio_is_no_number_of_tokens(tmp_path):
    table = read(tmp_path, "Tokens/Params,N,tokens,D,loss,val_loss\n2,10,20,9,3.5,9\n")
    assert table.tokens.tolist() == [20]
    assert table.losses["loss"].tolist() == [3.5]
    assert table.ignored == ("Tokens/Params", "D", "val_loss")
    with pytest.raises(ScalebedError, match=r"no column tokens; .*--column tokens=NAME"):
        read(tmp_path, "Tokens/Params,N,loss\n2,10,3.5\n")


def test_two_candidates_are_refused_where_one_is_needed(tmp_path):
    with pytest.raises(ScalebedError) as caught:
        read(tmp_path, "N,D,val_loss,test_loss\n1,2,3,4\n")
    assert "columns `val_loss` and `test_loss` could each be loss" in str(caught.value)
    assert "--column loss=val_loss" in str(caught.value)


def test_two_candidates_of_another_key_are_not_read(tmp_path):
    table = read(tmp_path, f"{HEAD},Name,ID\n1,2,3,a,b\n2,3,4,c,d\n")
    assert table.run is None
    assert table.ignored == ("Name", "ID")
    (note,) = notes(table)
    assert note.startswith("columns `Name` and `ID` could each be run, and none is read as such")


GUESSES = {
    "compute": ("8xA100", "9xA100", "flops, as it does not hold numbers"),
    "C": ("-1", "5", "flops, as not all of its numbers are at least 0"),
    "unique": ("1", "99", "unique_tokens, as not all of its numbers are above 0 and at most its"),
    "state": ("Ohio", "finished", "status, as 'Ohio' is no status of a run that is known"),
    "run_name": ("a", "a", "run, as its name 'a' has several params"),
    "name": ("a", "", "run, as some of its cells are empty"),
    "id": ("0", "1", "run, as it only counts the rows"),
    "corpus": ("c4", "pile", "dataset, as nearly every row has another one"),
}


@pytest.mark.parametrize("name", GUESSES)
def test_a_guess_that_the_values_do_not_bear_out_is_taken_back(name, tmp_path):
    first, second, said = GUESSES[name]
    table = read(tmp_path, f"{HEAD},{name}\n1,20,3,{first}\n2,30,4,{second}\n")
    assert table.ignored == (name,)
    assert table.named == {}
    (note,) = notes(table)
    assert note.startswith(f"column `{name}` is not read as {said}")
    plain = read(tmp_path, f"{HEAD}\n1,20,3\n2,30,4\n")
    assert table.finished.tolist() == plain.finished.tolist()
    assert table.units.tolist() == plain.units.tolist()


def test_names_of_sizes_are_no_runs_unless_the_user_says_so(tmp_path):
    text = f"{HEAD},Model\n10,20,4,10M\n10,50,3.8,10M\n20,50,3.5,20M\n20,90,3.2,20M\n"
    assert read(tmp_path, text).run is None
    table = read(tmp_path, text, "run=Model")
    assert groups(table.units) == [0, 0, 1, 1]
    named = text.replace("10,50,3.8,10M", "10,50,3.8,10M-b")
    assert groups(read(tmp_path, named).units) == [0, 1, 2, 2]


def test_unique_tokens_are_read_and_cannot_exceed_tokens(tmp_path):
    table = read(tmp_path, f"{HEAD},U\n10,20,3,5\n10,20,3.1,20.001\n")
    assert table.unique_tokens is not None
    assert table.unique_tokens.tolist() == [5, 20.001]
    # Another amount of data is another design.
    assert groups(table.designs) == [0, 1]
    for value, shown in (("21", "21"), ("0", "0"), ("", "empty or NaN")):
        with pytest.raises(ScalebedError) as caught:
            read(tmp_path, f"{HEAD},unique_tokens\n10,20,3,5\n10,20,3,{value}\n")
        said = f"row 2: unique_tokens is {shown}, expected above 0 and at most its tokens"
        assert said in str(caught.value)


@pytest.mark.parametrize("word", ["finished", "Done", "COMPLETED", " success "])
def test_runs_that_finished_count(word, tmp_path):
    table = read(tmp_path, f"{HEAD},status\n1,2,3,{word}\n2,3,4,{word}\n")
    assert table.finished.all()
    assert about(table)["set_aside"] == []


def test_rows_that_are_no_finished_run_are_set_aside_by_name(tmp_path):
    text = (
        "run,params,tokens,loss,status\n"
        "a,1,2,3,finished\nb,2,3,9,crashed\nc,,,,running\nd,3,4,4,\ne,5,6,,finished\n"
    )
    table = read(tmp_path, text)
    assert table.finished.tolist() == [True, False, False, False, False]
    assert list(notes(table)) == [
        "3 rows are no finished run and are set aside: run b (crashed), run c (running), "
        "run d (no status)",
        "1 of 5 runs has no finite loss: run e",
    ]
    found = about(table)
    assert (found["rows"], found["finished"], found["unfinished"]) == (5, 1, 4)
    assert found["set_aside"] == [
        {"row": 2, "reason": "status crashed"},
        {"row": 3, "reason": "status running"},
        {"row": 4, "reason": "no status"},
        {"row": 5, "reason": "no finite loss"},
    ]
    unnamed = read(tmp_path, f"{HEAD},status\n1,2,3,finished\n2,3,9,killed\n")
    assert list(notes(unnamed)) == [
        "1 row is no finished run and is set aside: row 2 (killed)",
    ]


CONTRADICTIONS = {
    "params": ("a,1,2,3\nb,1,2,3\na,2,3,3\n", "params is 2 here and 1 there"),
    "tokens": ("a,1,2,3\nb,1,2,3\na,1,2,4\n", "both have tokens 2; expected"),
}


@pytest.mark.parametrize("case", CONTRADICTIONS)
def test_rows_that_are_no_checkpoints_of_their_run_are_refused(case, tmp_path):
    text, said = CONTRADICTIONS[case]
    with pytest.raises(ScalebedError) as caught:
        read(tmp_path, f"run,{HEAD}\n{text}")
    assert "row 3: run is 'a', the name of row 1 already" in str(caught.value)
    assert said in str(caught.value)


def test_equal_tokens_at_another_step_are_a_checkpoint(tmp_path):
    head = f"run,step,{HEAD}\n"
    assert read(tmp_path, f"{head}a,1,1,2,3\na,2,1,2,4\n").params.size == 2
    with pytest.raises(ScalebedError, match="both have tokens 2 and step 1"):
        read(tmp_path, f"{head}a,1,1,2,3\na,1,1,2,4\n")
    # What did not finish contradicts nothing.
    text = f"status,{head}crashed,a,1,1,2,3\nfinished,a,1,1,2,4\n"
    assert read(tmp_path, text).finished.tolist() == [False, True]


def test_of_a_run_that_finished_the_last_row_counts(tmp_path):
    text = (
        "run,dataset,params,tokens,loss,status\n"
        "a,x,1e6,9e6,3,finished\na,x,1e6,2e6,5,finished\na,y,1e6,2e6,5,finished\n"
        "b,x,1e6,4e6,4,finished\n"
    )
    table = read(tmp_path, text)
    assert table.finished.tolist() == [True, False, True, True]
    assert table.earlier.tolist() == [False, True, False, False]
    assert next(notes(table)) == (
        "1 row is an earlier checkpoint of runs that finished, set aside as their learning rate "
        "had not come down yet: run a (row 2)"
    )
    (aside,) = about(table)["set_aside"]
    assert aside == {
        "row": 2,
        "reason": "earlier checkpoint of run a, which finished: its learning rate had not come "
        "down yet",
    }
    assert about(table)["unfinished"] == 0
    cells = import_cells(table.path, {}).cells
    assert [cell["dataset"] for cell in cells] == ["x", "y", "x"]


def test_the_largest_step_is_the_last_row(tmp_path):
    text = f"run,step,{HEAD},status\na,9,1,5,3,done\na,4,1,6,4,done\n"
    assert read(tmp_path, text).finished.tolist() == [True, False]


def test_checkpoints_of_unknown_end_are_one_unit(tmp_path):
    table = read(tmp_path, f"run,{HEAD}\na,1,2,5\nb,1,2,4.9\na,1,4,4\nc,1,4,4.1\n")
    assert table.finished.all()
    assert groups(table.units) == [0, 1, 0, 2]
    assert groups(table.designs) == [0, 0, 1, 1]
    said = list(notes(table))
    assert said[0] == (
        "2 rows are checkpoints of 1 run, and those of one run are not independent: "
        "run a (rows 1, 3)"
    )
    assert about(table)["runs"] == 3


def test_equal_designs_are_repeats(tmp_path):
    text = f"seed,dataset,{HEAD}\n0,x,10,20,3\n1,x,10,20.00001,3.1\n0,y,10,20,3\n0,x,10,21,3\n"
    table = read(tmp_path, text)
    assert table.seed is not None
    assert table.seed.tolist() == ["0", "1", "0", "0"]
    assert groups(table.designs) == [0, 0, 1, 2]
    assert groups(table.units) == [0, 1, 2, 3]
    assert list(notes(table)) == [
        "2 rows are repeats of 1 design (equal params and tokens): seeds of one design show how "
        "far runs scatter, not how far the law is off"
    ]


def test_trunks_are_told_apart_and_rows_without_one_stand_alone(tmp_path):
    text = f"trunk,dataset,{HEAD}\nt,x,1,2,3\nt,x,1,3,3\nt,y,1,2,3\n,x,1,5,3\n,x,1,6,3\n"
    assert groups(read(tmp_path, text).trunks) == [0, 0, 1, 2, 3]
    assert groups(read(tmp_path, f"{HEAD}\n1,2,3\n1,3,3\n").trunks) == [0, 1]


def curve(tokens, params=2e7, head="", tail=""):
    return "".join(f"{head}{params},{d},{2 + 50 * d**-0.3}{tail}\n" for d in tokens)


def test_equally_spaced_token_counts_of_one_size_are_taken_as_one_run(tmp_path):
    tokens = [k * 1e8 for k in range(1, 43) if k not in (7, 8)]
    table = read(tmp_path, f"{HEAD}\n9e6,1e8,5\n{curve(tokens)}")
    assert groups(table.units) == [0] + [1] * 40
    assert list(notes(table)) == [
        "rows 2, 3, 4, 5, 6, ... look like checkpoints of one run (size 2e+07: 40 equally spaced "
        "token counts): they are taken as one run; a column run says otherwise"
    ]
    named = "".join(f"r{i}," + line + "\n" for i, line in enumerate(curve(tokens).splitlines()))
    other = read(tmp_path, f"run,{HEAD}\n{named}")
    assert np.unique(other.units).size == 40
    assert list(notes(other)) == []


@pytest.mark.parametrize(
    "tokens",
    [
        [1e8, 2e8, 3e8, 4e8],
        [2e8, 4e8, 8e8, 16e8, 32e8],
        [10e8, 15e8, 20e8, 50e8, 100e8, 250e8, 500e8],
        [1e8, 2e8, 3.1e8, 4e8, 5e8, 6e8],
    ],
)
def test_other_token_counts_are_no_checkpoints(tokens, tmp_path):
    table = read(tmp_path, f"{HEAD}\n{curve(tokens)}")
    assert np.unique(table.units).size == len(tokens)
    assert list(notes(table)) == []


def test_losses_that_do_not_fall_are_no_checkpoints(tmp_path):
    rows = "".join(f"1e7,{k}e8,{3 + k / 10}\n" for k in range(1, 9))
    assert np.unique(read(tmp_path, f"{HEAD}\n{rows}").units).size == 8


def test_seeds_data_sets_and_unique_tokens_keep_curves_apart(tmp_path):
    tokens = [k * 1e8 for k in range(1, 7)]
    for column in ("seed", "dataset"):
        text = curve(tokens, tail=",0") + curve(tokens, tail=",1")
        table = read(tmp_path, f"{HEAD},{column}\n{text}")
        assert groups(table.units) == [0] * 6 + [1] * 6
        assert "2 runs" in next(notes(table))
    both = curve(tokens) + "".join(f"2e7,{d},{2.01 + 50 * d**-0.3}\n" for d in tokens)
    assert groups(read(tmp_path, f"{HEAD}\n{both}").units) == [0] * 12


def test_an_export_of_weights_and_biases_is_read_as_it_is(tmp_path):
    text = (
        '"Name","State","Created","_step","model_params","tokens_seen","eval/loss"\n'
        '"ruby-1","finished","2026-01-01","100","1.1e7","2.2e8","5.3"\n'
        '"ruby-2","finished","2026-01-02","200","1.1e7","4.4e8","5.1"\n'
        '"ruby-3","crashed","2026-01-03","","3.3e7","","NaN"\n'
        '"ruby-4","failed","2026-01-03","17","3.3e7","1e7","8.1"\n'
    )
    table = read(tmp_path, text)
    assert table.named == {
        "params": "model_params",
        "tokens": "tokens_seen",
        "loss": "eval/loss",
        "run": "Name",
        "status": "State",
        "step": "_step",
    }
    assert table.finished.tolist() == [True, True, False, False]
    assert table.ignored == ("Created",)
    assert list(notes(table))[-1] == (
        "2 rows are no finished run and are set aside: run ruby-3 (crashed), run ruby-4 (failed)"
    )
    cells = import_cells(table.path, {}).cells
    assert [cell["reason"] for cell in cells] == [
        *(None, None, "run ruby-4 of runs.csv has status failed"),
    ]


def test_the_table_of_sardana_et_al_is_read_without_options():
    table = read_runs(zoo("sardana.csv"))
    assert table.finished.sum() == np.unique(table.units).size == 47
    assert table.named == {"params": "Parameters", "tokens": "Tokens", "loss": "Smoothed Loss"}
    assert "Tokens/Params" in table.ignored
    assert list(notes(table))[3].startswith(
        "column `Model Name` is not read as run, as its names are those of sizes"
    )


def test_the_table_of_muennighoff_et_al_is_read_without_options():
    table = read_runs(zoo("data_constrained_train.csv"))
    assert table.finished.sum() == 161
    assert table.unique_tokens is not None
    assert (table.unique_tokens < table.tokens).any()


def test_codes_of_numbers_that_are_nearly_equal():
    values = np.array([2.0, 1.0, 2.000001, np.nan, 1.1, np.nan])
    codes = near_codes(values)
    assert codes[0] == codes[2]
    assert np.unique(codes).size == 5
    assert near_codes(np.array([])).size == 0
    rng = np.random.default_rng(0)
    sets, params, tokens = (rng.integers(0, 4, 400) for _ in range(3))
    found = design_codes(sets, params + 1.0, tokens + 1.0)
    wanted = pd.DataFrame({"s": sets, "n": params, "d": tokens}).groupby(["s", "n", "d"]).ngroup()
    same = found[:, None] == found
    np.testing.assert_array_equal(same, wanted.to_numpy()[:, None] == wanted.to_numpy())
