"""Study files: what is accepted, and one clear sentence for everything else."""

import copy
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import hostile_texts
import pytest
import yaml
from small_study import study_values

from scalebed.core.cells import Cell
from scalebed.core.errors import ScalebedError
from scalebed.plan import rule_params
from scalebed.study.amounts import amounts
from scalebed.study.imported import ImportedStudy
from scalebed.study.load import load_any
from scalebed.study.search import SearchStudy
from scalebed.study.trained import Study, parse_study, roles

ROOT = Path(__file__).parents[3]
STUDIES = sorted((ROOT / "config").rglob("*.yaml"))
OTHERS = ("tasks", "published", "hardware", "zoo")
STUDIES = [path for path in STUDIES if path.parent.name not in OTHERS]


def changed(*path: str | int, value: Any) -> dict[str, Any]:
    """Return the small study with one value replaced or added."""
    values = study_values()
    place: Any = values
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return values


def complaint(values: Any) -> str:
    with pytest.raises(ScalebedError) as caught:
        parse_study(values, "study.yaml")
    text = str(caught.value)
    assert text.startswith("study.yaml: ")
    assert "\n" not in text
    return text


def test_the_small_study_is_valid():
    study = parse_study(study_values(), "study.yaml")
    assert len(study.cells()) == 2 * 2 * 3


