"""What a cell is trained with, read from its canonical parameters."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Self

from scalebed.core.backends import BACKENDS
from scalebed.core.cells import Cell
from scalebed.core.errors import ScalebedError


class CellFailure(Exception):  # noqa: N818 - it is an outcome of a cell, not an error of ours
    """A cell cannot be trained as declared; the text becomes the reason in its record."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """How a cell is trained; the ``recipe`` part of its parameters, all of it identity."""

    batch_sequences: int
    """Sequences in a step."""
    lr: float
    """Peak learning rate."""
    lr_end: float
    """Learning rate at the end of the cosine."""
    warmup_steps: int
    """Steps of linear warm-up."""
    micro_sequences: int | None
    """Sequences in one forward pass; the whole batch if None."""
    beta1: float
    """Decay of AdamW's first moment."""
    beta2: float
    """Decay of AdamW's second moment."""
    eps: float
    """Offset in AdamW's denominator."""
    weight_decay: float
    """Independent weight decay λ: the share of a weight lost in a step at peak learning rate."""
    grad_clip: float
    """Largest norm of the gradient."""
    z_loss: float
    """Weight ζ of the squared log-partition function in the objective."""
    init: str
    """Initialisation; there is one."""
    precision: str
    """``fp32``, or ``bf16`` for autocast with fp32 weights."""
    backend: str
    """Trainer, one of `scalebed.core.backends`."""

    def __post_init__(self) -> None:
        micro = self.micro_sequences or self.batch_sequences
        if self.batch_sequences < 1 or self.batch_sequences % micro:
            raise CellFailure(
                f"recipe.micro_sequences {micro} does not divide batch_sequences "
                f"{self.batch_sequences}"
            )
        if not self.lr > 0:
            raise CellFailure(f"recipe.lr is {self.lr!r}, expected a number above 0")
        for name, known in (
            ("precision", ("fp32", "bf16")),
            ("init", ("depth_scaled",)),
            ("backend", tuple(BACKENDS)),
        ):
            value = getattr(self, name)
            if value not in known:
                expected = " or ".join(known)
                raise CellFailure(f"recipe.{name} is {value!r}, expected {expected}")

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """Return the recipe that a record of plain values describes.

        Raises
        ------
        ScalebedError
            If a key is missing or unknown.
        CellFailure
            If a value is impossible.
        """
        fields = {field.name for field in dataclasses.fields(cls)}
        for name in sorted(fields ^ set(record)):
            problem = "is missing" if name in fields else "is not a value of a recipe"
            raise ScalebedError(f"--params: recipe.{name} {problem}")
        return cls(**record)

    @property
    def micro(self) -> int:
        """Sequences in one forward pass."""
        return self.micro_sequences or self.batch_sequences


_KEYS = ("cell", "model", "recipe", "tokens", "steps", "numerics")
_OPTIONAL = ("allow_repeats",)


def check_params(params: Any) -> Cell:
    """Return the cell that ``--params`` names, after checking its outline.

    Raises
    ------
    ScalebedError
        If a part is missing, unknown or of the wrong kind.
    """
    if not isinstance(params, dict):
        raise ScalebedError(f"--params is a JSON {type(params).__name__}, expected an object")
    for key in _KEYS:
        if key not in params:
            raise ScalebedError(f"--params has no key {key!r}")
    for key, value in params.items():
        if key not in (*_KEYS, *_OPTIONAL):
            raise ScalebedError(f"--params has the unknown key {key!r}")
        if key in ("cell", "model", "recipe") and not isinstance(value, dict):
            raise ScalebedError(f"--params: {key} is {value!r}, expected an object")
        if key in ("tokens", "steps", "numerics") and (type(value) is not int or value < 1):
            raise ScalebedError(f"--params: {key} is {value!r}, expected a positive whole number")
    if set(params["cell"]) != set(Cell._fields):
        raise ScalebedError(f"--params: cell is {params['cell']!r}, expected {Cell._fields}")
    return Cell(**params["cell"])


def check_tokens(params: Mapping[str, Any], there: int, dataset: str) -> None:
    """Check that a data set of so many tokens is enough for a cell.

    Raises
    ------
    CellFailure
        If it is not, and the study does not allow repeats.
    """
    wanted = params["tokens"]
    if wanted > there and not params.get("allow_repeats", False):
        raise CellFailure(
            f"the cell needs {wanted:,} tokens, but data set {dataset} has {there:,} and "
            "the study does not allow repeats"
        )
