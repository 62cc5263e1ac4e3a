"""A small search as a study file has it, and made-up tables of what came of its runs."""

from pathlib import Path
from typing import Any

from small_study import study_values

from scalebed.core import arithmetic
from scalebed.core.cells import Cell
from scalebed.core.files import write_parquet
from scalebed.study.search import SearchStudy
from scalebed.tables.arrow import from_rows
from scalebed.tables.declared.cells import CELLS, LOSSES


def search_values(**changes: Any) -> dict[str, Any]:
    """Return a search of three widths with two depths, and two learning rates; keys replaced."""
    small = study_values()
    tokenizer = small["datasets"]["red"]["tokenizer"]
    vocab = small["tokenizers"][tokenizer]["vocab"]
    search: dict[str, Any] = {
        "dataset": "red",
        "loss": next(iter(small["validation"])),
        "ratio": 10,
        "architectures": [
            {"widths": [16, 32, 64], "layers": [1, 2], "heads": [1, 4], "head_multiple": 8}
            | {"vocab": vocab, "context": 64, "ffn_multiple": 16}
        ],
        "batch_sequences": [8],
        "warmup_steps": [20],
        "lr": [1e-2, 3e-3],
        "ladder": {"count": 3},
    }
    sections = ("corpora", "tokenizers", "datasets", "validation")
    return {
        "name": "hunt",
        "title": "A hunt",
        **{name: small[name] for name in sections},
        "search": search | changes,
        "bootstrap": {"draws": 100},
    }


def law(flops: float) -> float:
    """Return the loss that made-up frontiers follow."""
    return 1.5 + 400 * flops**-0.2


def write_tables(study: SearchStudy, losses: dict[str, float | None], folder: Path) -> None:
    """Write the tables of cells whose loss is given by ``<size> <recipe>``; None diverged."""
    cells, measured = [], []
    expanded = study.expanded()
    for run in expanded.runs:
        cell, loss = study.cell(run), losses[f"{run.size} {run.recipe}"]
        params = arithmetic.count_params(expanded.sizes[run.size]).total
        steps = arithmetic.steps_for(params, cell.ratio, run.batch_sequences * 64)
        cells.append(_cell(cell, params, steps, run.batch_sequences, loss))
        if loss is not None:
            row = {"cell": cell.path, "validation": study.search.loss, "loss": loss}
            measured.append(dict.fromkeys(LOSSES.names) | row)
    write_parquet(folder / "cells.parquet", from_rows(CELLS, cells, "cells"))
    write_parquet(folder / "losses.parquet", from_rows(LOSSES, measured, "losses"))


def _cell(cell: Cell, params: int, steps: int, batch: int, loss: float | None) -> dict[str, Any]:
    tokens = steps * batch * 64
    return dict.fromkeys(CELLS.names) | {
        "cell": cell.path,
        **cell._asdict(),
        "status": "done" if loss is not None else "diverged",
        "reason": None if loss is not None else "loss nan at step 7",
        **dict.fromkeys(("fit_loss", "fit_error", "target"), False),
        "scatter": True,
        "params": params,
        "tokens": tokens,
        "token_multiplier": tokens / params,
        "flops": arithmetic.flops(params, tokens),
        "steps": steps,
        "backend": "torch",
    }
