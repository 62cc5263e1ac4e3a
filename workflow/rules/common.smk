"""The study, path variables, and the input and parameter functions of all rules."""

from pathlib import Path

from snakemake.logging import logger

from scalebed.core.cells import CELL, NAME
from scalebed.core.errors import ScalebedError
from scalebed.core.ended import ended_lines, recorded_ends
from scalebed.core.permission import as_trained, is_recorded
from scalebed.plan import rule_params
from scalebed.plan.own_python import offer_python
from scalebed.study.imported import ImportedStudy
from scalebed.study.load import load_any, parse_any
from scalebed.study.hardware import LAPTOP, load_hardware
from scalebed.data.localfiles import fingerprint, path_digest
from scalebed.data.readers import source_digest
from scalebed.core.imports import code_digest
from scalebed.core.provenance import canonical_json
from scalebed.study.search import SearchStudy
from scalebed.commands.shared_process.lifetime import offer
from scalebed.core.backends import require_for
from scalebed.core.trunk_files import list_states, states_of
from scalebed.core.tracking import offer_tracking, untracked
from scalebed.core.trunks import TRUNK, legs, leaves_at, state_path, trunk_of

if set("{}") & set(str(workflow.current_basedir)):
    # Snakemake would fill something in, and end with a traceback of its own.
    raise ScalebedError(
        f"the workflow lies in {workflow.current_basedir}, expected a folder without braces"
    )
# A study comes from `--configfile`; without one it is that beside the Snakefile of the run, or the
# default study. There is no `configfile:` directive, because Snakemake would merge it into any other.
BESIDE = Path(workflow.basedir) / "config" / "config.yaml"
SHIPPED = Path(str(workflow.current_basedir)).parents[1] / "config" / "config.yaml"
DEFAULT = BESIDE if BESIDE.is_file() else SHIPPED
# Where the published testbed lies is a matter of the machine and not of the study.
TESTBED = config.pop("testbed", None)
# So is what jobs may ask for.
HARDWARE_FILE = config.pop("hardware", None)
HARDWARE = load_hardware(HARDWARE_FILE) if HARDWARE_FILE else LAPTOP
STUDY_FILE = " and ".join(map(str, workflow.configfiles)) or "the study"
DECLARED = parse_any(config, STUDY_FILE) if config else load_any(DEFAULT)
SEARCH = DECLARED if isinstance(DECLARED, SearchStudy) else None
# The runs of a search are the cells of an ordinary study.
STUDY = DECLARED if SEARCH is None else SEARCH.study()
IMPORTED = isinstance(STUDY, ImportedStudy)
if not IMPORTED:
    offer_tracking(STUDY.tracking, STUDY.name)
FIGURES = rule_params.figures(DECLARED)
TABLES = collect(
    "results/studies/{{study}}/tables/{table}.parquet", table=rule_params.CELL_TABLES
)
FITS = collect(
    "results/studies/{{study}}/fits/{table}.parquet",
    table=[] if SEARCH else rule_params.FIT_TABLES,
)
SEARCHED = collect(
    "results/studies/{{study}}/search/{table}.parquet",
    table=["runs", *rule_params.SEARCH_TABLES] if SEARCH else [],
)
CELLS = (
    {}
    if IMPORTED
    else {cell.path: rule_params.cell(STUDY, cell) for cell in STUDY.cells()}
)
DEPLOYED = workflow.deployment_settings.deployment_method
if not DEPLOYED:
    offer_python()
if not (IMPORTED or DEPLOYED):
    require_for(CELLS, Path("results/cells"))
# Recipes whose cells are taken from checkpoints, and all others. Snakemake fills path variables in
# after constraints, so rules that constrain a recipe spell the path of a cell out.
TAKEN = (
    "|".join(
        name
        for name, recipe in (() if IMPORTED else STUDY.recipes.items())
        if recipe.source == "checkpoint"
    )
    or "(?!)"
)
# Pieces of trunks by the record of the state each ends in.
LEGS = {leg.path: leg for leg in legs(CELLS.values())}
# Cells by the record of the state they leave their trunk at.
BRANCHES = {}
for path, spec in CELLS.items():
    if trunk_of(spec) is not None:
        leaving = state_path(trunk_of(spec), leaves_at(spec))
        BRANCHES.setdefault(leaving, []).append(path)
