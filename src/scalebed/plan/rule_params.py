"""What each rule of the workflow needs of a study, and nothing more.

A rule reruns when its parameters change, so they hold exactly the values its outputs depend
on. All of them are dictionaries of built-in types, ready for `provenance.canonical_json`.
"""

from typing import Any

from scalebed.core import arithmetic
from scalebed.core.cells import Cell
from scalebed.core.permission import KEY, plain
from scalebed.core.provenance import digest
from scalebed.core.trunk_files import states_of
from scalebed.core.trunks import COOLING, legs
from scalebed.evaluate.digests import suite_digests, task_digest
from scalebed.study.checks import CHECKS
from scalebed.study.figures import FIGURES, SEARCH_FIGURES
from scalebed.study.fit_sections import options_json
from scalebed.study.imported import ROLES, ImportedStudy
from scalebed.study.search import SearchStudy
from scalebed.study.trained import Study, roles

# Named here, because the modules of the store need pyarrow and every job reads the rules.
CELL_TABLES = ("cells", "curves", "losses", "tasks", "provenance", "arguments", "search")
FIT_TABLES = (
    *("fits", "fit_parameters", "draws", "predictions", "influence"),
    *("pooling", "pooled_parameters", "pooled_predictions"),
    *("beside_fits", "beside_fit_parameters", "beside_predictions"),
)
SEARCH_TABLES = ("search_fits", "search_rungs")
DATABASE_TABLES = (
    *(*CELL_TABLES, *FIT_TABLES, *CHECKS),
    *(*SEARCH_TABLES, "lints", "comparisons", "judged"),
)


def corpus(study: Study, name: str) -> dict[str, Any]:
    """Return the parameters of ``extract_corpus``."""
    spec = study.corpora[name]
    return {
        "corpus": name,
        "reader": spec.reader,
        "options": spec.options,
        "split": spec.split.model_dump(),
        "numerics": arithmetic.DATA_NUMERICS,
    }


def tokenizer(study: Study, name: str) -> dict[str, Any]:
    """Return the parameters of ``train_tokenizer``."""
    spec = study.tokenizers[name].model_dump(exclude_none=True)
    if spec["kind"] != "bpe":
        del spec["corpora"], spec["bytes"]
    return {"tokenizer": name, "numerics": arithmetic.DATA_NUMERICS, **spec}


def tokens() -> dict[str, Any]:
    """Return the parameters of ``tokenize_corpus``, whose inputs say everything else."""
    return {"numerics": arithmetic.DATA_NUMERICS}


def dataset(study: Study, name: str) -> dict[str, Any]:
    """Return the parameters of ``build_dataset``."""
    return {"dataset": name, "sources": study.datasets[name].sources}


def cell(study: Study, cell: Cell) -> dict[str, Any]:
    """Return the parameters of ``train_cell``: all that defines the numbers of one cell."""
    size = study.sizes[cell.size]
    values = study.recipe_values(cell.recipe, cell.size).model_dump()
    batch_tokens = values["batch_sequences"] * size.context
    params = arithmetic.count_params(size).total
    steps = arithmetic.steps_for(params, cell.ratio, batch_tokens)
    fraction = values.pop("warmup_fraction")
    if fraction is not None:
        values["warmup_steps"] = round(fraction * steps)
    qk_norm = values.pop("qk_norm")
    if values["schedule"] == "cosine":
        # Absent, so that these cells are the ones of before there was another schedule.
        values = {name: value for name, value in values.items() if name not in COOLING}
    recipe = study.recipes[cell.recipe]
    path = checkpoint(study, cell)
    return {
        "cell": cell._asdict(),
        "model": size.model_dump() | {"qk_norm": qk_norm, "rope_base": 10000},
        "recipe": values | {"backend": recipe.backend if path is None else "open_lm"},
        "steps": steps,
        "tokens": steps * batch_tokens,
        "numerics": arithmetic.NUMERICS,
        # Absent where it is off, so that studies which differ in it share what they can.
        **({KEY: True} if study.allow_repeats and path is None else {}),
        **({} if path is None else {"checkpoint": path}),
    }