@pytest.mark.parametrize(("warmup", "refused"), [(177, False), (178, True)])
def test_a_study_whose_cool_down_begins_in_the_warm_up_is_refused(warmup, refused):
    """The small size has 2 * 300 * 8 + 4 * 64 + 3 * 8 * 24 + 24 = 5,656 parameters.

    With M = 5 and 128 tokens a step that makes 221 steps, of which the last fifth, 44, cool down.
    """
    recipe = {"batch_sequences": 4, "warmup_steps": warmup, "lr_end": 0.0}
    recipe |= {"schedule": "wsd", "cooldown": 0.2}
    values = changed("recipes", "base", value=recipe)
    if refused:
        words = "has 221 steps and would cool down from step 177, before its warm-up of 178 steps"
        assert words in complaint(values)
    else:
        parse_study(values, "study.yaml")


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_shipped_studies_are_valid_and_name_their_schema(path):
    study = load_any(path)
    kind = {Study: "config", ImportedStudy: "import", SearchStudy: "search"}[type(study)]
    first = path.read_text(encoding="utf-8").splitlines()[0]
    schema = first.removeprefix("# yaml-language-server: $schema=")
    assert schema != first
    assert (path.parent / schema).resolve() == ROOT / f"workflow/schemas/{kind}.schema.json"


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        # Unknown keys, at the top and below.
        (("colour",), 1, ["colour: unknown key"]),
        (("sizes", "small", "depth"), 3, ["sizes.small.depth: unknown key"]),
        (("recipes", "base", "learning_rate"), 0.1, ["recipes.base.learning_rate: unknown key"]),
        (("recipes", "base", "sizes"), {"small": {"l_r": 1}}, ["recipes.base.sizes.small", "l_r"]),
        # Multipliers that are no positive whole number.
        (("grid", 0, "ratios"), [0], ["grid.0.ratios.0", "greater than 0", "found 0"]),
        (("grid", 0, "ratios"), [-5], ["grid.0.ratios.0", "greater than 0", "found -5"]),
        (("grid", 0, "ratios"), ["ten"], ["grid.0.ratios.0", "integer", "found 'ten'"]),
        (("grid", 0, "ratios"), [2.5], ["grid.0.ratios.0", "integer", "found 2.5"]),
        (("grid", 0, "ratios"), [True], ["grid.0.ratios.0", "integer", "found True"]),
        (("grid", 0, "ratios"), 20, ["grid.0.ratios", "list", "found 20"]),
        # Grids that come to nothing, or twice to the same.
        (("grid",), [], ["the grid is empty"]),
        (("grid", 0, "ratios"), [], ["the grid is empty"]),
        (("exclude",), [{"sizes": ["small", "large"]}], ["the grid is empty"]),
        (("exclude",), [{"ratios": [7]}], ["exclude[0] matches no cell"]),
        (("grid", 0, "ratios"), [5, 5], ["declared twice", "ratio=5"]),
        (
            ("add",),
            [{"sizes": ["small"], "ratios": [5]}],
            ["add: the cell dataset=red/size=small/ratio=5/recipe=base/seed=0 is declared twice"],
        ),
        # Names that would leave their folder, or break a path.
        (("datasets",), {"../x": {"tokenizer": "bpe", "sources": {"red": 1}}}, ["../x", "pattern"]),
        (("datasets",), {"a/b": {"tokenizer": "bpe", "sources": {"red": 1}}}, ["a/b", "pattern"]),
        (("datasets",), {"a=b": {"tokenizer": "bpe", "sources": {"red": 1}}}, ["a=b", "pattern"]),
        (("datasets",), {"": {"tokenizer": "bpe", "sources": {"red": 1}}}, ["datasets", "pattern"]),
        (("datasets", "all"), {"tokenizer": "bpe", "sources": {"red": 1}}, ["'all' stands for"]),
        (("name",), "Big Study", ["name", "pattern", "found 'Big Study'"]),
        (("name",), "tiny\n", ["name", "pattern"]),
        # References to what is not declared.
        (("datasets", "red", "sources"), {"green": 1}, ["datasets.red.sources", "'green'", "red"]),
        (("datasets", "red", "tokenizer"), "word", ["datasets.red.tokenizer", "'word'", "bpe"]),
        (("tokenizers", "bpe", "corpora"), ["green"], ["tokenizers.bpe.corpora", "'green'"]),
        (("validation", "blue", "corpus"), "green", ["validation.blue.corpus", "'green'"]),
        (("tasks", "corpus"), "green", ["tasks.corpus", "'green'"]),
        (("tasks", "average"), ["three"], ["tasks.average", "'three'", "one, two"]),
        (("grid", 0, "sizes"), ["huge"], ["grid.sizes", "'huge'", "large, small"]),
        (("grid", 0, "datasets"), ["green"], ["grid.datasets", "'green'", "mixed, red"]),
        (("grid", 0, "recipes"), ["fast"], ["grid.recipes", "'fast'", "base"]),
        (("exclude",), [{"sizes": ["huge"]}], ["exclude.sizes", "'huge'"]),
        (("fit", "loss"), "green", ["fit.loss", "'green'", "blue"]),
        (("fit", "loss_cells"), [{"sizes": ["huge"]}], ["fit.loss_cells.sizes", "'huge'"]),
        (("fit", "loss_cells"), [{"ratios": [7]}], ["fit.loss_cells[0] matches no cell"]),
        (("fit", "targets"), [{"seeds": [3]}], ["fit.targets[0] matches no cell"]),
        (
            ("fit", "loss_cells"),
            [{"ratios": [5, 7]}],
            ["fit.loss_cells[0]: ratios 7", "there is 5,"],
        ),
        (("exclude",), [{"seeds": [0, 3]}], ["exclude[0]: seeds 3 matches no cell; there is 0"]),
        (("fit", "targets"), [{"params": [1e7, 4e8]}], ["params [10M, 400M] matches no cell"]),
        (("fit", "targets"), [{"params": [7, 70]}], ["fit.targets.0.params", "is a unit missing"]),
        (("fit", "targets"), [{"tokens": [2e9]}], ["fit.targets.0.tokens", "[lowest, highest]"]),
        (("fit", "targets"), [{"flops": ["2e12", "1e12"]}], ["2e12 is above the highest 1e12"]),
        (("fit", "targets"), [{"params": [None, None]}], ["fit.targets.0.params", "without ends"]),
        (("fit", "targets"), [{"params": [True, None]}], ["fit.targets.0.params", "'True'"]),
        (("fit", "targets"), [{"sizes": ["small"]}], ["is a target and fitted to as well"]),
        (("recipes", "base", "sizes"), {"huge": {}}, ["recipes.base.sizes", "'huge'"]),
        (("sizes",), "chinchilla", ["sizes", "'chinchilla'", "gadre2024"]),
        # Values that cannot be trained.
        (("sizes", "small", "heads"), 3, ["sizes.small", "width 8 over 3 heads"]),
        (("sizes", "small", "heads"), 8, ["sizes.small", "not an even head width"]),
        (("sizes", "small", "vocab"), 299, ["sizes.small.vocab is 299", "bpe", "has 300 tokens"]),
        (("recipes", "base", "lr"), float("inf"), ["recipes.base.lr", "finite"]),
        (("recipes", "base", "lr"), float("nan"), ["recipes.base.lr"]),
        (("recipes", "base", "lr"), 0, ["recipes.base.lr", "greater than 0"]),
        (("recipes", "base", "micro_sequences"), 3, ["micro_sequences 3 does not divide"]),
        (("recipes", "base", "warmup_fraction"), 0.1, ["either warmup_steps or warmup_fraction"]),
        (("recipes", "base", "precision"), "fp8", ["recipes.base.precision", "fp8"]),
        (("corpora", "red", "split"), {"train": 90, "val": 5}, ["corpora.red.split", "sum to 95"]),
        (("tokenizers", "bpe", "vocab"), None, ["tokenizers.bpe", "needs vocab and corpora"]),
        (("tokenizers", "bpe"), {"kind": "hub"}, ["tokenizers.bpe", "hub tokenizer needs path"]),
        (("bootstrap",), {"level": 90}, ["bootstrap.level", "less than 1", "found 90"]),
        (("budget",), {"core_hours": 0}, ["budget.core_hours", "greater than 0"]),
        (("corpora",), {}, ["corpora", "at least 1"]),
        (("fit",), None, ["fit"]),
    ],
)
def test_bad_values_are_told_in_one_sentence(path, value, words):
    text = complaint(changed(*path, value=value))
    for word in words:
        assert word in text


