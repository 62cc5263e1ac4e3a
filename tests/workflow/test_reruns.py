"""A change reruns exactly the rules that can reach it."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections import Counter

import pytest
from project import STUDY, Project
from reach import BESIDE, FOR_PEOPLE, VERSIONED, entries, rules

from scalebed.checks.explore.options import OPTIONS as EXPLORATIONS
from scalebed.core.imports import PACKAGE, closure, file_of
from scalebed.core.trunks import trunk_spec
from scalebed.plan import rule_params
from scalebed.study.checks import CHECKS
from scalebed.study.figures import FIGURES, PLOTS
from scalebed.study.load import parse_any

USUAL = ("decisions", "calibration", "contrasts", "reliability")
ENTRIES = entries()
REACHED = {
    job: {file.relative_to(PACKAGE).as_posix() for file in closure(*modules)}
    for job, modules in ENTRIES.items()
}


def reaching(file: str) -> set[str]:
    """Return the jobs that can reach a file of the package."""
    assert (PACKAGE / file).is_file()
    return {job for job, reached in REACHED.items() if file in reached}


def test_every_rule_follows_its_code_or_says_what_it_follows() -> None:
    followed = {job.split()[0] for job in ENTRIES}
    assert not followed & set(VERSIONED)
    assert followed | set(VERSIONED) == set(rules())
    assert {"fit_laws", "run_check tournament", "plot_figure subset_designs"} <= set(ENTRIES)


def test_rules_that_follow_a_version_have_it_among_their_parameters() -> None:
    study = parse_any(STUDY, "the study")
    specs = {
        "extract_corpus": rule_params.corpus(study, "tales"),
        "train_tokenizer": rule_params.tokenizer(study, "bpe300"),
        "tokenize_corpus": rule_params.tokens(),
        "train_trunk": trunk_spec(rule_params.cell(study, study.cells()[0]), 1),
        "train_cell": rule_params.cell(study, study.cells()[0]),
        "evaluate_losses": rule_params.losses(study),
        "evaluate_tasks": rule_params.tasks(study),
    }
    versioned = {rule for rule, (_, what) in VERSIONED.items() if what.endswith("NUMERICS")}
    assert set(specs) == versioned - {"convert_checkpoint"}
    assert all("numerics" in spec for spec in specs.values())


def test_every_module_is_reached_by_a_rule_or_is_for_people() -> None:
    reached = set().union(*REACHED.values())
    for modules, _ in VERSIONED.values():
        reached |= {file.relative_to(PACKAGE).as_posix() for file in closure(*modules)}
    every = {file.relative_to(PACKAGE).as_posix() for file in PACKAGE.rglob("*.py")}
    people = {
        name
        for name in every
        if any(name == f"{part}.py" or name.startswith(f"{part}/") for part in FOR_PEOPLE)
    }
    assert every - reached - people == set(), "no rule reruns when these change"
    for part in FOR_PEOPLE:
        assert {f"{part}.py", f"{part}/__init__.py"} & every, f"{part} is no more"
        assert f"{part}.py" not in reached, f"a rule does depend on {part}"


# What of the checks a job may reach beside the declarations of their tables.
OWN = r"checks/(explore/)?\w+\.py|checks/(\w+/)?__init__\.py|checks/\w+/table\.py"
MEASURES = r"checks/(?!explore|.*section).*"
SECTIONS = r"checks/\w+/(section\..*|__init__\.py|table\.py)|checks/__init__\.py"
OPTIONS = r"checks/explore/options\.py|checks/\w+/table\.py|checks/(\w+/)?__init__\.py"


@pytest.mark.parametrize(
    ("rule", "rooms", "checks"),
    [
        ("tabulate_cells", "core tables", ""),
        ("import_cells", "core tables laws study", ""),
        ("choose_ladder", "core tables laws fit study search", ""),
        ("fit_laws", "core tables laws fit predict", ""),
        (
            "run_check",
            "core tables laws fit predict decide checks",
            r"checks/(?!explore|.*section).*",
        ),
        ("seal_predictions", "core tables laws fit predict watch", ""),
        ("judge_predictions", "core tables laws fit predict watch", ""),
        ("gather_study", "core tables study checks", r"checks/(\w+/)?(table|__init__)\.py"),
        ("explore", "core tables laws fit study search checks", OWN),
        ("plot_figure", "core tables laws study checks report", OPTIONS),
        ("write_report", "core tables laws study checks report", SECTIONS),
    ],
)
def test_a_rule_reaches_nothing_that_its_result_has_nothing_to_do_with(
    rule: str, rooms: str, checks: str
) -> None:
    chosen = [job for job in ENTRIES if job.split()[0] == rule]
    assert chosen
    for job in chosen:
        inner = {file for file in REACHED[job] if "/" in file}
        assert {file.split("/")[0] for file in inner} <= set(rooms.split()), job
        own = {file for file in inner if file.startswith("checks/")}
        assert not {file for file in own if not re.fullmatch(checks, file)}, job


def test_the_page_reaches_no_figure() -> None:
    figures = {file for file in REACHED["write_report"] if file.startswith("report/figures/")}
    assert figures == {"report/figures/__init__.py", "report/figures/javascript.py"}


@pytest.mark.parametrize(
    ("rule", "names", "file"),
    [
        ("run_check", CHECKS, "checks/{}/check.py"),
        ("explore", tuple(EXPLORATIONS), "checks/explore/{}.py"),
        ("plot_figure", PLOTS, "report/figures/{}.py"),
    ],
)
def test_of_jobs_of_one_rule_each_reaches_its_own_file_alone(
    rule: str, names: tuple[str, ...], file: str
) -> None:
    for name in names:
        assert reaching(file.format(name)) == {f"{rule} {name}"}


@pytest.mark.parametrize(
    "modules",
    [ENTRIES[job] for job in ("choose_ladder", "import_cells", "build_suite", "list_cells")],
    ids=lambda modules: modules[0],
)
def test_what_python_loads_is_reached(modules: tuple[str, ...]) -> None:
    program = f"import sys, {', '.join(modules)}\nprint(*sys.modules)"
    words = [sys.executable, "-c", program]
    loaded = subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()
    files = {file_of(name) for name in loaded if name.split(".")[0] == "scalebed"}
    assert files <= set(closure(*modules))


# Runs commands one after the other, each in a process that has loaded nothing of scalebed before,
# but all that jobs of the analysis load beside it; prints the modules of scalebed that each loaded.
RECORDER = """
import json, os, runpy, sys
import altair, duckdb, numba, pandas, pyarrow.parquet, scipy.optimize, scipy.stats, vl_convert

