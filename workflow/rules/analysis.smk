"""The input and parameter functions of checks, explorations, figures and the report."""

from importlib.metadata import version

from scalebed.checks.explore.options import SEARCH_LAWS, explorations
from scalebed.checks.registry import get_check
from scalebed.study.checks import CHECKS

# What has Vega in it, so that another release is noticed.
CONVERTER = [version(name) for name in ("altair", "vl-convert-python")]
EXPLORED = explorations(FIGURES)
# The report of imported cells tells the laws of their search.
REPORT_EXPLORED = []
if IMPORTED:
    EXPLORED[SEARCH_LAWS] = {"exploration": SEARCH_LAWS, "options": {}}
    REPORT_EXPLORED = f"results/studies/{{study}}/explored/{SEARCH_LAWS}.parquet"


wildcard_constraints:
    check="|".join(CHECKS),
    explored="|".join(EXPLORED) or "(?!)",


def check_threads(wildcards):
    """Return how many cores a check can use."""
    return get_check(wildcards.check).THREADS


def check_code(wildcards):
    """Return a digest of the code of a check."""
    return code_digest(
        f"scalebed.checks.{wildcards.check}.check", "scalebed.checks.run"
    )


def exploration(wildcards):
    """Return what is explored under a name."""
    return EXPLORED[wildcards.explored]["exploration"]


def exploration_params(wildcards):
    """Return the options of an exploration."""
    return canonical_json(EXPLORED[wildcards.explored]["options"])


def exploration_code(wildcards):
    """Return a digest of the code of an exploration."""
    name = f"scalebed.checks.explore.{exploration(wildcards)}"
    return code_digest(name, "scalebed.checks.explore.run")


def figure_explored(wildcards):
    """Return the table that a figure draws beside the database, if it draws one."""
    if wildcards.figure not in EXPLORED:
        return []
    return "results/studies/{study}/explored/{figure}.parquet"


def explored_argument(wildcards):
    """Return the words that pass this table."""
    table = figure_explored(wildcards)
    return ["--explored", table.format(**wildcards)] if table else []


def figure_plot(wildcards):
    """Return which figure is drawn under a name."""
    return FIGURES[wildcards.figure]["plot"]


def figure_params(wildcards):
    """Return the options of a figure."""
    return canonical_json(FIGURES[wildcards.figure]["options"])


def figure_code(wildcards):
    """Return a digest of the code that draws a figure."""
    figure = f"scalebed.report.figures.{figure_plot(wildcards)}"
    return code_digest(figure, "scalebed.report.figures.render")


def report_params(wildcards):
    """Return what the report is called, and the options of the figures in it."""
    return canonical_json(rule_params.report(DECLARED) | {"figures": FIGURES})
