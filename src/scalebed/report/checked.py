"""The sections of the report about the study's own checks, each from the folder of its check."""

from importlib import import_module
from typing import Any

from scalebed.study.checks import CHECKS
from scalebed.tables.reader import StudyDatabase


def sections(study: StudyDatabase) -> list[dict[str, Any]]:
    """Return what a template takes for each check that has rows, in the order of the report."""
    return [found for found in (_section(name, study) for name in CHECKS) if found["rows"]]


def _section(name: str, study: StudyDatabase) -> dict[str, Any]:
    module = import_module(f"scalebed.checks.{name}.section")
    rows = module.rows(study)
    return {
        "anchor": module.ANCHOR,
        "link": module.LINK,
        "template": f"checks/{name}/{module.TEMPLATE}",
        "rows": rows,
        "said": module.said(rows) if rows else "",
        "first": getattr(module, "FIRST", False),
    }
