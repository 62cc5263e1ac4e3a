"""What each rule of the workflow runs, and what its result therefore depends on."""

import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from project import REPOSITORY

from scalebed.checks.explore.options import OPTIONS as EXPLORATIONS
from scalebed.core.backends import BACKENDS
from scalebed.study.checks import CHECKS
from scalebed.study.figures import PLOTS

TRAINING = ("scalebed.train.cell", "scalebed.train.distributed.launch")
# Rules that an edit does not rerun: the module that each runs, and what reruns it instead.
VERSIONED = {
    "extract_corpus": (["scalebed.data.corpus"], "DATA_NUMERICS"),
    "train_tokenizer": (["scalebed.data.tokenizer"], "DATA_NUMERICS"),
    "tokenize_corpus": (["scalebed.data.tokens"], "DATA_NUMERICS"),
    "build_dataset": (["scalebed.data.dataset"], "its output says what its parameters say"),
    "drop_states": (["scalebed.train.dropped_states"], "nothing is made of its output"),
    "train_trunk": (["scalebed.train.trunk"], "NUMERICS"),
    "train_cell": ([*TRAINING, *BACKENDS.values()], "NUMERICS"),
    "convert_checkpoint": (["scalebed.train.open_lm.published"], "NUMERICS"),
    "evaluate_losses": (["scalebed.evaluate.losses"], "EVAL_NUMERICS"),
    "evaluate_tasks": (["scalebed.evaluate.tasks"], "EVAL_NUMERICS"),
    "fetch_testbed": (["scalebed.tables.imports.fetch"], "a pinned commit, checked by digest"),
}
# Modules that no rule's result depends on, and why.
FOR_PEOPLE = {
    "__main__": "reads the words of the command line",
    "commands": "reads the words of the command line, which are parameters of the rule",
    "checks/registry": "looks a check up by its name",
    "checks/explore/registry": "looks an exploration up by its name",
    "report/figures/registry": "looks a figure up by its name",
    "core/at_rest": "compares files with their digests for people",
    "report/write": "draws figures for people who have a database and no workflow",
    "plan": "makes parameters and resources of rules, and plans for people",
    "study/load": "reads study files, whose values are parameters of rules",
    "study/imported": "declares study files, whose values are parameters of rules",
    "study/hardware": "declares what jobs may ask for",
    "study/folder": "writes folders for people",
    "study/reference": "writes documentation",
    "tables/reference": "writes documentation",
    "model/generate": "samples text for people",
    **dict.fromkeys(
        ("evaluate/card", "evaluate/export", "evaluate/hub", "model/llama"),
        "exports models for people",
    ),
    "predict/ask": "fits tables for people",
    "predict/open_database": "opens studies for people",
    **{
        f"decide/{name}": "decides for people"
        for name in (
            *("costs", "decision", "inverse", "isoflop", "page", "predicted", "record"),
            "repetition",
        )
    },
    "decide/suggest": "decides for people",
    **dict.fromkeys(
        ("fit/posterior/forms", "fit/posterior/walkers"), "draws the further laws of suggestions"
    ),
    **{
        f"watch/{name}": "seals and watches for people"
        for name in (
            *("alarms", "cells", "events", "follow", "forecast", "judging", "ladder", "live"),
            *("measured", "multi_power", "schedules", "sealing", "study_ledger", "trend"),
            *("running", "shapes", "table_ladder"),
        )
    },
}
# What only reads the command line, looks a name up or tells of a failure may run beside what the
# digest holds.
BESIDE = (
    *("scalebed", "scalebed.__main__", "scalebed.report.write", "scalebed.core.shortage"),
    *("scalebed.study", "scalebed.study.checks", "scalebed.study.figures"),
)


def rules() -> dict[str, str]:
    """Return the text of every rule that runs something."""
    found = {}
    for file in sorted((REPOSITORY / "workflow" / "rules").glob("*.smk")):
        parts = re.split(r"^rule (\w+):$", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
        found |= dict(zip(parts[1::2], parts[2::2], strict=True))
    return found


def function(name: str) -> Callable[[Any], tuple[str, ...]]:
    """Return a function of analysis.smk that gives the modules whose digest is a parameter."""
    text = (REPOSITORY / "workflow/rules/analysis.smk").read_text(encoding="utf-8")
    source = re.search(rf"^def {name}\(.*?(?=^\S)", text, flags=re.MULTILINE | re.DOTALL)
    assert source is not None
    names: dict[str, Any] = {
        "code_digest": lambda *modules: modules,
        "figure_plot": lambda wildcards: wildcards.figure,
        "exploration": lambda wildcards: wildcards.explored,
    }
    exec(source[0], names)
    result: Callable[[Any], tuple[str, ...]] = names[name]
    return result


def entries() -> dict[str, tuple[str, ...]]:
    """Return the modules whose digest is a parameter, for every kind of job of every rule."""
    wildcards = {"check": CHECKS, "explored": EXPLORATIONS, "figure": PLOTS}
    found = {}
    for rule, text in rules().items():
        code = re.search(r"\bcode=(.*?),\n", text, flags=re.DOTALL)
        if code is None:
            continue
        if literal := re.fullmatch(r"code_digest\((.*)\)", code[1], flags=re.DOTALL):
            found[rule] = tuple(re.findall(r'"([\w.]+)"', literal[1]))
            continue
        (wildcard,) = (name for name in wildcards if f"{{{name}}}" in text)
        modules = function(code[1])
        for value in wildcards[wildcard]:
            found[f"{rule} {value}"] = modules(SimpleNamespace(**{wildcard: value}))
    return found