# Native code, which loads no module of ours and takes half the time of all jobs.
empty = '<svg width="1" height="1"/>'
vl_convert.javascript_bundle = vl_convert.vegalite_to_svg = lambda *_, **__: empty
vl_convert.svg_to_png = lambda *_, **__: b""


def run(words):
    sys.argv = ["scalebed", *words]
    if words[:2] == ["run-check", "calibration"]:
        # Two simulated studies load what ten do, which take as long as all other jobs together.
        from scalebed.checks.calibration import calibrate
        calibrate.FEW = calibrate.MANY = 2
    try:
        runpy.run_module("scalebed", run_name="__main__")
    except SystemExit as end:
        names = [name for name in sys.modules if name.split(".")[0] == "scalebed"]
        print(json.dumps(names), flush=True)
        os._exit(end.code or 0)


for words in json.load(sys.stdin):
    child = os.fork()
    if not child:
        run(words)
    if os.waitpid(child, 0)[1]:
        sys.exit("failed: " + " ".join(words))
"""


@pytest.fixture(scope="module")
def recorded(
    finished: Project, tmp_path_factory: pytest.TempPathFactory
) -> list[tuple[str, set[str]]]:
    """Return every job that runs again after the cells are done, with the modules it loads."""
    project = Project(tmp_path_factory.mktemp("recorded") / "project")
    shutil.copytree(finished.root, project.root, symlinks=True)
    project.write_study(STUDY | {"figures": {"exponent_by_ratio": {}, "subset_designs": {}}})
    forced = ("--forcerun", "tabulate_cells", "list_cells", "--printshellcmds")
    text = project.dry_run(*forced)
    found = re.findall(r"exec python -m scalebed (.*?) > \S+ 2>&1", text)
    commands = [shlex.split(command) for command in found]
    # Arrow's allocator would start a thread, and a process with threads is not to be forked.
    environment = project.environment() | {"JE_ARROW_MALLOC_CONF": "background_thread:false"}
    result = subprocess.run(
        [sys.executable, "-c", RECORDER],
        input=json.dumps(commands),
        cwd=project.root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    lines = [line for line in result.stdout.splitlines() if line.startswith('["scalebed"')]
    loaded = [set(json.loads(line)) for line in lines]
    return list(zip(map(_job, commands), loaded, strict=True))


def _job(words: list[str]) -> str:
    rule = words[0].replace("-", "_")
    named = {"run_check": 1, "explore": 1}.get(rule)
    if rule == "plot_figure":
        named = words.index("--figure") + 1
    return f"{rule} {words[named]}" if named else rule


def test_every_module_that_a_job_loads_is_reached_by_its_rule(
    recorded: list[tuple[str, set[str]]],
) -> None:
    explored = ("exponent_by_ratio", "subset_designs")
    assert {job for job, _ in recorded} == {
        *("list_cells", "tabulate_cells", "fit_laws", "gather_study", "write_report"),
        *(f"run_check {name}" for name in USUAL),
        *(f"explore {name}" for name in explored),
        *(f"plot_figure {name}" for name in (*FIGURES, *explored)),
    }
    for job, loaded in recorded:
        own = {
            name
            for name in loaded
            if name not in BESIDE
            and not name.startswith("scalebed.commands")
            and not name.endswith(".registry")
        }
        files = {file_of(name) for name in own}
        assert files <= set(closure(*ENTRIES[job])), job


@pytest.fixture(scope="module")
def own(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a copy of the finished project, whose code may be edited."""
    project = Project(tmp_path_factory.mktemp("own") / "project")
    shutil.copytree(finished.root, project.root, symlinks=True)
    return project


