"""The study of the published testbed, from its files to the report."""

import shutil
from collections import Counter
from pathlib import Path

import duckdb
import pytest
from project import REPOSITORY, Project
from shared import REPORT, paper, published_folder

DATABASE = "results/studies/testbed/study.duckdb"


@pytest.fixture
def shipped(project: Project) -> Project:
    """Return a project with the study file of the paper, in which nothing has run."""
    project.write_study_file(REPOSITORY / "config/studies/testbed.yaml")
    return project


def test_from_files_to_the_report_and_nothing_twice(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    done = paper(tmp_path_factory)
    report = (done.root / REPORT).read_text(encoding="utf-8")
    assert "The hyper-parameter search" in report
    assert "What is odd in the data" in report
    with duckdb.connect(str(done.root / DATABASE), read_only=True) as connection:
        count = connection.execute("SELECT count(*) FROM cells WHERE status = 'done'").fetchone()
        assert count == (104,)
        checks = connection.execute("SELECT DISTINCT check_name FROM lints").fetchall()
        assert len(checks) >= 6
        differ = connection.execute(
            "SELECT item, quantity FROM comparisons WHERE agrees IS NOT TRUE ORDER BY ALL"
        ).fetchall()
        total = connection.execute("SELECT count(*) FROM comparisons").fetchone()
    # Two claims that hold for one run only or are rounded down, a label that is cut off, and the
    # one task whose published fit needs an error above 1.
    assert differ == [
        ("Compute savings", "error of 1.4B, M = 640, times"),
        ("Compute savings", "loss of 6.9B, M = 20, times"),
        ("Table 3", "parameters of 0.411B, billions"),
        ("Tables 2 and 7", "C4: LAMBADA, %"),
        ("Tables 2 and 7", "RedPajama: LAMBADA, %"),
        ("Tables 2 and 7", "RefinedWeb: LAMBADA, %"),
    ]
    assert total == (78,)
    words = ["--config", f"testbed={published_folder()}"]
    assert done.planned(*words) == Counter()
    # What one figure computes is no matter of any other.
    shutil.copytree(done.root, tmp_path / "project", symlinks=True)
    edited = Project(tmp_path / "project")
    helper = edited.root / "src/scalebed/checks/explore/task_threshold.py"
    helper.write_text(helper.read_text(encoding="utf-8") + "# x\n", encoding="utf-8")
    assert edited.planned(*words) == Counter(explore=1, plot_figure=1, write_report=1)


def test_without_network_and_path_one_sentence_names_both_ways(
    shipped: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A proxy that nobody listens at stands for a machine without network.
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    # All but the bundle of scripts, which waits for nothing, waits for this.
    status, _ = shipped.forked("results/imports/testbed/manifest.json")
    assert status != 0
    log = (shipped.root / "logs/fetch_testbed.log").read_text(encoding="utf-8")
    assert "cannot be fetched from https://codeload.github.com" in log
    assert "--config testbed=FOLDER" in log
    assert not (shipped.root / "results/imports/testbed/manifest.json").exists()


def test_an_imported_study_that_is_not_fetched_has_no_plan(shipped: Project) -> None:
    result = shipped.scalebed("plan", "--study", "study.yaml")
    assert result.returncode == 2
    assert "is not there: the study's first run fetches it" in result.stderr
