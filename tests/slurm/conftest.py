"""A Slurm for the tests of this folder, and the tiny study that ran on it undisturbed."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import site_files
from cluster import Cluster, cluster, missing
from project import Project


@pytest.fixture(scope="session")
def slurm() -> Iterator[Cluster]:
    """Return a running Slurm; the tests are skipped where none can be started."""
    if reason := missing():
        pytest.skip(f"no Slurm can be started here: {reason}")
    with cluster() as running:
        yield running


@pytest.fixture(scope="session")
def calm(slurm: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project whose study ran on the cluster to its report; leave it as it is.

    Its profile and hardware file are the example of docs/cluster.md. The node stays reserved.
    """
    project = Project.create(tmp_path_factory.mktemp("calm") / "project")
    link = Path(__file__).parents[2] / "slurm"
    (project.root / "slurm").symlink_to(link.readlink())
    project.write_study(site_files.STUDY)
    site_files.write(project.root, site_files.EXAMPLE_SITE, site_files.EXAMPLE_PROFILE)
    slurm.reserve(site_files.RESERVATION)
    slurm.note_submissions(project.root / "bin")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(project.root / "bin"), prepend=os.pathsep)
        result = project.run("snakemake", "--profile", "slurm", "--configfile", "study.yaml")
    sys.stdout.write(result.stdout + result.stderr)
    assert result.returncode == 0, result.stdout + result.stderr
    return project
