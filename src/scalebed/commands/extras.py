"""What part of scalebed a missing package belongs to, for a sentence in place of a traceback."""

from __future__ import annotations

from typing import Final

EXTRAS: Final = {
    "train": (
        *("datasets", "huggingface_hub", "safetensors", "tokenizers", "torch", "tqdm"),
        "zstandard",
    ),
    "eval": ("lm_eval",),
    "workflow": (
        *("altair", "duckdb", "jinja2", "markupsafe", "snakemake", "statsmodels"),
        "vl_convert",
    ),
}
"""Modules that come with each extra of the package."""


def advice(error: ModuleNotFoundError) -> str | None:
    """Return what to install for what could not be imported; None if no extra has it.

    Parameters
    ----------
    error
        Of an import, or of a question for the version of a package.
    """
    module = (error.name or "").partition(".")[0]
    for extra, modules in EXTRAS.items():
        if module in modules:
            return (
                f"needs {module}, which is not installed: pip install 'scalebed[{extra}]', or "
                "'scalebed[all]' for everything a study needs"
            )
    return None
