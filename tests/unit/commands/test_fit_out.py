"""Where `scalebed fit` writes, what it writes over, and which study a name is."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scalebed.commands.cli import main
from scalebed.commands.written import written
from scalebed.core.errors import ScalebedError
from scalebed.predict.open_study import open_study

QUICK = ("--interval", "bootstrap", "--draws", "100")


def table(path: Path) -> None:
    """Write six runs."""
    noise = np.random.default_rng(1)
    params = np.repeat([1e7, 4e7, 1.6e8], 2)
    tokens = params * np.tile([20, 80], 3)
    loss = (1.8 + 120 * params**-0.3 + 150 * tokens**-0.3) * (1 + 1e-3 * noise.normal(size=6))
    path.parent.mkdir(exist_ok=True)
    pd.DataFrame({"params": params, "tokens": tokens, "loss": loss}).to_csv(path, index=False)


def test_a_fit_is_named_after_its_table_and_says_what_it_writes_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    table(Path("ladder.csv"))
    table(Path("older/ladder.csv"))

    def last_line(path: str) -> str:
        assert main(["fit", path, *QUICK]) == 0
        return capsys.readouterr().out.splitlines()[-1]

    assert last_line("older/ladder.csv") == "written: ladder.fit.json"
    assert json.loads(Path("ladder.fit.json").read_text())["table"]["path"] == "older/ladder.csv"
    assert last_line("ladder.csv") == (
        "written: ladder.fit.json, in place of the fit of older/ladder.csv that was there"
    )
    assert sorted(path.name for path in tmp_path.glob("*.json")) == ["ladder.fit.json"]


@pytest.mark.parametrize(
    "content", ['{"mine": 1}', "[1]", "no JSON", '{"schema": "scalebed.seal"}']
)
def test_what_is_no_fit_is_never_written_over(
    content: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    table(Path("ladder.csv"))
    Path("ladder.fit.json").write_text(content)
    assert main(["fit", "ladder.csv", *QUICK]) == 2
    assert "ladder.fit.json exists and is no fit of scalebed" in capsys.readouterr().err
    assert Path("ladder.fit.json").read_text() == content


def test_the_line_on_a_file_says_whether_there_was_one() -> None:
    assert written(Path("a.parquet"), False) == "written: a.parquet"
    assert written(Path("a.parquet"), True).endswith("in place of the file that was there")


def test_a_folder_does_not_shadow_the_study_of_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("mine", "results/studies/mine", "results/studies/other", "only"):
        Path(folder).mkdir(parents=True)
    for text, folder in {
        "mine": "results/studies/mine",
        "./mine": "mine",
        "results/studies/mine": "results/studies/mine",
        "other": "results/studies/other",
        "only": "only",
    }.items():
        # None of them was fitted, so that the folder is named that would be read.
        with pytest.raises(ScalebedError, match=f"settings of {folder}/fits/fits.parquet"):
            open_study(text)
    with pytest.raises(ScalebedError, match="settings of results/studies/other/fits/"):
        open_study(Path("other"))
    with pytest.raises(ScalebedError, match="there is no study 'none'"):
        open_study("none")


def test_a_folder_is_no_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "runs.csv").mkdir()
    assert main(["fit", str(tmp_path / "runs.csv")]) == 2
    assert "runs.csv is a folder of no f" in capsys.readouterr().err