def checkpoint(study: Study, cell: Cell) -> str | None:
    """Return the file a cell is taken from; None for a cell that is trained."""
    pattern = study.recipes[cell.recipe].checkpoint
    return None if pattern is None else pattern.format(**cell._asdict())


def enough(study: Study) -> dict[str, Any]:
    """Return the parameters of ``check_tokens``: what the largest cells need of each data set.

    Nothing is needed where data may be repeated, nor by cells that were trained elsewhere.
    """
    most: dict[tuple[str, int], dict[str, Any]] = {}
    for item in [] if study.allow_repeats else study.cells():
        if checkpoint(study, item) is None:
            at = item.dataset, study.sizes[item.size].context
            tokens = cell(study, item)["tokens"]
            if at not in most or tokens > most[at]["tokens"]:
                most[at] = {"cell": item.path, "tokens": tokens}
    needed = [
        {"dataset": dataset, "context": context, **row}
        for (dataset, context), row in sorted(most.items())
    ]
    return {"study": study.name, "needed": needed}


def kept_states(study: Study) -> dict[str, Any]:
    """Return the parameters of ``drop_states``: the states that stay when a study is done."""
    pieces = legs(cell(study, item) for item in study.cells())
    return {"study": study.name, "states": states_of(pieces, study.trunk_states)}


def losses(study: Study) -> dict[str, Any]:
    """Return the parameters of ``evaluate_losses``."""
    sets = {name: spec.model_dump(exclude={"corpus"}) for name, spec in study.validation.items()}
    return {"sets": sets, "resamples": 1000, "seed": 0, "numerics": arithmetic.EVAL_NUMERICS}


def suite(study: Study) -> dict[str, Any]:
    """Return the parameters of ``build_suite``; empty for a study without tasks."""
    if study.tasks is None:
        return {}
    spec = study.tasks.model_dump(exclude={"average", "table"})
    # The rest are tasks of lm-eval, whose items come from a hub.
    spec["tasks"] = [name for name in spec["tasks"] if name in task_digest()]
    return {"numerics": arithmetic.EVAL_NUMERICS, **spec}


def tasks(study: Study) -> dict[str, Any]:
    """Return the parameters of ``evaluate_tasks``; empty for a study without tasks.

    It holds version and content digest of every task, so that editing one is noticed.
    """
    if study.tasks is None:
        return {}
    chosen = suite_digests(study.tasks.tasks, study.tasks.table)
    suite = {"name": study.tasks.suite, "tasks": chosen, "limit": None}
    return {"suite": suite, "numerics": arithmetic.EVAL_NUMERICS}


def cell_rows(study: Study) -> list[dict[str, Any]]:
    """Return one row for each cell of the study: coordinates, roles, N, D, C and steps."""
    rows = []
    for item, role in roles(study).items():
        spec = cell(study, item)
        params = arithmetic.count_params(study.sizes[item.size]).total
        rows.append(
            {"cell": item.path, **item._asdict(), **role, "params": params}
            | {"tokens": spec["tokens"], "steps": spec["steps"]}
            | {"flops": arithmetic.flops(params, spec["tokens"])}
        )
    return rows


def cell_list(study: Study) -> dict[str, Any]:
    """Return the parameters of ``list_cells``."""
    return {"study": study.name, "cells": cell_rows(study)}


def tables(study: Study) -> dict[str, Any]:
    """Return the parameters of ``tabulate_cells``."""
    names = ("cell", *Cell._fields, "fit_loss", "fit_error", "target", "scatter")
    cells = [{name: row[name] for name in names} for row in cell_rows(study)]
    for row, item in zip(cells, roles(study), strict=True):
        row["params_digest"] = digest(plain(cell(study, item)))
    spec = study.tasks
    average = spec.average if spec else []
    if average is None:
        average = list(tasks(study)["suite"]["tasks"])
    return {
        "study": study.name,
        "cells": cells,
        "suite": spec.suite if spec else None,
        "tasks_in_average": average,
    }