AFTER = {
    "tabulate_cells": ["fit_laws"],
    "fit_laws": [f"run_check {name}" for name in USUAL],
    **{f"run_check {name}": ["gather_study"] for name in CHECKS},
    **{
        job: [f"plot_figure {name}" for name in FIGURES]
        for job in ("gather_study", "bundle_script")
    },
    **{f"plot_figure {name}": ["write_report"] for name in FIGURES},
}
JOBS = {
    *AFTER["fit_laws"],
    *AFTER["gather_study"],
    *("list_cells", "check_tokens", "build_suite", "tabulate_cells", "fit_laws", "gather_study"),
    *("bundle_script", "write_report"),
}


def expected(file: str) -> Counter[str]:
    """Return the jobs of the tiny study that reach a file, and all that come after them."""
    waiting, found = [*(reaching(file) & JOBS)], set()
    while waiting:
        job = waiting.pop()
        if job not in found:
            found.add(job)
            waiting += AFTER.get(job, [])
    return Counter(job.split()[0] for job in found)


@pytest.mark.parametrize(
    ("file", "some"),
    [
        ("predict/draws.py", "fit_laws"),
        ("checks/contrasts/laws.py", "run_check"),
        ("tables/frames.py", "plot_figure"),
        ("checks/calibration/section.html.j2", "write_report"),
        ("checks/explore/random_designs.py", None),
    ],
)
def test_an_edit_plans_the_jobs_that_reach_it_and_those_after(
    file: str, some: str | None, own: Project
) -> None:
    path = own.root / "src/scalebed" / file
    before = path.read_text(encoding="utf-8")
    try:
        path.write_text(before + "\n", encoding="utf-8")
        planned = own.planned()
    finally:
        path.write_text(before, encoding="utf-8")
    assert planned == expected(file)
    assert planned[some] if some else not planned
