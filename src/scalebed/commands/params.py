"""The ``--params`` JSON of the data verbs."""

import json
from collections.abc import Collection
from typing import Any

from scalebed.core.errors import ScalebedError


def parse_params(
    text: str, required: Collection[str], optional: Collection[str] = ()
) -> dict[str, Any]:
    """Return the object in a ``--params`` argument.

    Raises
    ------
    ScalebedError
        If it is not a JSON object, lacks a required key or has an unknown one.
    """
    try:
        params = json.loads(text)
    except json.JSONDecodeError as error:
        raise ScalebedError(f"--params is not JSON: {error}") from error
    if not isinstance(params, dict):
        raise ScalebedError(f"--params is a {type(params).__name__}, expected an object")
    for key in required:
        if key not in params:
            raise ScalebedError(f"--params lacks the key {key!r}")
    for key in params:
        if key not in required and key not in optional:
            allowed = ", ".join(sorted({*required, *optional}))
            raise ScalebedError(f"--params has the unknown key {key!r}, expected {allowed}")
    return params
