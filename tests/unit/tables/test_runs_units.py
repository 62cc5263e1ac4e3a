"""Units of a table of runs are questioned: refused where certain, said where only likely."""

from pathlib import Path

import pytest

from scalebed.commands.cli import main
from scalebed.core.errors import ScalebedError
from scalebed.tables.runs_notes import notes
from scalebed.tables.runs_units import read_counted

GOOD = "params,tokens,loss\n7e7,1.4e9,3.5\n1.6e8,3.2e9,3.2\n4.1e8,8.2e9,2.9\n"


def written(folder: Path, text: str) -> Path:
    path = folder / "runs.csv"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "params,tokens,loss\n70,1.4e9,3.5\n160,3.2e9,3.2\n",
            "params is 70 .. 160 in all 2 runs that count, fewer than 1,000 parameters: is it in "
            "thousands, millions or billions? expected the number of parameters, 70000000 for 70M",
        ),
        (
            "params,tokens,loss\n7e7,1.4,3.5\n1.6e8,3.2,3.2\n",
            "tokens is 1.4 .. 3.2 in all 2 runs that count, fewer than 1,000 tokens: is it in",
        ),
        (
            "params,tokens,loss\n7e7,1.4e9,3.5\n1.6,3.2e9,3.2\n",
            "row 2: params is 1.6, which is 1.6 parameters, while others are up to 70M: is a unit",
        ),
        (
            "N,D,loss\n7,1.4e9,3.5\n7,3.2e9,3.2\n",
            "N is 7 in all 2 runs that count, fewer than 1,000 parameters: is it in thousands, "
            "millions or billions? expected the number of parameters, 70000000 for 70M "
            "(--column params=NAME reads another column)",
        ),
        (
            "params,tokens,unique_tokens,loss\n7e7,1.4e9,0.7,3.5\n",
            "unique_tokens is 0.7 in all 1 runs that count",
        ),
    ],
    ids=["N in millions", "D in billions", "one row", "guessed", "unique tokens"],
)
def test_counts_in_another_unit_are_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ScalebedError) as caught:
        read_counted(written(tmp_path, text))
    assert str(caught.value).startswith(f"{tmp_path / 'runs.csv'}")
    assert said in str(caught.value)


@pytest.mark.parametrize("name", ["size_M", "size (millions)", "size/B", "size k"])
def test_the_unit_in_the_name_of_a_column_counts(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, f"{name},tokens,loss\n1400,2.8e10,2.8\n7000,1.4e11,2.4\n")
    with pytest.raises(ScalebedError, match=r"is 1400 \.\. 7000 .* its name says"):
        read_counted(path, {"params": name})
    # What is in the unit of the law already is left alone, whatever the name.
    path = written(tmp_path, f"{name},tokens,loss\n1.4e9,2.8e10,2.8\n7e9,1.4e11,2.4\n")
    assert read_counted(path, {"params": name}).params.tolist() == [1.4e9, 7e9]


def test_rows_that_do_not_count_are_not_asked(tmp_path: Path) -> None:
    table = read_counted(written(tmp_path, GOOD + "7,8,\n"))
    assert table.finished.tolist() == [True, True, True, False]
    assert list(notes(table)) == ["1 run has no loss yet: row 4"]


@pytest.mark.parametrize(
    ("text", "columns", "said"),
    [
        (
            "params,tokens,loss\n7e7,1400,3.5\n1.6e8,3200,3.2\n",
            {},
            "tokens / params is 2e-05 .. 2e-05 in all runs, as of no language model: tokens or "
            "params may be in another unit",
        ),
        (
            "params,tokens,loss\n1400,2.8e10,2.8\n7000,1.4e11,2.4\n",
            {},
            "tokens / params is 2e+07 .. 2e+07 in all runs, as of no language model",
        ),
        (
            GOOD.replace("loss", "loss_bits"),
            {"loss": "loss_bits"},
            "column `loss_bits` is fitted as it is, though its name says bits",
        ),
        (GOOD.replace("loss", "val/bpb"), {"loss": "val/bpb"}, "though its name says bits"),
        (GOOD.replace("loss", "ppl"), {"loss": "ppl"}, "its name says perplexity"),
        (
            "params,tokens,loss\n7e7,1.4e9,33\n1.6e8,3.2e9,24.5\n",
            {},
            "loss is 24.5 .. 33 in all runs and read as nats per token, but guessing among 256,000 "
            "tokens has 12.5 nats: if these are perplexities, the loss is their logarithm",
        ),
        (
            "params,tokens,loss,flops\n7e7,1.4e9,3.5,0.588\n1.6e8,3.2e9,3.2,3.07\n",
            {},
            "; in every row they are about 1e-18 times 6 N D, so params, tokens or flops are in",
        ),
    ],
)
def test_what_is_only_likely_is_said(
    tmp_path: Path, text: str, columns: dict[str, str], said: str
) -> None:
    (note,) = (note for note in notes(read_counted(written(tmp_path, text), columns)))
    assert said in note


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        # FLOPs by another count, within a factor of three; a loss of some bits; M of 1 and 2,000.
        "params,tokens,loss,blobs,flops\n7e7,1.4e9,3.5,1,1.2e18\n",
        "params,tokens,loss\n1e6,1e6,9.5\n1e6,2e9,5.5\n",
        GOOD.replace("loss", "loss_rabbits"),
    ],
)
def test_usual_tables_are_not_questioned(tmp_path: Path, text: str) -> None:
    columns = {"loss": "loss_rabbits"} if "rabbits" in text else {}
    said = " ".join(notes(read_counted(written(tmp_path, text), columns)))
    for word in ("unit", "bits:", "perplex"):
        assert word not in said


@pytest.mark.parametrize("verb", [["fit"], ["decide", "--compute", "1e20"]])
def test_the_verbs_that_read_tables_refuse(
    verb: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, "params,tokens,loss\n70,1.4e9,3.5\n160,3.2e9,3.2\n")
    assert main([verb[0], str(path), *verb[1:]]) == 2
    assert "is it in thousands, millions or billions?" in capsys.readouterr().err
