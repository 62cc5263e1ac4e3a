"""Read a study file of any kind: one that trains its cells, imports them, or searches."""

from typing import Any

from pydantic import ValidationError

from scalebed.core.errors import ScalebedError
from scalebed.study.imported import ImportedStudy
from scalebed.study.search import SearchStudy, parse_search
from scalebed.study.trained import Study, parse_study
from scalebed.study.yaml import first_complaint, read_study, require_text


def parse_any(values: Any, where: str) -> Study | ImportedStudy | SearchStudy:
    """Return the study that `values` describe.

    One with the key ``source`` imports its cells, one with the key ``search`` is a search.

    Raises
    ------
    ScalebedError
        If a key is unknown or missing, or a value is impossible.
    """
    require_text(values, where)
    if isinstance(values, dict) and "search" in values:
        return parse_search(values, where)
    if not isinstance(values, dict) or "source" not in values:
        return parse_study(values, where)
    try:
        return ImportedStudy.model_validate(values)
    except ValidationError as error:
        raise ScalebedError(f"{where}: {first_complaint(error)}") from error


def load_any(path: Any) -> Study | ImportedStudy | SearchStudy:
    """Return the study in a YAML file, see `parse_any`."""
    return parse_any(read_study(path), str(path))
