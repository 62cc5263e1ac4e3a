"""What commands print, and what they take where nothing is given."""

import argparse

import pytest

from scalebed.commands import fit
from scalebed.commands.cli import main
from scalebed.commands.progress import work
from scalebed.commands.progress.account import Account, Job
from scalebed.commands.rules import RULES
from scalebed.evaluate import export, hub


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "cells/one is a Llama in out\n"),
        (["--push", "me/m"], "cells/one is a Llama in out\npushed to me/m at out, public False\n"),
        (
            ["--push", "me/m", "--public"],
            "cells/one is a Llama in out\npushed to me/m at out, public True\n",
        ),
    ],
)
def test_an_export_says_what_it_made_and_where_it_was_pushed(monkeypatch, capsys, words, said):
    monkeypatch.setattr(export, "find_cell", lambda *given: "cells/one")
    monkeypatch.setattr(export, "finished_record", lambda cell: None)
    monkeypatch.setattr(export, "check_target", lambda folder: None)
    monkeypatch.setattr(export, "export_cell", lambda *given: "a Llama")
    monkeypatch.setattr(hub, "check_hub", lambda repository: None)
    monkeypatch.setattr(
        hub, "push", lambda folder, name, public: f"{name} at {folder}, public {public}"
    )
    assert main(["export", "one", "--to", "out", *words]) == 0
    assert capsys.readouterr().out == said


def prediction(**more):
    named = {"run": "", "dataset": "red", "params": 1e8, "tokens": 2e9, "response": "loss"}
    numbers = {"predicted": 3.21, "lower": None, "upper": None, "times_largest_run": 4.0}
    told = {"reason": None, "numbers": "tested", "evidence": None}
    return "\n".join(fit._prediction_lines(named | numbers | told | more))


def test_a_prediction_that_there_is_not_says_why():
    head = "  red, N 1e+08, D 2e+09, loss:"
    assert prediction(predicted=None, reason="too few") == f"{head} none, too few"
    told = f"{head} 3.2100  4 x the largest run's FLOPs\n    numbers: tested"
    assert prediction() == told
    limits = {"lower": 3.1, "upper": 3.35678}
    assert prediction(**limits) == told.replace("3.2100", "3.2100  [3.1000, 3.3568]")


def test_a_training_that_fails_is_over(monkeypatch, tmp_path):
    """100 of 300 FLOPs in 10 seconds, whether they ended well or not: 200 more take 20."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(work, "EXPECTED", {})
    work.expect({"a": 100.0, "b": 200.0})
    now = [0.0]
    account = Account(lambda: now[0])
    account.fails(7)
    list(account.planned({"train_cell": 2, "total": 2}))
    account.begins(1, Job("train_cell", {}, ("a",)))
    now[0] = 10.0
    account.fails(1)
    account.fails(7)
    assert account.jobs == {}
    assert account.work.left() == pytest.approx(20.0)


def test_a_check_runs_on_one_core_unless_told():
    parser = argparse.ArgumentParser()
    RULES["run-check"].arguments(parser)
    words = ["contrasts", "mine", "--out", "c.parquet"]
    assert parser.parse_args(words).threads == 1
    assert parser.parse_args([*words, "--threads", "3"]).threads == 3