@pytest.mark.parametrize("key", ["name", "corpora", "sizes", "recipes", "fit"])
def test_missing_sections_are_named(key):
    values = study_values()
    del values[key]
    assert f"{key}: Field required" in complaint(values)


def test_all_keys_that_are_missing_or_unknown_are_named_at_once():
    values = study_values()
    for key in ("title", "sizes", "fit"):
        del values[key]
    text = complaint(values | {"colour": 1, "shape": 2})
    assert text == ("study.yaml: title, sizes, fit: Field required; colour, shape: unknown key")


def test_other_complaints_are_counted():
    values = study_values() | {"bootstrap": {"draws": 1, "level": 90}}
    assert complaint(values).endswith("(found 1) (and 1 more)")


def test_cells_are_chosen_by_ranges_as_they_are_trained():
    study = parse_study(study_values(), "study.yaml")
    known = {cell: amounts(study, cell) for cell in study.cells()}
    values = sorted(amount["tokens"] for amount in known.values())
    low, high = values[2], values[-3]
    chosen = parse_study(changed("fit", "loss_cells", value=[{"tokens": [low, high]}]), "s")
    assert {cell for cell, role in roles(chosen).items() if role["fit_loss"]} == {
        cell for cell, amount in known.items() if low <= amount["tokens"] <= high
    }
    spec = rule_params.cell(study, study.cells()[0])
    assert known[study.cells()[0]]["tokens"] == spec["tokens"]


@pytest.mark.parametrize("values", [None, "text", 3, ["a", "list"]])
def test_a_study_is_a_mapping(values):
    assert "a study file is a mapping" in complaint(values)


def test_keys_that_are_no_text_are_refused():
    complaint({**study_values(), 1: "x"})


def write(folder: Path, text: str) -> Path:
    path = folder / "study.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_study_survives_the_way_through_a_file(tmp_path):
    path = write(tmp_path, yaml.safe_dump(study_values()))
    assert load_any(path) == parse_study(study_values(), "memory")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: a\nname: b\n", ["line 2: name is given twice"]),
        ("sizes:\n  small: {width: 8}\n  small: {width: 16}\n", ["line 3: small is given twice"]),
        ("name: [unclosed\n", ["is not valid YAML"]),
        ("? [a, b]\n: c\n", ["is not valid YAML", "unhashable"]),
        ("", ["a study file is a mapping"]),
        ("title: 2024-02-30\n", ["is not valid YAML", "day is out of range"]),
        (f"title: {'9' * 5000}\n", ["is not valid YAML", "4300 digits"]),
        ("title: !!int x\n", ["is not valid YAML", "invalid literal"]),
        ("title: !!bool x\n", ["is not valid YAML", "KeyError"]),
        ("[" * 5000, ["is not valid YAML", "recursion"]),
        ('title: "a\\ud800"\n', [r"'a\ud800' holds half of a character"]),
        ('corpora: [{"\\udfff": 1}]\n', ["holds half of a character"]),
        ("title: &a [*a]\n", ["title: Input should be a valid string"]),
    ],
    ids=lambda value: str(value)[:30],
)
def test_files_that_are_no_study(tmp_path, text, words):
    path = write(tmp_path, text)
    with pytest.raises(ScalebedError) as caught:
        load_any(path)
    assert str(path) in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_a_missing_file_and_bytes_that_are_no_text(tmp_path):
    with pytest.raises(ScalebedError, match=r"nowhere\.yaml: .*No such file"):
        load_any(tmp_path / "nowhere.yaml")
    (tmp_path / "latin.yaml").write_bytes("name: café\n".encode("latin-1"))
    with pytest.raises(ScalebedError, match=r"latin\.yaml"):
        load_any(tmp_path / "latin.yaml")


