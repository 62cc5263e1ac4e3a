"""The wheel, built from a copy of the checkout, in an environment of its own."""

import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest
from shared import shared_folder

ROOT = Path(__file__).parents[2]
# What setuptools needs; the links in src/scalebed/shipped are followed.
PARTS = ("src", "workflow", "config", "profiles", "envs")
FILES = ("pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="session")
def environment(tmp_path_factory):
    """Return the folder of an environment with the wheel, and what it needs from this one."""
    with shared_folder(tmp_path_factory, "wheel") as folder:
        target = folder / "environment"
        if not target.exists():
            _install(_build(folder), target)
    return target


@pytest.fixture(scope="session")
def wheel(environment):
    """Return the folder of the environment that holds the package."""
    (folder,) = environment.glob("lib/python3*/site-packages")
    return folder


def _build(folder: Path) -> Path:
    source = folder / "source"
    for part in PARTS:
        ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(ROOT / part, source / part, ignore=ignore, symlinks=True)
    for name in FILES:
        shutil.copy(ROOT / name, source)
    _pip("wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(folder), str(source))
    (wheel,) = folder.glob("scalebed-*.whl")
    return wheel


def _install(wheel: Path, target: Path) -> None:
    venv.create(target, symlinks=True)
    (packages,) = target.glob("lib/python3*/site-packages")
    # A folder that a file of this kind names is searched, but files of this kind in it are not
    # followed: the checkout, which is installed there by one, is out of sight.
    (packages / "others.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    _pip("--python", str(target / "bin" / "python"), "install", "-q", "--no-deps", str(wheel))


def _pip(*words: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *words]
    subprocess.run(command, check=True)
