"""Folders for studies of one's own: what is in them, and that they appear whole or not at all."""

import shutil
from pathlib import Path

import pytest

from scalebed.commands.cli import main
from scalebed.core.errors import ScalebedError
from scalebed.study.folder import SHIPPED, SNAKEFILE, shipped_studies, write_folder
from scalebed.study.imported import ImportedStudy
from scalebed.study.load import load_any

ROOT = Path(__file__).parents[3]


def names(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_what_is_shipped_are_the_folders_of_the_repository():
    assert Path(SNAKEFILE).samefile(ROOT / "workflow" / "Snakefile")
    for part in ("workflow", "config", "profiles", "envs"):
        assert (SHIPPED / part).samefile(ROOT / part)


def test_a_folder_has_a_study_of_its_name_and_what_a_run_needs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["init", "mine"]) == 0
    said = "written: mine; next: cd mine && snakemake --cores 2\n"
    assert capsys.readouterr().out == said
    found = names(tmp_path / "mine")
    assert {name for name in found if not name.startswith("text/")} == {
        *("Snakefile", "README.md"),
        *("config/config.yaml", "config/README.md", "config/config.schema.json"),
        *("profiles/default/profile.yaml", "profiles/slurm/profile.yaml"),
        "profiles/slurm/hardware.yaml",
    }
    assert len(found) > 50
    monkeypatch.chdir("mine")
    study = load_any("config/config.yaml")
    assert study.name == "mine" and len(study.cells()) == 10


@pytest.mark.parametrize("study", shipped_studies())
def test_a_folder_of_any_study_has_the_files_it_names(study, tmp_path, monkeypatch):
    folder = tmp_path / "mine"
    write_folder(folder, study)
    monkeypatch.chdir(folder)
    read = load_any("config/config.yaml")
    assert read.name == ("mine" if study == "start" else load_any(shipped_studies()[study]).name)
    first = Path("config/config.yaml").read_text(encoding="utf-8").splitlines()[0]
    schema = Path("config", first.removeprefix("# yaml-language-server: $schema="))
    assert schema.is_file() and schema.name != first
    if isinstance(read, ImportedStudy):
        assert Path(read.published).is_file()
    elif getattr(read, "tasks", None) and read.tasks.table:
        assert Path(read.tasks.table).is_file()


def test_an_empty_folder_gives_way_and_a_full_one_does_not(tmp_path, monkeypatch, capsys):
    (tmp_path / "mine").mkdir()
    write_folder(tmp_path / "mine")
    before = names(tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    assert main(["init", "mine"]) == 2
    error = "mine is there already, expected the name of a new folder"
    assert capsys.readouterr().err == f"scalebed init: error: {error}\n"
    assert names(tmp_path / "mine") == before
    (tmp_path / "file").write_text("kept", encoding="utf-8")
    assert main(["init", "file"]) == 2
    assert (tmp_path / "file").read_text(encoding="utf-8") == "kept"


def test_the_folder_one_is_in_is_refused(tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path / "mine")
    with pytest.raises(ScalebedError, match=r"^\. is there already"):
        write_folder(Path())


def test_a_name_that_no_study_can_have_is_refused(tmp_path):
    with pytest.raises(ScalebedError, match="a study cannot be called 'My study', expected"):
        write_folder(tmp_path / "My study")
    assert not any(tmp_path.iterdir())
    write_folder(tmp_path / "My study", "default")
    assert (tmp_path / "My study" / "Snakefile").is_file()


def test_a_folder_that_cannot_be_finished_is_not_there(tmp_path, monkeypatch):
    def full(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copy", full)
    with pytest.raises(ScalebedError, match=r"cannot write .*mine: No space left on device"):
        write_folder(tmp_path / "mine")
    assert not any(tmp_path.iterdir())