def test_size_overrides_replace_single_values_of_a_recipe():
    values = changed("recipes", "base", "sizes", value={"large": {"lr": 1e-4}})
    study = parse_study(values, "study.yaml")
    small, large = (study.recipe_values("base", size) for size in ("small", "large"))
    assert (small.lr, large.lr) == (3e-3, 1e-4)
    assert large.model_dump(exclude={"lr"}) == small.model_dump(exclude={"lr"})


def test_roles_default_the_error_law_to_the_cells_of_the_loss_law():
    study = parse_study(study_values(), "study.yaml")
    found = roles(study)
    assert list(found) == study.cells()
    fitted = {cell for cell, role in found.items() if role["fit_loss"]}
    assert fitted == {cell for cell in study.cells() if cell.size == "small"}
    assert fitted == {cell for cell, role in found.items() if role["fit_error"]}
    assert {cell for cell, role in found.items() if role["target"]} == {
        Cell(dataset, "large", 20, "base", 0) for dataset in ("mixed", "red")
    }


def test_parsing_leaves_its_argument_alone():
    values = study_values()
    before = copy.deepcopy(values)
    parse_study(values, "study.yaml")
    assert values == before


def test_the_paper_study_has_the_cells_of_the_paper():
    study = load_any(ROOT / "config/studies/gadre2024.yaml")
    cells = study.cells()
    counts = {name: sum(cell.dataset == name for cell in cells) for name in study.datasets}
    assert counts == {"c4": 34, "redpajama": 35, "refinedweb": 35}
    assert Cell("c4", "411m", 640, "base", 124) not in cells
    found = roles(study)
    sums = {
        name: sum(role[name] for role in found.values())
        for name in ("fit_loss", "fit_error", "target")
    }
    # Per data set: 5 cells for the loss law, 6 for the error law, 1.4B at the largest M and 6.9B.
    assert sums == {"fit_loss": 15, "fit_error": 18, "target": 6}


def test_a_study_is_read_without_importing_numpy():
    code = "import sys; from scalebed.study.load import load_any; load_any(sys.argv[1]); "
    code += "raise SystemExit(any(name in sys.modules for name in ('numpy', 'torch', 'scipy')))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(ROOT / "config/config.yaml")], check=False
    )
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        ({"fit": {"loss_law": "guess"}}, "fit.loss_law: no law is called 'guess'"),
        ({"figures": {"pie": {}}}, "figures: no figure is called 'pie'"),
    ],
)
def test_names_of_laws_and_figures_are_checked_early(edit, message):
    values = study_values()
    for key, value in edit.items():
        values[key] = values.get(key, {}) | value
    with pytest.raises(ScalebedError, match=re.escape(message)):
        parse_study(values, "study.yaml")


@pytest.mark.parametrize("name", [*hostile_texts.NAMES, *hostile_texts.UNFIT, "loss_vs_compute\n"])
@pytest.mark.parametrize("section", ["figures", "datasets", "sizes", "averages"])
def test_names_that_become_paths_are_words(section, name):
    values = study_values()
    if section == "averages":
        values["fit"]["averages"] = {name: ["one"]}
    else:
        spec = {"figures": {"plot": "loss_vs_compute"}}
        values.setdefault(section, {})[name] = spec.get(section, {})
    assert section in complaint(values)


def test_the_study_in_the_readme_is_one():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (outline,) = re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL)
    found = roles(parse_study(yaml.safe_load(outline), "README.md")).values()
    assert [sum(role[name] for role in found) for name in ("fit_loss", "target")] == [6, 1]
