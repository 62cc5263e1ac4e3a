"""A ladder from a table of runs with the files of their curves."""

import json

import numpy as np
import pandas as pd
import pytest

from scalebed.commands.cli import main
from scalebed.core.errors import ScalebedError
from scalebed.watch.ladder import ratio_at
from scalebed.watch.table_ladder import read_table_ladder

FRACTION = np.linspace(0.01, 1, 100)


def shape(params):
    """Loss over the final one, by hand: 1 at the end, N^.1 of 1 - f above it before."""
    return 1 + (params / 1e6) ** 0.1 * (1 - FRACTION)


@pytest.fixture
def table(tmp_path):
    """Six runs of two sizes; curves with tokens, with steps alone, and one in a folder."""
    (tmp_path / "curves").mkdir()
    rows = []
    for params in (1e6, 2e6):
        for ratio in (10, 20, 40):
            tokens, final = params * ratio, 3.0 + 1e6 / params
            name = f"curves/{params:g}-{ratio}.csv"
            progress = {"tokens": FRACTION * tokens}
            if ratio == 20:
                progress = {"step": np.arange(1, 101)}
            curve = pd.DataFrame(progress | {"loss": final * shape(params)})
            curve.to_csv(tmp_path / name, index=False)
            rows.append((f"{params:g}-{ratio}", params, tokens, final, final + 1, name))
    columns = ["run", "params", "tokens", "loss", "loss_books", "curve"]
    frame = pd.DataFrame(rows, columns=columns)
    frame.loc[len(frame)] = ["uncurved", 4e6, 4e7, 3.2, 4.2, None]
    frame.to_csv(tmp_path / "runs.csv", index=False)
    return tmp_path / "runs.csv"


def test_rungs_are_the_runs_that_name_a_curve(table):
    rungs = read_table_ladder(table, None, None)
    assert [rung.name for rung in rungs] == [
        f"run {n}-{m}" for n in ("1e+06", "2e+06") for m in (10, 20, 40)
    ]
    for rung in rungs:
        assert rung.final == pytest.approx(3 + 1e6 / rung.params)
        assert rung.fraction == pytest.approx(FRACTION)
        assert rung.loss == pytest.approx(rung.final * shape(rung.params))
    assert read_table_ladder(table, "all", "loss_books")[0].final == pytest.approx(5.0)
    # At half of the way the mean over the last 5 % lies at f = .48, of either size.
    ratio = ratio_at(rungs, 0.5, (1e6, 1.5e7), 0.9)
    assert ratio.value == pytest.approx(np.log(1.52), abs=1e-3)
    assert "all smaller" not in ratio.words
    assert "6 runs of the ladder at this fraction, all smaller than it" in (
        ratio_at(rungs, 0.5, (4e6, 4e7), 0.9).words
    )


def test_a_run_is_watched_beside_a_table(table, tmp_path, capsys):
    tokens, seen = 3e7, FRACTION <= 0.5
    columns = {"tokens": FRACTION[seen] * tokens, "loss": 3.5 * shape(2e6)[seen]}
    pd.DataFrame(columns).to_csv(tmp_path / "live.csv", index=False)
    words = ["watch", str(tmp_path / "live.csv"), "--source", str(table), "--json"]
    main([*words, "--target", "params=2M,tokens=30M"])
    found = json.loads(capsys.readouterr().out)["forecast"]
    assert found["end_alone"]["predicted"] == pytest.approx(3.5, rel=0.01)


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda frame: frame.drop(columns="curve"), "has no column curve"),
        (lambda frame: frame.assign(curve=None), "no finished runs of 'all' with a curve"),
        (lambda frame: frame.assign(curve="none.csv"), "no such file"),
    ],
)
def test_what_is_no_ladder_is_refused_in_a_sentence(table, edit, said):
    edit(pd.read_csv(table)).to_csv(table, index=False)
    with pytest.raises(ScalebedError, match=said):
        read_table_ladder(table, None, None)


def test_a_curve_that_ends_before_its_run_is_refused(table):
    curve = pd.DataFrame({"tokens": FRACTION * 0.9e7, "loss": 3.0})
    curve.to_csv(table.parent / "curves" / "1e+06-10.csv", index=False)
    said = r"run 1e\+06-10: .* ends at 9M tokens, expected the 10M"
    with pytest.raises(ScalebedError, match=said):
        read_table_ladder(table, None, None)


def test_a_response_or_data_set_that_is_not_there_is_refused(table):
    with pytest.raises(ScalebedError, match="no column 'loss_web', expected one of loss, loss_bo"):
        read_table_ladder(table, None, "loss_web")
    with pytest.raises(ScalebedError, match="no finished runs of 'web'"):
        read_table_ladder(table, "web", None)
