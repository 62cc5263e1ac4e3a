"""One run of the tiny study, shared by all tests of the workflow."""

import fcntl
import os
from pathlib import Path

import pytest
from project import Project


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project whose study has run to its report; tests must leave it as it is.

    The workers of pytest-xdist share it: one runs the study while the others wait.
    """
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    root, said = folder / "finished" / "project", folder / "finished.txt"
    with (folder / "finished.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not root.exists():
            result = Project.create(root).snakemake()
            failed = result.stdout + result.stderr if result.returncode else ""
            said.write_text(failed, encoding="utf-8")
    failed = said.read_text(encoding="utf-8")
    assert not failed, failed
    return Project(root)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Return a project in which nothing has run."""
    return Project.create(tmp_path / "project")
