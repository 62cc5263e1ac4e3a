"""The wheel without extras: what a table of runs needs works where nothing else is installed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scalebed.commands.extras import EXTRAS

ROOT = Path(__file__).parents[2]
# Extras cannot be imported, and are no packages either, as in an environment without them.
WITHOUT = """
import importlib.metadata as metadata, sys
HIDDEN = set({hidden!r})
class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in HIDDEN:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Hide())
known = metadata.version
def version(name):
    if name in HIDDEN:
        raise metadata.PackageNotFoundError(name)
    return known(name)
metadata.version = version
import scalebed
from scalebed.commands.cli import main
assert scalebed.__file__.startswith({target!r}), scalebed.__file__
raise SystemExit(main(sys.argv[1:]))
"""


@pytest.fixture
def scalebed(wheel, tmp_path):
    """Run a verb of the wheel in an empty folder without the extras."""
    hidden = sorted({module for modules in EXTRAS.values() for module in modules})
    code = WITHOUT.format(hidden=hidden, target=str(wheel))

    def run(*words):
        return subprocess.run(
            [sys.executable, "-c", code, *words],
            cwd=tmp_path,
            env={"PYTHONPATH": str(wheel), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
        )

    return run


def test_a_table_is_fitted_and_decided_on(scalebed, tmp_path):
    rows = ["params,tokens,loss"]
    for N in (1e6, 2e6, 4e6, 8e6, 16e6):
        for M in (5, 20, 80):
            loss = 1.7 + 400 * N**-0.34 + 410 * (M * N) ** -0.28
            rows.append(f"{N:.0f},{M * N:.0f},{loss:.6f}")
    (tmp_path / "runs.csv").write_text("\n".join(rows) + "\n")
    target = ("--target", "params=64M,tokens=1.28B")
    for words in (
        ("fit", "runs.csv", *target),
        ("decide", "runs.csv", "--compute", "1e18"),
        ("suggest", "runs.csv", *target, "--count", "1"),
        ("isoflop", "runs.csv"),
        ("seal", "runs.csv", *target, "--out", "s.json"),
        ("judge", "s.json", "--loss", "3.9"),
        ("ledger", "s.json"),
    ):
        result = scalebed(*words)
        assert result.returncode == 0, result.stdout + result.stderr
    done = scalebed("predict", "runs.csv", *target, "--json")
    ((found,),) = [one["predictions"] for one in json.loads(done.stdout)]
    true = 1.7 + 400 * 64e6**-0.34 + 410 * 1.28e9**-0.28
    assert found["predicted"] == pytest.approx(true, rel=0.01)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("generate", "--cell", "x", "--prompt", "y"),
            "this needs tokenizers, which is not installed: pip install 'scalebed[train]'",
        ),
        (("export", "x", "--to", "y"), "pip install 'scalebed[train]'"),
        (
            ("plot-figure", "--figure", "x", "--database", "y", "--out-prefix", "z"),
            "pip install 'scalebed[workflow]'",
        ),
    ],
)
def test_what_needs_more_says_what_to_install(scalebed, words, said):
    result = scalebed(*words)
    assert result.returncode == 2
    assert said in result.stderr and "Traceback" not in result.stderr


def files(root):
    """Return all files below a folder, those behind links too, but for what Python makes."""
    return {
        Path(folder, name).relative_to(root).as_posix()
        for folder, _, names in os.walk(root, followlinks=True)
        for name in names
        if not {"__pycache__", "scalebed.egg-info"} & {*Path(folder).parts}
    }


def test_the_wheel_has_all_files_and_what_is_linked(wheel):
    shipped = files(wheel / "scalebed")
    assert shipped == files(ROOT / "src/scalebed")
    for name in (
        *("workflow/Snakefile", "workflow/report/figure.rst", "config/config.yaml"),
        *("profiles/slurm/hardware.yaml", "envs/fit.yaml", "start/Snakefile"),
    ):
        assert f"shipped/{name}" in shipped
