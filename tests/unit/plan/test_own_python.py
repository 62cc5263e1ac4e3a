"""Which Python the jobs of a workflow find first."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from scalebed.plan.own_python import FOLDER, offer_python


def test_jobs_find_the_python_that_runs_snakemake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(FOLDER, raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/bin")
    offer_python()
    assert os.environ["PATH"].split(os.pathsep) == [
        str(Path(sys.executable).parent),
        str(tmp_path),
        "/bin",
    ]


def test_a_python_around_a_container_goes_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrapper = tmp_path / "python"
    wrapper.write_text("#!/bin/sh\n")
    wrapper.chmod(0o755)
    monkeypatch.setenv(FOLDER, str(tmp_path))
    monkeypatch.setenv("PATH", "/bin")
    offer_python()
    assert shutil.which("python") == str(wrapper)
