"""The command line: its verbs, its help and its exit statuses."""

import argparse
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from small_study import study_values

from scalebed.commands import cli
from scalebed.commands.cli import main, verbs

FILES = sorted(Path(cli.__file__).parent.glob("[a-z]*.py"))
VERBS = [f.stem.replace("_", "-") for f in FILES if f.stem not in ("cli", "params")]


def test_every_file_is_a_verb_with_a_summary():
    assert list(verbs()) == VERBS
    assert len(VERBS) > 3
    for summary in verbs().values():
        assert summary.endswith(".")
        assert len(summary) < 100


def test_help_lists_every_verb(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    for verb in VERBS:
        assert f"\n    {verb}" in text


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_declares_arguments_and_says_what_they_mean(verb):
    module = importlib.import_module(f"scalebed.commands.{verb.replace('-', '_')}")
    parser = argparse.ArgumentParser(prog=verb)
    module.arguments(parser)
    assert list(inspect.signature(module.run).parameters) == ["args"]
    for action in parser._actions:
        assert action.help, f"{verb} {action.option_strings} has no help"


def test_help_of_a_verb(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["plan", "--help"])
    assert caught.value.code == 0
    assert "--budget-core-hours" in capsys.readouterr().out


@pytest.mark.parametrize("words", [[], ["trian-cell"], ["plan", "--colour"]])
def test_wrong_words_end_with_status_2(words, capsys):
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_an_error_is_one_sentence_and_status_2(tmp_path, capsys):
    assert main(["plan", "--study", str(tmp_path / "none.yaml")]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("scalebed plan: error: cannot read the study file")
    assert captured.err.count("\n") == 1


def test_the_module_runs_and_typing_errors_import_nothing_heavy():
    code = (
        "import sys\n"
        "from scalebed.commands.cli import main\n"
        "try:\n    main(['no-such-verb'])\n"
        "except SystemExit as error:\n    assert error.code == 2\n"
        "heavy = {'torch', 'pandas', 'scipy', 'numpy', 'pydantic', 'yaml', 'duckdb'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    done = subprocess.run(
        [sys.executable, "-m", "scalebed", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip()


def test_a_reader_that_stops_reading_is_no_error(tmp_path):
    command = f"{sys.executable} -m scalebed plan --no-calibration --study {study_file(tmp_path)}"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{command} | true"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert (done.returncode, done.stderr) == (0, "")


def study_file(folder: Path) -> Path:
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(study_values()), encoding="utf-8")
    return path
