"""One run of the tiny study, shared by all tests of the workflow."""

from pathlib import Path

import pytest
from project import Project


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project whose study has run to its report; tests must leave it as it is."""
    project = Project.create(tmp_path_factory.mktemp("finished") / "project")
    result = project.snakemake()
    assert result.returncode == 0, result.stdout + result.stderr
    return project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Return a project in which nothing has run."""
    return Project.create(tmp_path / "project")
