"""One run of the tiny study, shared by all tests of the workflow."""

from pathlib import Path

import pytest
from project import Project
from shared import shared_folder


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project whose study has run to its report; tests must leave it as it is."""
    with shared_folder(tmp_path_factory, "finished") as folder:
        project, said = Project(folder / "project"), folder / "failed.txt"
        if not folder.exists():
            result = Project.create(project.root).snakemake()
            failed = result.stdout + result.stderr if result.returncode else ""
            said.write_text(failed, encoding="utf-8")
        failed = said.read_text(encoding="utf-8")
    assert not failed, failed
    return project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Return a project in which nothing has run."""
    return Project.create(tmp_path / "project")
