"""A check is one folder, found by its name."""

import pyarrow.parquet
import pytest
import synthetic_study as synthetic

from scalebed.checks.registry import get_check
from scalebed.checks.run import run
from scalebed.commands.cli import main
from scalebed.core.errors import ScalebedError
from scalebed.core.files import write_parquet
from scalebed.core.imports import PACKAGE
from scalebed.predict.study import fit_files
from scalebed.study.checks import CHECKS
from scalebed.tables.arrow import read_table
from scalebed.tables.declared.database import CHECK_TABLES

FILES = {"__init__.py", "check.py", "section.html.j2", "section.py", "table.py", "text.py"}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fitted")
    for name, rows in synthetic.tables(sigma=0.005).items():
        write_parquet(folder / "tables" / f"{name}.parquet", pyarrow.Table.from_pylist(rows))
    fit_files(folder / "tables", folder / "fits", synthetic.params(per_task=False))
    return folder


@pytest.mark.parametrize("name", CHECKS)
def test_a_check_is_the_folder_of_its_name(name):
    files = {path.name for path in (PACKAGE / "checks" / name).iterdir()}
    assert files >= FILES
    check = get_check(name)
    assert check.TABLE.name == name
    assert check.THREADS >= 1
    assert check.TABLE in CHECK_TABLES


def test_no_folder_of_a_check_is_forgotten():
    folders = {path.parent.name for path in (PACKAGE / "checks").glob("*/check.py")}
    assert folders == set(CHECKS)


def test_an_unknown_check_is_one_sentence():
    with pytest.raises(ScalebedError, match="no check is called 'lunch', expected one of decis"):
        get_check("lunch")


@pytest.mark.parametrize("name", ["contrasts", "reliability"])
def test_the_verb_of_the_rule_writes_what_the_verb_for_people_writes(study, tmp_path, name):
    assert main(["run-check", name, str(study), "--out", str(tmp_path / "rule.parquet")]) == 0
    words = {"contrasts": ["contrast"], "reliability": ["compare", "--only", "reliability"]}[name]
    assert main([*words, str(study), "--out", str(tmp_path)]) == 0
    table = get_check(name).TABLE
    found = read_table(table, tmp_path / "rule.parquet")
    assert found.num_rows
    assert found.equals(read_table(table, tmp_path / f"{name}.parquet"))


def test_what_a_check_says_goes_to_the_log(study, tmp_path, caplog):
    caplog.set_level("INFO")
    run(get_check("contrasts"), study, tmp_path / "x.parquet", 1)
    assert "the compute" in caplog.text
