"""A study whose texts, folder and file are orders to a shell, to Snakemake and to a terminal."""

import copy
import json
import re
import shlex

import hostile_texts
import pytest
import yaml
from project import STUDY, Project

SHELL = "a $(touch x) `touch x` 'q' \"d\""
TITLE = f"{hostile_texts.ALL} {{x}} {{study}} {{{{y}}}}\nforged\x1b[2J\u202e"


@pytest.fixture
def hostile(tmp_path):
    """Return the tiny study, with such names wherever it takes any text."""
    project = Project.create(tmp_path / SHELL)
    project.study = f"{SHELL}.yaml"
    text = project.root / "text"
    lines = (text / "tales.jsonl").read_text(encoding="utf-8").replace('"id"', json.dumps(TITLE))
    (text / f"{SHELL}.jsonl").write_text(lines, encoding="utf-8")
    study = copy.deepcopy(STUDY) | {"title": TITLE}
    options = {"paths": [f"text/{SHELL}.jsonl"], "id_field": TITLE}
    study["corpora"]["tales"]["options"] = options
    study["figures"] = {"mine": {"plot": "loss_vs_compute", "title": TITLE}}
    (project.root / project.study).write_text(yaml.safe_dump(study), encoding="utf-8")
    return project


def test_what_a_study_says_reaches_its_commands_as_it_is(hostile):
    said = hostile.dry_run("--printshellcmds")
    assert said.replace("\n", "").isprintable()
    spec = {}
    for command in re.findall(r"^Shell command: (exec .*)$", said, re.MULTILINE):
        words = shlex.split(command)
        if "--params" in words:
            spec[words[4]] = json.loads(words[words.index("--params") + 1])
    assert spec["gather-study"]["title"] == spec["write-report"]["title"] == TITLE
    assert spec["write-report"]["figures"]["mine"]["title"] == TITLE


def test_text_in_a_file_of_such_a_name_is_read_and_nothing_else_is_done(hostile):
    before = {path.name for path in hostile.root.iterdir()}
    hostile.make("results/corpora/tales/manifest.json")
    manifest = json.loads((hostile.root / "results/corpora/tales/manifest.json").read_text())
    assert manifest["params"]["options"]["id_field"] == TITLE
    after = {path.name for path in hostile.root.iterdir()}
    assert after - before <= {"results", "logs", "state", ".snakemake"}
    assert not list(hostile.root.rglob("x"))


def test_a_workflow_in_a_folder_with_braces_is_refused_in_a_sentence(tmp_path):
    project = Project.create(tmp_path / "a{b}")
    status, said = project.forked("--dry-run")
    assert status == 1
    assert "a{b}/workflow/rules, expected a folder without braces" in said
    assert "NameError" not in said
