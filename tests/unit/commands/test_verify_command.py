"""`scalebed verify`: what is damaged, and the line that has it made anew."""

import json
import shlex

import pytest

from scalebed.commands.cli import main
from scalebed.core.files import write_json


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Return a folder with a study of two records, and work in it."""
    monkeypatch.chdir(tmp_path)
    for name in ("metrics", "losses"):
        write_json(tmp_path / f"results/cells/a cell/{name}.json", {"name": name})
    (tmp_path / "results/studies/tiny").mkdir(parents=True)
    return tmp_path


def test_whole_results_are_said_to_be(root, capsys):
    assert main(["verify"]) == 0
    said = capsys.readouterr().out
    assert said == "2 files compared with their digests (0.0 MB), none is damaged\n"


def test_the_line_to_paste_heals(root, capsys):
    path = root / "results/cells/a cell/losses.json"
    path.write_text("{}", encoding="utf-8")
    assert main(["verify", "tiny"]) == 1
    first, fault, heading, line = capsys.readouterr().out.splitlines()
    assert first.endswith("1 damaged:")
    assert fault.startswith("  results/cells/a cell/losses.json is not what was written: ")
    assert heading == "to have it made anew, delete and run the study again:"
    assert shlex.split(line) == ["rm", "-f", "results/cells/a cell/losses.json"]
    path.unlink()
    assert main(["verify", "tiny"]) == 0


def test_a_seal_without_a_copy_is_not_to_be_deleted(root, capsys):
    path = root / "results/studies/tiny/sealed.json"
    write_json(path, {"study": "tiny"})
    path.write_text("{}", encoding="utf-8")
    assert main(["verify"]) == 1
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == (
        "bring back a copy of results/studies/tiny/sealed.json: it cannot be made again"
    )


def test_json_holds_the_same(root, capsys):
    (root / "results/cells/a cell/losses.json").write_text("{}", encoding="utf-8")
    (root / "results/cells/a cell/old.json").write_text("{}", encoding="utf-8")
    assert main(["verify", "--json"]) == 1
    record = json.loads(capsys.readouterr().out)
    assert record["checked"] == 2
    (damaged,) = record["damaged"]
    assert damaged["delete"] == ["results/cells/a cell/losses.json"]
    assert record["unchecked"] == ["results/cells/a cell/old.json"]


def test_old_results_are_listed_and_can_be_adopted(root, capsys):
    for number in range(15):
        path = root / f"results/cells/a cell/old{number}.json"
        path.write_text("{}", encoding="utf-8")
    assert main(["verify", "--adopt"]) == 0
    said = capsys.readouterr().out
    assert "15 without a digest, which they have now:\n" in said
    assert said.endswith("  and 3 more (--json names all)\n")
    assert main(["verify"]) == 0
    assert capsys.readouterr().out.startswith("17 files compared with their digests")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["verify", "none"], "there is no study 'none' in results/studies"),
        (["verify", "../studies/tiny"], "there is no study '../studies/tiny' in results/studies"),
    ],
)
def test_a_study_that_is_not_there_is_told(root, capsys, words, said):
    assert main(words) == 2
    assert said in capsys.readouterr().err


def test_an_empty_folder_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["verify"]) == 2
    assert "neither results nor state" in capsys.readouterr().err