def fit(study: Study | ImportedStudy) -> dict[str, Any]:
    """Return the parameters of ``fit_laws``."""
    return {
        "loss": study.fit.loss,
        # Which losses were imported is known when the tables are there: null stands for all.
        "losses": list(study.validation) if isinstance(study, Study) else None,
        "loss_law": study.fit.loss_law,
        "error_law": study.fit.error_law,
        "averages": study.fit.averages,
        "loss_options": options_json(study.fit.loss_options),
        "error_options": options_json(study.fit.error_options),
        "weights": {
            "loss": study.fit.loss_options.weights,
            "error": study.fit.error_options.weights,
        },
        "pool": study.fit.pool.model_dump() if study.fit.pool else None,
        "beside": study.fit.beside.model_dump() if study.fit.beside else None,
        "interval": study.fit.drawn,
        "per_task": True,
        **study.bootstrap.model_dump(),
    }


def imported(study: ImportedStudy) -> dict[str, Any]:
    """Return the parameters of ``import_cells``."""
    return {
        "study": study.name,
        "importer": study.source.importer,
        "options": study.source.options,
        "average": study.average,
        "fit": study.fit.model_dump(include=set(ROLES)),
    }


def corpora_used(study: Study) -> list[str]:
    """Return the corpora some stage of the study reads, sorted."""
    names = {spec.corpus for spec in study.validation.values()}
    for spec in study.datasets.values():
        names |= set(spec.sources) | set(study.tokenizers[spec.tokenizer].corpora)
    if study.tasks is not None and study.tasks.corpus is not None:
        names.add(study.tasks.corpus)
    return sorted(names)


def search(study: SearchStudy) -> dict[str, Any]:
    """Return the parameters of ``choose_ladder``: the search as in its file, but for its look."""
    # What is left out of the file is left out of the ladder too.
    given = study.model_dump(
        mode="json", exclude_unset=True, exclude={"budget", "figures", "tracking"}
    )
    return {"study": given | {"title": study.name}}


def report(study: Study | ImportedStudy | SearchStudy) -> dict[str, Any]:
    """Return the parameters of ``gather_study`` and ``write_report``."""
    look = {"title", "figures", "budget", "checks", "trunk_states", "tracking"}
    science = study.model_dump(mode="json", exclude=look)
    if not science.get("fit", {}).get("seal"):
        # Absent, so that other studies keep the digest of before there were seals.
        science.get("fit", {}).pop("seal", None)
    if isinstance(study, SearchStudy):
        return {
            "kind": "search",
            "study": study.name,
            "title": study.title,
            "loss": study.search.loss,
            "config_digest": digest(science),
        }
    return {
        "study": study.name,
        "title": study.title,
        "loss": study.fit.loss,
        "averages": sorted(study.fit.averages),
        "checks": checks(study),
        "config_digest": digest(science),
    }


def checks(study: Study | ImportedStudy) -> list[str]:
    """Return what the study measures about itself, in the order of all checks."""
    return [name for name in CHECKS if name in study.checks]


def figures(study: Study | ImportedStudy | SearchStudy) -> dict[str, dict[str, Any]]:
    """Return the figures of the report by name: which one is drawn, its title and options.

    A trained study has the usual figures and those it names; an imported one that names some has
    only these; a search has figures of its own and those it names.
    """
    names = SEARCH_FIGURES if isinstance(study, SearchStudy) else FIGURES
    usual: dict[str, dict[str, Any]] = {name: {} for name in names}
    if isinstance(study, ImportedStudy):
        del usual["training_curves"]
        chosen = study.figures or usual
    else:
        chosen = usual | study.figures
    return {
        name: {
            "plot": spec.get("plot", name),
            "title": spec.get("title"),
            "options": {key: spec[key] for key in spec if key not in ("plot", "title")},
        }
        for name, spec in chosen.items()
    }
