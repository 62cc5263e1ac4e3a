"""The generated schema and reference agree with the typed model, and with what it accepts."""

import copy
import shutil
from pathlib import Path

import jsonschema
import pytest
import yaml
from small_study import study_values

from scalebed import schema
from scalebed.cli import main
from scalebed.config import Study, parse_study
from scalebed.errors import ScalebedError
from scalebed.hardware import Hardware
from scalebed.imported import ImportedStudy

ROOT = Path(__file__).parents[2]
VALIDATOR = jsonschema.Draft202012Validator(schema.study_schema())
IMPORT_VALIDATOR = jsonschema.Draft202012Validator(schema.import_schema())
STUDIES = [
    path
    for path in sorted((ROOT / "config").rglob("*.yaml"))
    if not {"tasks", "published", "hardware"} & set(path.relative_to(ROOT / "config").parts)
]


def test_the_committed_files_are_up_to_date():
    schema.check_generated(ROOT)


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(schema.study_schema())


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_shipped_studies_follow_it(path):
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    validator = IMPORT_VALIDATOR if "source" in values else VALIDATOR
    validator.validate(values)


def test_every_section_is_closed_and_every_key_described():
    for text, model in (
        (schema.study_schema(), Study),
        (schema.import_schema(), ImportedStudy),
        (schema.hardware_schema(), Hardware),
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
    lines = schema.reference().splitlines()
    sections = [line.removeprefix("### ") for line in lines if line.startswith("### ")]
    assert len(sections) == len(set(sections))
    rows = [line for line in lines if line.startswith("| `")]
    shown = [schema.study_schema(), schema.import_schema(), schema.hardware_schema()]
    definitions = {name: part for each in shown for name, part in each["$defs"].items()}
    shown += [part for name, part in definitions.items() if name in sections]
    assert len(rows) == sum(len(part["properties"]) for part in shown)
    # Only the partial recipe of a size has no table of its own; its keys stand under Recipe.
    assert set(definitions) - set(sections) == {"RecipeValues"}
    for line in rows:
        assert line.count("|") == 5, line


@pytest.fixture
def repository(tmp_path):
    for path in (schema.SCHEMA_PATH, schema.REFERENCE_PATH):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, tmp_path / path)
    return tmp_path


@pytest.mark.parametrize("path", [schema.SCHEMA_PATH, schema.REFERENCE_PATH])
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
    readme = repository / schema.REFERENCE_PATH
    text = "before\n" + readme.read_text(encoding="utf-8") + "after\n"
    readme.write_text(text, encoding="utf-8")
    schema.write_generated(repository)
    assert readme.read_text(encoding="utf-8") == text


def test_a_reference_without_markers_or_file_is_told(repository):
    readme = repository / schema.REFERENCE_PATH
    readme.write_text("no markers", encoding="utf-8")
    with pytest.raises(ScalebedError, match="lacks the lines"):
        schema.write_generated(repository)
    readme.unlink()
    with pytest.raises(ScalebedError, match="does not exist"):
        schema.write_generated(repository)