TRAINED = rf"(?!({TAKEN})/){NAME}"
# What tells that tokens suffice.
ENOUGH_PARAMS = {} if IMPORTED else rule_params.enough(STUDY)
NEEDED = sorted({row["dataset"] for row in ENOUGH_PARAMS.get("needed", [])})
ENOUGH = f"results/studies/{STUDY.name}/tokens.json"
TASK_PARAMS = "" if IMPORTED else canonical_json(rule_params.tasks(STUDY))
EVALUATIONS = ["losses"] if IMPORTED or not STUDY.tasks else ["losses", "tasks"]
CELL_RECORDS = collect(
    "results/cells/{cell}/{record}.json",
    cell=CELLS,
    record=["metrics", *EVALUATIONS],
)

CELL_CURVES = collect("results/cells/{cell}/curve.parquet", cell=CELLS)
CORPUS_MANIFESTS = collect(
    "results/corpora/{corpus}/manifest.json",
    corpus=[] if IMPORTED else rule_params.corpora_used(STUDY),
)


pathvars:
    cell=CELL,


wildcard_constraints:
    corpus=NAME,
    tokenizer=NAME,
    dataset=NAME,
    suite=NAME,
    size=NAME,
    ratio=r"\d+",
    recipe=NAME,
    seed=r"\d+",
    trunk=r"[0-9a-f]{16}",
    step=r"\d+",
    study=NAME,
    figure="|".join(FIGURES),


def verbatim(text):
    """Return a text as a parameter in which Snakemake fills nothing in: a title may have braces."""
    return lambda wildcards: text


def cell_path(wildcards):
    """Return the path of the cell a job is about."""
    return CELL.format(**wildcards)


def corpus_params(wildcards):
    """Return how a corpus is read and split."""
    return canonical_json(rule_params.corpus(STUDY, wildcards.corpus))


def corpus_source(wildcards):
    """Return a digest of what a corpus is read from, so that new text is noticed."""
    spec = STUDY.corpora[wildcards.corpus]
    return source_digest(spec.reader, spec.options)


def tokenizer_params(wildcards):
    """Return how a tokenizer comes about."""
    return canonical_json(rule_params.tokenizer(STUDY, wildcards.tokenizer))


def tokenizer_source(wildcards):
    """Return a mark of the files a tokenizer is adopted from, so that new ones are noticed."""
    spec = STUDY.tokenizers[wildcards.tokenizer]
    names = [name for name in (spec.path, spec.merges) if name and spec.kind == "file"]
    files = [(name, Path(name)) for name in names if Path(name).is_file()]
    return canonical_json(fingerprint(files))


def tokenizer_corpora(wildcards):
    """Return the corpora a tokenizer is trained on."""
    spec = STUDY.tokenizers[wildcards.tokenizer]
    names = spec.corpora if spec.kind == "bpe" else []
    return [f"results/corpora/{name}/manifest.json" for name in names]


def dataset_params(wildcards):
    """Return the composition of a data set."""
    return canonical_json(rule_params.dataset(STUDY, wildcards.dataset))


def dataset_tokens(wildcards):
    """Return the tokens a data set is a view of."""
    spec = STUDY.datasets[wildcards.dataset]
    return [
        f"results/tokens/{spec.tokenizer}/{name}/manifest.json" for name in spec.sources
    ]


def waits_for_tokens(paths):
    """Return the check of the tokens while it is not made, for cells that are yet to be trained.

    Not as an ancient input afterwards: behind one whose job has to run again Snakemake skips what
    has to be trained. A check that is made again refuses beside the trainings, and before any of
    them in `scalebed plan`.
    """
    old = Path(ENOUGH).exists() or all(
        is_recorded(CELLS[path], Path("results/cells", path, "metrics.json"))
        for path in paths
    )
    return [] if old or not NEEDED else ENOUGH


def cell_enough(wildcards):
    """Return what tells that tokens suffice, before a cell is trained."""
    return waits_for_tokens([cell_path(wildcards)])


def leg_enough(wildcards):
    """Return the same, before a piece of a trunk is trained; its state may be dropped by now."""
    return waits_for_tokens(BRANCHES[trunk_leg(wildcards).path])


def trunk_leg(wildcards):
    """Return the piece of a trunk a job is about."""
    return LEGS[f"{TRUNK.format(**wildcards)}/step={wildcards.step}/state.json"]


def trunk_params(wildcards):
    """Return everything that defines a state of a trunk."""
    leg = trunk_leg(wildcards)
    return canonical_json(as_trained(leg.spec, Path("results/trunks", leg.path)))


