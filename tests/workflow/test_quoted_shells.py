"""What a study says never becomes part of a command: every rule quotes what it fills into it."""

import re
import string
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RULES = sorted(
    path
    for folder in ("workflow", "src/scalebed/shipped/start")
    for path in (ROOT / folder).rglob("*")
    if path.suffix == ".smk" or path.name == "Snakefile"
)
COMMAND = re.compile(r"^    shell:\n((?:        .*\n)+)", re.MULTILINE)
RULE = re.compile(r"^(?:rule|checkpoint) (\w+):", re.MULTILINE)
NUMBERS = {"threads", "resources.ranks", "resources.runtime", "resources.checkpoint_seconds"}
"""Whole numbers: Snakemake has counted them, or the workflow has."""
DIGEST = re.compile(r"^        code=code_digest\(\"[a-z_.]+\"\),$", re.MULTILINE)


def fields(command: str) -> list[str]:
    """Return what Snakemake fills in, with how it is formatted."""
    return [f"{name}:{how}" for _, name, how, _ in string.Formatter().parse(command) if name]


def unquoted(part: str) -> list[str]:
    """Return what the commands of a rule or file hold unquoted."""
    allowed = NUMBERS | ({"params.code"} if DIGEST.search(part) else set())
    texts = ["".join(re.findall(r'"(.*)"', found)) for found in COMMAND.findall(part)]
    every = [field for text in texts for field in fields(text)]
    return [field for field in every if not field.endswith(":q") and field[:-1] not in allowed]


def rules() -> dict[str, str]:
    found = {}
    for path in RULES:
        pieces = RULE.split(path.read_text(encoding="utf-8"))
        found.update(zip(pieces[1::2], pieces[2::2], strict=True))
    return found


def test_every_rule_quotes_what_it_fills_in():
    found = rules()
    commands = {name: part for name, part in found.items() if "shell" in part}
    assert len(commands) > 20
    assert all(COMMAND.search(part) for part in commands.values())
    assert {name: unquoted(part) for name, part in commands.items() if unquoted(part)} == {}


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.name)
def test_no_rule_runs_a_command_in_another_way(path):
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"\bshell\(|os\.system|subprocess|^    (run|script|notebook):", text, re.M)
    assert len(re.findall(r"shell:", text)) == len(COMMAND.findall(text))


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.name)
def test_no_text_of_a_study_is_a_parameter_that_snakemake_fills_in(path):
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"^        \w+=(canonical_json\(|[A-Z_]+_PARAMS,)", text, re.M)


def test_a_field_without_quotes_would_be_found():
    part = '    shell:\n        "run {input.file:q} {wildcards.study}"\n        " {params.code}"\n'
    assert unquoted(part) == ["wildcards.study:", "params.code:"]
