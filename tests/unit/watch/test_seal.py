"""Seals: what is sealed, what is refused, what edits do, and how they are judged."""

import json

import numpy as np
import pandas as pd
import pytest

from scalebed.commands.cli import main
from scalebed.core.errors import ScalebedError
from scalebed.laws import get_law
from scalebed.watch.judging import judge, read_entries, track_of
from scalebed.watch.seals import numbers_digest, read_seal, seal_digest, transform

TRUTH = np.array([1.84, 166.0, 287.0, 0.273])
DRAWS = ("--draws", "400")
TARGET = ("--target", "params=2B,tokens=40B")
DATE = ("--date", "2026-01-31")


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """A folder with a table whose law is known."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(3)
    params = np.repeat(10 ** np.linspace(7, 9, 7), 3)
    tokens = params * np.tile([10.0, 30.0, 90.0], 7)
    loss = get_law("tied").predict(TRUTH, (params, tokens))
    loss *= 1 + 0.003 * rng.standard_normal(params.size)
    frame = pd.DataFrame({"params": params, "tokens": tokens, "loss": loss})
    frame.to_csv("runs.csv", index=False)
    return tmp_path


def seal(out="seal.json", *words):
    return main(["seal", "runs.csv", *TARGET, *DRAWS, *DATE, "--out", out, *words])


def test_a_seal_holds_the_prediction_what_it_rests_on_and_its_digest(runs, capsys):
    assert seal("seal.json", "--note", "path to the large run") == 0
    record, said = read_seal("seal.json"), capsys.readouterr().out
    truth = float(get_law("tied").predict(TRUTH, (np.array([2e9]), np.array([4e10])))[0])
    assert record["prediction"]["lower"] < truth < record["prediction"]["upper"]
    assert record["target"] == {"params": 2e9, "tokens": 4e10, "unique_tokens": None}
    assert record["date"] == "2026-01-31T00:00:00+00:00"
    assert len(record["rests_on"]) == 21
    assert (record["numbers"], record["despite_evidence"]) == ("found", [])
    assert set(record["digests"]) == {"draws", "data", "code"}
    assert record["digest"] == seal_digest(record)
    assert record["digest"] in said
    assert "path to the large run" in said
    assert f"{record['prediction']['predicted']:.4f}" in said


def test_a_seal_says_that_repeated_tokens_are_taken_for_new_ones(runs):
    assert seal("seal.json") == 0
    assert "no token is seen twice" in read_seal("seal.json")["assumptions"]
    words = ["--target", "params=2B,tokens=40B,unique=10B", *DRAWS, "--out", "repeated.json"]
    assert main(["seal", "runs.csv", *words]) == 0
    *_, tokens_said, note = read_seal("repeated.json")["assumptions"]
    assert tokens_said.endswith("unique ones, repeated")
    assert note.startswith("law chinchilla knows no repetitions, so this is predicted as if all")


def test_the_same_seal_has_the_same_digest(runs):
    assert seal("one.json") == seal("two.json") == 0
    assert read_seal("one.json") == read_seal("two.json")


def test_a_seal_is_never_written_over(runs, capsys):
    assert seal() == 0
    before = (runs / "seal.json").read_bytes()
    assert seal() == 2
    assert "seal.json exists" in capsys.readouterr().err
    assert (runs / "seal.json").read_bytes() == before


@pytest.mark.parametrize("key", ["lower", "digest", "note"])
def test_an_edited_seal_is_named_and_refused_by_every_verb(runs, capsys, key):
    assert seal() == 0
    record = json.loads((runs / "seal.json").read_text())
    if key == "lower":
        record["prediction"]["lower"] -= 0.1
    else:
        record[key] = "0" * 64
    (runs / "seal.json").write_text(json.dumps(record))
    (runs / "curve.csv").write_text("tokens,loss\n1e9,3\n")
    for words in (
        ["judge", "seal.json", "--loss", "2.5"],
        ["watch", "curve.csv", "--seal", "seal.json", "--source", "x"],
        ["ledger", "."],
    ):
        assert main(words) == 2
        assert "seal.json was edited after it was sealed" in capsys.readouterr().err
    assert not (runs / "seal.judged.json").exists()


def test_what_the_evidence_speaks_against_is_refused_and_sealed_only_with_a_word_on_it(
    runs, capsys
):
    # Larger models that train far worse than smaller ones promise.
    frame = pd.read_csv("runs.csv")
    frame.loc[frame.params > 5e8, "loss"] *= 1.08
    frame.to_csv("runs.csv", index=False)
    assert seal() == 2
    error = capsys.readouterr().err
    assert "nothing is sealed" in error
    assert "--despite-evidence" in error
    assert not (runs / "seal.json").exists()
    assert seal("seal.json", "--despite-evidence") == 0
    assert "sealed despite the evidence" in capsys.readouterr().out
    assert read_seal("seal.json")["despite_evidence"]
    assert main(["judge", "seal.json", "--loss", "2.5"]) == 0
    assert "sealed despite the evidence" in capsys.readouterr().out
    assert main(["ledger", "."]) == 0
    assert "despite the evidence" in capsys.readouterr().out


def test_constants_have_no_interval_to_seal(runs, capsys):
    words = ["--law", "tied", "--params", "E=1.84,A=166,B=287,alpha=.273", *TARGET]
    assert main(["seal", *words, "--out", "seal.json"]) == 2
    assert "no interval" in capsys.readouterr().err


def test_the_transform_is_the_share_of_the_draws_below(runs):
    assert seal() == 0
    record = read_seal("seal.json")
    quantiles = record["prediction"]["quantiles"]
    assert transform(record, quantiles[25]) == pytest.approx(0.25)
    assert transform(record, quantiles[0] - 1) == 0.0
    assert transform(record, quantiles[-1] + 1) == 1.0
    middle = (quantiles[60] + quantiles[61]) / 2
    assert transform(record, middle) == pytest.approx(0.605)


def test_a_judgement_says_inside_or_outside_and_how_far(runs, capsys):
    assert seal() == 0
    said = read_seal("seal.json")["prediction"]
    middle, half = (said["lower"] + said["upper"]) / 2, (said["upper"] - said["lower"]) / 2
    assert main(["judge", "seal.json", "--loss", f"{middle + 2 * half!r}"]) == 0
    out = capsys.readouterr().out
    assert "is outside" in out
    assert "2.00 half-widths off" in out
    found = json.loads((runs / "seal.judged.json").read_text())
    assert found["inside"] is False
    assert found["half_widths"] == pytest.approx(2.0)
    assert main(["judge", "seal.json", "--loss", f"{middle!r}"]) == 2
    assert "was judged already" in capsys.readouterr().err
    assert main(["judge", "seal.json", "--loss", f"{middle!r}", "--again"]) == 0
    assert "is inside" in capsys.readouterr().out


def test_a_run_that_a_table_has_now_is_judged(runs, capsys):
    assert seal() == 0
    row = "params,tokens,loss\n2.004e9,4e10,2.6\n1e9,4e10,2.7\n"
    (runs / "now.csv").write_text(row)
    capsys.readouterr()
    assert main(["judge", "seal.json", "--runs", "now.csv", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["measured"] == 2.6
    (runs / "now.csv").write_text("params,tokens,loss\n1e9,4e10,2.7\n")
    assert main(["judge", "seal.json", "--runs", "now.csv", "--again"]) == 2
    assert "no finished run" in capsys.readouterr().err


def judged(tmp_path, values, level=0.9):
    """Seals of a standard normal about 10, judged by some values."""
    from scipy.special import ndtri

    from scalebed.core.files import write_json

    shares = np.clip(np.linspace(0, 1, 101), 1e-4, 1 - 1e-4)
    quantiles = (10 + ndtri(shares)).tolist()
    tail = (1 + level) / 2
    for i, value in enumerate(values):
        record = {
            "schema": "scalebed.seal",
            "version": 1,
            "date": f"2026-01-{i % 28 + 1:02d}T00:00:00+00:00",
            "dataset": "web",
            "target": {"params": 1e9, "tokens": 2e10, "unique_tokens": None},
            "despite_evidence": [],
            "prediction": {"predicted": 10.0, "level": level, "quantiles": quantiles}
            | {"response": "loss", "kind": "loss"}
            | {"lower": 10 - float(ndtri(tail)), "upper": 10 + float(ndtri(tail))},
        }
        record["digest"] = seal_digest(record)
        write_json(tmp_path / f"{i:03d}.json", record)
        write_json(tmp_path / f"{i:03d}.judged.json", judge(record, float(value), record["date"]))
    return read_entries([tmp_path])[0]


def test_a_ledger_of_honest_predictions_is_compatible_with_the_level(tmp_path):
    track = track_of(judged(tmp_path, 10 + np.random.default_rng(0).standard_normal(60)))
    assert track.judged == 60
    assert track.lower < 0.9 < track.upper
    assert track.mean_transform == pytest.approx(0.5, abs=0.15)
    assert ": compatible with the nominal level" in track.words


def test_a_ledger_tells_intervals_that_are_too_narrow_and_predictions_that_are_too_low(tmp_path):
    track = track_of(judged(tmp_path, 11.5 + np.random.default_rng(0).standard_normal(40)))
    assert "too narrow" in track.words
    assert "outcomes tend to lie above the predictions" in track.words


def test_the_interval_of_the_coverage_is_that_of_clopper_and_pearson(tmp_path):
    # 8 of 10: (0.4439, 0.9748), the textbook's numbers.
    track = track_of(judged(tmp_path, [10.0] * 8 + [14.0] * 2))
    assert (track.inside, track.judged) == (8, 10)
    assert track.lower == pytest.approx(0.4439, abs=5e-5)
    assert track.upper == pytest.approx(0.9748, abs=5e-5)


def test_a_judgement_of_another_seal_is_refused(tmp_path):
    entries = judged(tmp_path, [10.0])
    path = tmp_path / "000.judged.json"
    found = json.loads(path.read_text()) | {"seal": "0" * 64}
    path.write_text(json.dumps(found))
    with pytest.raises(ScalebedError, match="judges another seal"):
        read_entries([entries[0].path])


@pytest.mark.parametrize("change", [{"measured": "2.5"}, {"measured": [1]}, {"date": "a\nb"}])
def test_a_judgement_that_says_something_else_is_refused(tmp_path, change):
    entries = judged(tmp_path, [10.0])
    path = tmp_path / "000.judged.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ScalebedError, match=rf"000.judged.json: {min(change)} is .*, expected a "):
        read_entries([entries[0].path])


def test_digests_of_numbers_know_ten_digits():
    one = np.array([1.0, 2.0])
    assert numbers_digest([one]) == numbers_digest([one * (1 + 1e-14)])
    assert numbers_digest([one]) != numbers_digest([one * (1 + 1e-8)])
    assert numbers_digest([one]) != numbers_digest([one[::-1]])
