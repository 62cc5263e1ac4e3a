"""The generated schema and reference agree with the typed model, and with what it accepts."""

import copy
import shutil
from pathlib import Path

import jsonschema
import pytest
import yaml
from small_study import study_values

from scalebed.commands.cli import main
from scalebed.core.errors import ScalebedError
from scalebed.study import reference
from scalebed.study.hardware import Hardware
from scalebed.study.imported import ImportedStudy
from scalebed.study.search import SearchStudy
from scalebed.study.trained import Study, parse_study

ROOT = Path(__file__).parents[3]
VALIDATOR = jsonschema.Draft202012Validator(reference.study_schema())
IMPORT_VALIDATOR = jsonschema.Draft202012Validator(reference.import_schema())
SEARCH_VALIDATOR = jsonschema.Draft202012Validator(reference.search_schema())
STUDIES = [
    path
    for path in sorted((ROOT / "config").rglob("*.yaml"))
    if not {"tasks", "published", "hardware", "zoo"} & set(path.relative_to(ROOT / "config").parts)
]


def test_the_committed_files_are_up_to_date():
    reference.check_generated(ROOT)


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(reference.study_schema())


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_shipped_studies_follow_it(path):
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    validator = IMPORT_VALIDATOR if "source" in values else VALIDATOR
    validator = SEARCH_VALIDATOR if "search" in values else validator
    validator.validate(values)


def test_every_section_is_closed_and_every_key_described():
    for text, model in (
        (reference.study_schema(), Study),
        (reference.import_schema(), ImportedStudy),
        (reference.hardware_schema(), Hardware),
        (reference.search_schema(), SearchStudy),
    ):
        for name, part in [(model.__name__, text), *text["$defs"].items()]:
            assert part["additionalProperties"] is False, name
            for key, spec in part["properties"].items():
                assert spec["description"], f"{name}.{key}"
        assert set(text["properties"]) == set(model.model_fields)


@pytest.mark.parametrize(
    ("place", "key", "value"),
    [
        ([], "colour", 1),
        (["sizes", "small"], "depth", 3),
        (["datasets"], "../x", {"tokenizer": "bpe", "sources": {"red": 1}}),
        (["recipes", "base"], "sizes", {"small": {"learning_rate": 1}}),
        (["grid", 0], "ratios", [0]),
        (["grid", 0], "ratios", ["ten"]),
        ([], "sizes", "chinchilla"),
    ],
)
def test_schema_and_model_refuse_the_same(place, key, value):
    values = study_values()
    VALIDATOR.validate(values)
    spot = values
    for step in place:
        spot = spot[step]
    spot[key] = copy.deepcopy(value)
    assert list(VALIDATOR.iter_errors(values))
    with pytest.raises(ScalebedError):
        parse_study(values, "study.yaml")


def test_a_table_of_sizes_may_stand_for_them():
    values = study_values()
    values["sizes"] = "gadre2024"
    VALIDATOR.validate(values)


def test_the_reference_has_every_key_once():
    lines = reference.reference().splitlines()
    sections = [line.removeprefix("### ") for line in lines if line.startswith("### ")]
    assert len(sections) == len(set(sections))
    rows = [line for line in lines if line.startswith("| `")]
    shown = [reference.study_schema(), reference.import_schema(), reference.hardware_schema()]
    shown.append(reference.search_schema())
    definitions = {name: part for each in shown for name, part in each["$defs"].items()}
    shown += [part for name, part in definitions.items() if name in sections]
    assert len(rows) == sum(len(part["properties"]) for part in shown)
    # Only the partial recipe of a size has no table of its own; its keys stand under Recipe.
    assert set(definitions) - set(sections) == {"RecipeValues"}
    for line in rows:
        assert line.count("|") == 5, line


@pytest.fixture
def repository(tmp_path):
    for path in (reference.SCHEMA_PATH, reference.REFERENCE_PATH):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, tmp_path / path)
    return tmp_path


@pytest.mark.parametrize("path", [reference.SCHEMA_PATH, reference.REFERENCE_PATH])
def test_drift_is_found_and_mended(repository, path, capsys):
    file = repository / path
    good = file.read_text(encoding="utf-8")
    file.write_text(good.replace("Heading of the report", "Heading"), encoding="utf-8")
    words = ["write-schema", "--root", str(repository)]
    assert main([*words, "--check"]) == 2
    assert "is out of date: run `make schema`" in capsys.readouterr().err
    assert main(words) == 0
    assert file.read_text(encoding="utf-8") == good
    assert main([*words, "--check"]) == 0


def test_prose_around_the_reference_is_kept(repository):
    readme = repository / reference.REFERENCE_PATH
    text = "before\n" + readme.read_text(encoding="utf-8") + "after\n"
    readme.write_text(text, encoding="utf-8")
    reference.write_generated(repository)
    assert readme.read_text(encoding="utf-8") == text


def test_a_reference_without_markers_or_file_is_told(repository):
    readme = repository / reference.REFERENCE_PATH
    readme.write_text("no markers", encoding="utf-8")
    with pytest.raises(ScalebedError, match="lacks the lines"):
        reference.write_generated(repository)
    readme.unlink()
    with pytest.raises(ScalebedError, match="does not exist"):
        reference.write_generated(repository)
