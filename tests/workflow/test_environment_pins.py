"""One set of versions: pyproject.toml, the lock files and the conda files agree."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from scalebed.commands.extras import EXTRAS

ROOT = Path(__file__).parents[2]
REQUIREMENTS = ROOT / "requirements"
LOCKS = ("lock-build.txt", "lock.txt", "lock-dev.txt")
# Each for an environment with the tools or without, and some packages it shares with them.
MORE = {"docs": {"markdown-it-py"}, "open_lm": {"tensorboard", "transformers"}}
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\\s]+)", re.MULTILINE)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

# The code each conda environment runs, below src/scalebed.
STAGES = {
    "train": ("data", "model", "train"),
    "evaluate": ("data", "model", "evaluate"),
    "fit": ("laws", "fit", "predict", "search", "checks", "tables", "report", "plan/render.py"),
}
# Optional at run time, with a message of its own when missing.
OPTIONAL = {"tensorboard"}


def pins(name: str) -> dict[str, str]:
    text = (REQUIREMENTS / name).read_text(encoding="utf-8")
    return {canonicalize_name(package): version for package, version in PIN.findall(text)}


LOCKED = {**pins("lock-build.txt"), **pins("lock.txt"), **pins("torch.txt")}
DEV = {**LOCKED, **pins("lock-dev.txt")}


HASHED = [*LOCKS, *(f"lock-{name}.txt" for name in (*MORE, "audit")), "corpora.txt"]


def test_every_list_of_packages_is_held_to_have_checksums_or_is_known_to_have_none():
    # torch comes as another build for each kind of GPU; open_lm is a commit, which is a checksum.
    without = {"torch.txt", "open_lm.txt"}
    assert {path.name for path in REQUIREMENTS.glob("*.txt")} == {*HASHED, *without}


@pytest.mark.parametrize("name", HASHED)
def test_every_pin_has_checksums_and_no_address_is_named(name):
    text = (REQUIREMENTS / name).read_text(encoding="utf-8")
    entries = [
        entry for entry in text.replace("\\\n", " ").splitlines() if entry and entry[0] != "#"
    ]
    assert entries
    for entry in entries:
        assert PIN.match(entry), entry
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry), entry
    assert not re.search(r"://|--index|--extra-index|--find-links|--trusted-host|^-", text, re.M)


def test_no_package_is_locked_twice():
    seen: list[str] = []
    for name in [*LOCKS, "torch.txt", "corpora.txt"]:
        seen += pins(name)
    assert len(seen) == len(set(seen))


def test_the_lock_satisfies_the_project():
    extras = PROJECT["optional-dependencies"]
    names = ("train", "eval", "workflow", "report", "slurm")
    wanted = [*PROJECT["dependencies"], *(text for name in names for text in extras[name])]
    for text in wanted:
        requirement = Requirement(text)
        if requirement.name == "scalebed":
            assert requirement.extras <= set(names)
            continue
        version = LOCKED[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), text


def test_what_is_said_of_a_missing_package_names_the_extra_that_has_it():
    distributions = packages_distributions()
    for extra, modules in EXTRAS.items():
        named = {Requirement(text).name for text in PROJECT["optional-dependencies"][extra]}
        found = {canonicalize_name(distributions[module][0]) for module in modules}
        assert found == {canonicalize_name(name) for name in named - {"scalebed"}}


def test_the_lock_of_the_tools_satisfies_the_project():
    extras = PROJECT["optional-dependencies"]
    for text in [*extras["dev"], *extras["tensorboard"]]:
        requirement = Requirement(text)
        version = DEV[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), text


def conda(stage: str) -> dict[str, str]:
    values = yaml.safe_load((ROOT / "envs" / f"{stage}.yaml").read_text(encoding="utf-8"))
    (pip,) = [item["pip"] for item in values["dependencies"] if isinstance(item, dict)]
    found = {}
    for text in pip:
        package, _, version = text.partition("==")
        found[canonicalize_name(package)] = version
    return found


def test_every_conda_file_belongs_to_a_stage():
    assert {path.stem for path in (ROOT / "envs").glob("*.yaml")} == set(STAGES)


@pytest.mark.parametrize("name", MORE)
def test_a_lock_of_its_own_satisfies_the_project_and_agrees_with_the_others(name):
    found = pins(f"lock-{name}.txt")
    assert not found.keys() & LOCKED.keys()
    shared = found.keys() & DEV.keys()
    assert shared >= MORE[name]
    assert {name: found[name] for name in shared} == {name: DEV[name] for name in shared}
    for text in PROJECT["optional-dependencies"][name]:
        requirement = Requirement(text)
        version = found[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), text


@pytest.mark.parametrize("stage", STAGES)
def test_conda_files_pin_what_the_lock_pins(stage):
    found = conda(stage)
    assert found == {name: LOCKED[name] for name in found}


@pytest.mark.parametrize("stage", STAGES)
def test_conda_files_have_what_the_code_imports(stage):
    distributions = packages_distributions()
    needed = set()
    for folder in STAGES[stage]:
        path = ROOT / "src" / "scalebed" / folder
        files = [path] if path.is_file() else sorted(path.rglob("*.py"))
        assert files, f"no code in {path}"
        for file in files:
            for module in imported(file):
                if module in sys.stdlib_module_names or module in ("scalebed", *OPTIONAL):
                    continue
                needed.add(canonicalize_name(distributions[module][0]))
    assert needed <= conda(stage).keys()


def imported(file: Path) -> set[str]:
    """Return the top-level modules a file imports, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found
