"""Projects that all tests of one run share, on whichever worker of pytest-xdist they are."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from project import REPOSITORY, Project

REPORT = "results/studies/testbed/report.html"


@contextmanager
def shared_folder(factory: pytest.TempPathFactory, name: str) -> Iterator[Path]:
    """Give the folder of this name in this run of the tests to one worker at a time."""
    folder = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder / name


def published_folder() -> Path:
    """Return the folder of the published testbed; skips the test where it is not."""
    beside = REPOSITORY.parent / "shared" / "testbed"
    folder = Path(os.environ.get("SCALEBED_TESTBED", beside)).resolve()
    if not (folder / "exp_data").is_dir():
        pytest.skip(f"no published testbed at {folder}: set SCALEBED_TESTBED")
    return folder


def paper(factory: pytest.TempPathFactory, target: str | None = None) -> Project:
    """Return a project whose study of the published testbed has run, all of it or to a target.

    Tests must leave it as it is. Whoever needs more of it later runs the rest.
    """
    with shared_folder(factory, "paper") as folder:
        project = Project(folder / "project")
        if not folder.exists():
            Project.create(project.root)
            project.write_study_file(REPOSITORY / "config/studies/testbed.yaml")
        if not (project.root / (target or REPORT)).exists():
            words = [target] if target else []
            result = project.snakemake(*words, "--config", f"testbed={published_folder()}")
            assert result.returncode == 0, result.stdout + result.stderr
    return project
