"""The grid of a hyper-parameter search: one JSON object from configuration to loss.

A key is ``d=<width>_l=<layers>_h=<heads>-<g>-<lr>-<weight decay>-<g>-<tokens>-<warmup>-<lr at the
end>``, as in ``exp_data/grid.json`` of the testbed of arXiv 2403.08540. That every step takes 8 g
sequences is no statement of its authors; it gives the batches of their Table 3 and the range of
steps in their Figure 6.
"""

import math
import re
from pathlib import Path
from typing import Any

from scalebed.core import arithmetic
from scalebed.core.errors import ScalebedError
from scalebed.core.files import read_json

Row = dict[str, Any]

_VOCAB, _CONTEXT = 50432, 2048
_SEQUENCES = 8  # per unit of g
_NUMBER = r"\d+(?:\.\d+)?(?:e-?\d+)?"
_KEY = re.compile(
    r"d=(?P<width>[1-9]\d*)_l=(?P<layers>[1-9]\d*)_h=(?P<heads>[1-9]\d*)-(?P<g>[1-9]\d*)"
    rf"-(?P<lr>{_NUMBER})-(?P<wd>{_NUMBER})-(?P<again>[1-9]\d*)-(?P<tokens>[1-9]\d*)"
    rf"-(?P<warmup>\d+)-(?P<end>{_NUMBER})"
)


def read_grid(path: Path) -> list[Row]:
    """Read the configurations of a search.

    Returns
    -------
    list of dict
        Rows of the table ``search`` without its flags, by compute and then loss.

    Raises
    ------
    ScalebedError
        If the file, a key or a loss is not what it should be.
    """
    grid = read_json(path)
    if not isinstance(grid, dict) or not grid:
        raise ScalebedError(f"{path} is no search: expected a JSON object of configuration: loss")
    rows = [_configuration(path, key, loss) for key, loss in grid.items()]
    return sorted(rows, key=lambda row: (row["flops"], row["loss"], row["configuration"]))


def _configuration(path: Path, key: str, loss: Any) -> Row:
    match = _KEY.fullmatch(key)
    if match is None:
        raise ScalebedError(
            f"{path}: configuration {key!r} is not of the form "
            "d=<width>_l=<layers>_h=<heads>-<g>-<lr>-<wd>-<g>-<tokens>-<warmup>-<lr at the end>"
        )
    if match["g"] != match["again"]:
        raise ScalebedError(
            f"{path}: configuration {key!r} has batches {match['g']} and {match['again']}, "
            "expected twice the same"
        )
    if type(loss) not in (int, float) or not math.isfinite(loss) or loss <= 0:
        raise ScalebedError(f"{path}: the loss of {key!r} is {loss!r}, expected a number above 0")
    names = ("width", "layers", "heads", "tokens", "warmup")
    numbers = {name: int(match[name]) for name in names}
    width, layers, heads = (numbers[name] for name in names[:3])
    params = _params(width, layers, heads)
    batch = _SEQUENCES * int(match["g"])
    return {
        "configuration": key,
        "cell": None,
        "status": "done",
        "reason": None,
        **numbers,
        "ratio": numbers["tokens"] // params,
        "lr": float(match["lr"]),
        "params": params,
        "flops": arithmetic.flops(params, numbers["tokens"]),
        "batch_sequences": batch,
        "steps": numbers["tokens"] / (batch * _CONTEXT),
        "loss": float(loss),
    }


def _params(width: int, layers: int, heads: int) -> int:
    """Count parameters; where the heads do not divide the width, the attention is narrower."""
    whole = arithmetic.count_params(arithmetic.Shape(width, layers, heads, _VOCAB, _CONTEXT)).total
    return whole - layers * 4 * width * (width % heads)
