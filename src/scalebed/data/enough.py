"""Whether the tokens of data sets suffice for the cells of a study, before any of them trains."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from scalebed.core.errors import ScalebedError
from scalebed.core.files import read_json, write_json


def epoch_tokens(sources: Iterable[int], context: int) -> int:
    """Return the tokens that one epoch trains on.

    A sequence needs one token more than it trains on, and the end of a source that does not fill
    one is left out.

    Parameters
    ----------
    sources
        Tokens of each source.
    context
        Tokens of a sequence.
    """
    return sum(max(0, tokens - 1) // context * context for tokens in sources)


def check_enough(params: Mapping[str, Any], datasets: Sequence[Path], out: Path) -> None:
    """Write how many tokens there are and are needed, if there are enough.

    Parameters
    ----------
    params
        ``{"study", "needed": [{"dataset", "context", "cell", "tokens", "cells"}, …]}``: of every
        data set and sequence length the cell that needs most, and how many cells there are.
    datasets
        Manifests of the data sets.
    out
        Where the record goes.

    Raises
    ------
    ScalebedError
        If a cell needs more tokens than its data set has; names the worst of every data set.
    """
    there = {
        manifest["dataset"]: [source["tokens"] for source in manifest["sources"]]
        for manifest in map(read_json, datasets)
    }
    rows = [
        {**row, "available": epoch_tokens(there[row["dataset"]], row["context"])}
        for row in params["needed"]
    ]
    short = [row for row in rows if row["tokens"] > row["available"]]
    if short:
        raise ScalebedError(
            f"study {params['study']}: {'; '.join(map(_said, short))}; take more text or smaller "
            "cells, or set allow_repeats: true"
        )
    write_json(out, {"study": params["study"], "datasets": rows})


def _said(row: Mapping[str, Any]) -> str:
    return (
        f"the cell {row['cell']} needs {row['tokens']:,} tokens, but data set {row['dataset']} has "
        f"{row['available']:,} in whole sequences of {row['context']:,}"
    )