def trunk_before(wildcards):
    """Return the state that a piece of a trunk waits for."""
    leg = trunk_leg(wildcards)
    return f"results/trunks/{state_path(leg.trunk, leg.begin)}" if leg.begin else []


def cell_trunk(wildcards):
    """Return the state a cell goes on from, if it is a branch."""
    spec = CELLS[cell_path(wildcards)]
    trunk = trunk_of(spec)
    if trunk is None:
        return []
    return f"results/trunks/{state_path(trunk, leaves_at(spec))}"


def cell_params(wildcards):
    """Return everything that defines the numbers of a cell."""
    path = cell_path(wildcards)
    record = Path("results/cells", path, "metrics.json")
    return canonical_json(as_trained(CELLS[path], record))


def cell_checkpoint(wildcards):
    """Return the file a cell is taken from."""
    return CELLS[cell_path(wildcards)]["checkpoint"]


def checkpoint_digest(wildcards):
    """Return a mark of that file, so that another one is noticed."""
    return path_digest(Path(cell_checkpoint(wildcards)))


def validation_tokens(wildcards):
    """Return the validation texts in the tokens of the cell's data set."""
    tokenizer = STUDY.datasets[wildcards.dataset].tokenizer
    corpora = {spec.corpus for spec in STUDY.validation.values()}
    return [
        f"results/tokens/{tokenizer}/{name}/manifest.json" for name in sorted(corpora)
    ]


def validation_arguments(wildcards):
    """Return the validation texts as ``NAME=manifest`` words."""
    tokenizer = STUDY.datasets[wildcards.dataset].tokenizer
    return [
        f"{name}=results/tokens/{tokenizer}/{spec.corpus}/manifest.json"
        for name, spec in STUDY.validation.items()
    ]


def suite_params(wildcards):
    """Return how the items of the suite are made."""
    return canonical_json(rule_params.suite(STUDY))


def suite_corpus(wildcards):
    """Return the corpus the suite is built from."""
    return f"results/corpora/{STUDY.tasks.corpus}/manifest.json"


def cell_tokenizer(wildcards):
    """Return the tokenizer of the cell's data set."""
    return f"results/tokenizers/{STUDY.datasets[wildcards.dataset].tokenizer}/manifest.json"


def suite_manifest(wildcards):
    """Return the items of the suite, if some are built here."""
    if STUDY.tasks.corpus is None:
        return []
    return f"results/suites/{STUDY.tasks.suite}/manifest.json"


def suite_argument(wildcards):
    """Return the words that pass the items of the suite."""
    manifest = suite_manifest(wildcards)
    return ["--suite", manifest] if manifest else []


def task_params(wildcards):
    """Return the tasks to run, with a digest of each task's file."""
    return TASK_PARAMS


def published_numbers(wildcards):
    """Return the file of printed numbers to compare with, if there is one."""
    return (IMPORTED and STUDY.published) or []


def published_argument(wildcards):
    """Return the words that pass the file of printed numbers."""
    path = published_numbers(wildcards)
    return ["--published", path] if path else []


def import_path():
    """Return the file or folder that is imported; None if it is to be fetched."""
    return (
        TESTBED if STUDY.source.importer == "testbed" else None
    ) or STUDY.source.path


def import_input(wildcards):
    """Return the manifest of the fetched testbed, if no path was given."""
    return [] if import_path() else "results/imports/testbed/manifest.json"


def import_source(wildcards):
    """Return what the importer reads."""
    return import_path() or "results/imports/testbed/exp_data"


def import_content(wildcards):
    """Return a digest of the files given by path, so that new ones are noticed."""
    paths = [import_path(), STUDY.source.options.get("runs")]
    return " ".join(path_digest(Path(path)) for path in paths if path)


onstart:
    # Not reached by dry runs nor by what a cluster's jobs run.
    offer(workflow.is_main_process and workflow.local_exec)
    if workflow.is_main_process and (said := untracked()):
        logger.warning(said)
    if LEGS and workflow.is_main_process:
        # Before anything trains, lest another study that ends meanwhile drops what this one needs.
        list_states(Path("results/studies", STUDY.name), states_of(LEGS.values()))


def say_what_ended():
    """Say which cells failed or diverged, and why: the study goes on without them."""
    ends = recorded_ends(CELLS, Path("results/cells"))
    for line in ended_lines(ends, len(CELLS)):
        logger.warning(line)


onsuccess:
    say_what_ended()


onerror:
    say_what_ended()
