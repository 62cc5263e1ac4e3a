"""What the rules of the workflow run: one entry of `RULES` a rule, its function imported when run.

A rule ``make_thing`` of ``workflow/rules/`` runs ``python -m scalebed make-thing``. An option
``--some-name`` is the argument ``some_name`` of the function, unless it says ``dest``.
"""

from pathlib import Path
from typing import Any

from scalebed.commands.declare import ByName, Rule, json_object, keys, option, positional


def plot_figure(
    figure: str,
    params: dict[str, Any],
    database: Path,
    explored: Path | None,
    script: Path | None,
    out_prefix: Path,
) -> None:
    """Draw one figure of a study."""
    from scalebed.report.figures.registry import get_figure
    from scalebed.report.figures.render import save
    from scalebed.tables.reader import StudyDatabase

    with StudyDatabase(database) as study:
        save(get_figure(figure), study, params, out_prefix, explored, script)


def gather_study(
    params: dict[str, Any],
    tables: Path,
    fits: Path,
    checks: Path,
    search: Path | None,
    judged: Path | None,
    corpora: list[Path],
    published: Path | None,
    out: Path,
) -> None:
    """Write the database of a study."""
    from scalebed.tables.database import Sources
    from scalebed.tables.database import gather_study as gather

    gather(params, Sources(tables, fits, checks, search, judged), out, corpora, published)


def list_cells(params: dict[str, Any], out: Path) -> None:
    """Write the expanded grid of a study."""
    from scalebed.core.files import write_text
    from scalebed.plan.listing import cells_tsv

    write_text(out, cells_tsv(params))


_MANIFEST = option("--out", "the manifest to write, beside what it vouches for")
_TABLES = option("--tables", "folder of the study's tables")
_CELLS = option("--cells", "root folder of all cells")
_CODE = option("--code", "digest of the code that predicts", type=str)
_CELL = option("--cell", "metrics.json of the cell")
_DATABASE = option("--database", "database of the study")
_THREADS = option("--threads", "threads of torch", type=int, default=1)

RULES: dict[str, Rule | None] = {
    "extract-corpus": Rule(
        "Read a corpus, split it by document id and write its documents.",
        "scalebed.data.corpus:extract_corpus",
        keys("corpus reader options split numerics"),
        _MANIFEST,
    ),
    "train-tokenizer": Rule(
        "Train a byte-level BPE on train splits, or adopt an existing tokenizer.",
        "scalebed.data.tokenizer:train_tokenizer",
        keys("tokenizer kind numerics", "vocab bytes corpora path merges revision eot"),
        option("--corpora", "manifests of the corpora", nargs="*", default=[]),
        _MANIFEST,
    ),
    "tokenize-corpus": Rule(
        "Encode the train and val splits of a corpus into token shards.",
        "scalebed.data.tokens:tokenize_corpus",
        keys("numerics"),
        option("--corpus", "manifest of the corpus"),
        option("--tokenizer", "manifest of the tokenizer", dest="tokenizer_manifest"),
        _MANIFEST,
    ),
    "build-dataset": Rule(
        "Say which tokens of which corpora make up a data set, each at most once an epoch.",
        "scalebed.data.dataset:build_dataset",
        keys("dataset sources", "tokens numerics"),
        option("--tokens", "manifests of token shards", nargs="+"),
        _MANIFEST,
    ),
    "check-tokens": Rule(
        "Refuse a study whose data sets are too small for its cells, before any of them trains.",
        "scalebed.data.enough:check_enough",
        keys("study needed"),
        option("--datasets", "manifests of the data sets", nargs="+"),
        option("--out", "record to write"),
    ),
    "train-trunk": None,
    "drop-states": Rule(
        "Drop the states of trunks that no study lists any more.",
        "scalebed.train.dropped_states:drop_states",
        keys("study states"),
        option("--trunks", "root folder of all trunks"),
        option("--studies", "root folder of all studies"),
        option("--out", "record of what was dropped"),
        option("--state", "root of resumable state", default=Path("state")),
    ),
    "train-cell": None,  # a file of its own, which starts itself again as ranks
    "convert-checkpoint": Rule(
        "Take a cell from a checkpoint of open_lm instead of training it.",
        "scalebed.train.open_lm.published:convert_cell",
        keys("cell model recipe tokens steps numerics checkpoint"),
        option("--tokenizer", "manifest of its tokenizer"),
        option("--out", "metrics.json of the cell"),
    ),
    "build-suite": Rule(
        "Build the items of a task suite from the tasks split of a corpus.",
        "scalebed.evaluate.suites.build:build_suite",
        keys("suite corpus tasks items seed context_chars sentence_chars numerics"),
        option("--corpus", "manifest of the corpus", dest="corpus_manifest"),
        _MANIFEST,
    ),
    "evaluate-losses": Rule(
        "Measure the loss of a cell on validation texts, with bootstrap intervals.",
        "scalebed.evaluate.losses:evaluate_losses",
        keys("sets resamples seed numerics"),
        _CELL,
        option(
            "--validation",
            "a text by name and the manifest of its tokens",
            nargs="+",
            type=str,
            action=ByName,
            metavar="NAME=MANIFEST",
        ),
        option("--out", "the losses.json to write"),
        _THREADS,
    ),
    "evaluate-tasks": Rule(
        "Measure the error of a cell on a task suite through lm-evaluation-harness.",
        "scalebed.evaluate.tasks:evaluate_tasks",
        keys("suite numerics"),
        _CELL,
        option("--suite", "manifest of the suite, for local tasks", default=None),
        option("--tokenizer", "manifest of the tokenizer"),
        option("--out", "the tasks.json to write"),
        option("--state", "folder of kept results", default=Path("state")),
        _THREADS,
    ),
    "list-cells": Rule(
        "Write the expanded grid of a study as a table to read.",
        "scalebed.commands.rules:list_cells",
        json_object("the study's name and its cells"),
        option("--out", "tab-separated file to write"),
    ),
    "tabulate-cells": Rule(
        "Gather the records of a study's cells into parquet tables.",
        "scalebed.tables.tabulate:tabulate_cells",
        json_object("cells of the study and their parts"),
        _CELLS,
        option("--out", "folder of the tables"),
    ),
    "fetch-testbed": Rule(
        "Fetch the published testbed of arXiv 2403.08540 at its pinned commit; check it.",
        "scalebed.tables.imports.fetch:fetch_testbed",
        option("--out", "manifest to write"),
    ),
    "import-cells": Rule(
        "Import cells that others trained, as the tables of a study.",
        "scalebed.tables.imports.tabulate:tabulate_import",
        json_object("study, importer, options, average, fit"),
        option("--source", "what the importer reads", dest="path"),
        option("--out", "folder for the tables"),
    ),
    "fit-laws": Rule(
        "Fit the laws of a study, draw their intervals and predict its targets.",
        "scalebed.predict.study:fit_files",
        option(
            "--params",
            "JSON: loss_law, error_law, loss, losses, per_task, draws, level, seed",
            type=str,
        ),
        _TABLES,
        option("--out", "folder for fit_parameters, draws, predictions and, last, fits"),
    ),
    "seal-predictions": Rule(
        "Seal what the laws of a study predict for targets of which none has trained.",
        "scalebed.watch.sealed_study:seal_study",
        json_object("study, tables, fit, targets"),
        _CODE,
        _CELLS,
        option("--begun", "what there is of targets already", nargs="*", default=[]),
        option("--out", "the sealed.json to write"),
    ),
    "judge-predictions": Rule(
        "Judge the sealed predictions of a study by what its targets gave.",
        "scalebed.watch.judged_study:judge_study",
        json_object("study, tables, fit, targets"),
        _CODE,
        option("--seal", "what seal-predictions wrote"),
        _CELLS,
        _TABLES,
        option("--out", "parquet file to write"),
    ),
    "run-check": Rule(
        "Run one check of a study by name and write its table.",
        "scalebed.checks.registry:run_check",
        positional("name", "name of the check, as the study file has it"),
        positional("study", "a study that was fitted: its name, or its folder"),
        option("--threads", "cores; results do not depend on it", type=int, default=1),
        option("--out", "parquet file to write"),
    ),
    "choose-ladder": Rule(
        "Take the frontier of a search, fit its laws and propose a ladder as a study.",
        "scalebed.search.propose:choose_ladder",
        json_object("the search"),
        _TABLES,
        option("--out", "folder of the four results"),
    ),
    "gather-study": Rule(
        "Write everything known about a study into one DuckDB file and parquet copies.",
        "scalebed.commands.rules:gather_study",
        json_object("study, title and yardstick loss"),
        _TABLES,
        option("--fits", "folder of the fits' tables"),
        option("--checks", "folder of the checks' tables"),
        option("--corpora", "manifests of corpora, for licence and size", nargs="*", default=[]),
        option("--search", "folder of the tables of a search", default=None),
        option("--judged", "table of judged predictions", default=None),
        option("--published", "printed numbers to compare with, YAML", default=None),
        option("--out", "database to write"),
    ),
    "explore": Rule(
        "Compute what a figure or the report shows and the laws of a study do not say.",
        "scalebed.checks.explore.registry:explore",
        positional("name", "name of the exploration"),
        json_object("its options", default="{}"),
        _DATABASE,
        option("--out", "parquet file to write"),
    ),
    "bundle-script": Rule(
        "Write the script that draws figures in a page without a network.",
        "scalebed.report.figures.javascript:bundle_script",
        option("--out", "file to write"),
    ),
    "plot-figure": Rule(
        "Draw one figure of a study as interactive HTML, SVG and PNG.",
        "scalebed.commands.rules:plot_figure",
        option("--figure", "name of the figure", type=str),
        json_object("options of the figure", default="{}"),
        _DATABASE,
        option("--explored", "what was computed for it, if it shows that", default=None),
        option("--script", "what bundle-script wrote, if it did", default=None),
        option("--out-prefix", "path of the files without their suffix"),
    ),
    "write-report": Rule(
        "Write the report of a study: one HTML page that needs no network.",
        "scalebed.report.write:write_report",
        json_object("title and figure options", default="{}"),
        _DATABASE,
        option("--figures", "folder of figures that are drawn already", default=None),
        option("--explored", "folder of what was computed for them", default=None),
        option("--out", "page to write"),
    ),
}
"""By verb, in the order of the stages; None for the one that is a file of its own."""
