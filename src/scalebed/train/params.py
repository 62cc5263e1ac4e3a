"""What a cell is trained with, read from its canonical parameters."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Self

from scalebed.core.backends import Backend
from scalebed.core.cells import Cell
from scalebed.core.declared import check_limits, read_dataclass
from scalebed.core.errors import ScalebedError
from scalebed.core.permission import KEY, NOT_ALLOWED
from scalebed.core.trunks import COOLING, Trunk
from scalebed.core.values import Count, Training


class CellFailure(Exception):  # noqa: N818 - it is an outcome of a cell, not an error of ours
    """A cell cannot be trained as declared; the text becomes the reason in its record."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe(Training):
    """How a cell is trained; the ``recipe`` part of its parameters, all of it identity.

    Raises
    ------
    CellFailure
        If a value is impossible.
    """

    # A field, so that the default of the study file, where it may be a fraction, is none here.
    warmup_steps: Count = dataclasses.field()
    """Steps of linear warm-up."""
    backend: Backend
    """Trainer, one of `scalebed.core.backends`."""

    def __post_init__(self) -> None:
        check_limits(self, "recipe.", CellFailure)
        if self.batch_sequences % self.micro:
            raise CellFailure(
                f"recipe.micro_sequences {self.micro} does not divide batch_sequences "
                f"{self.batch_sequences}"
            )

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """Return the recipe that a record of plain values describes, which holds all of them.

        Raises
        ------
        ScalebedError
            If a key is missing or unknown, or a value is of the wrong type.
        CellFailure
            If a value is impossible.
        """
        # Cells on a cosine do without, so that they are the cells of before there was another.
        cosine = {name: cls.__dataclass_fields__[name].default for name in COOLING}
        return read_dataclass(cls, {**cosine, **record}, "--params: recipe.", whole=True)


_KEYS = ("model", "recipe", "tokens", "steps", "numerics")
_OPTIONAL = (KEY,)


def check_outline(params: Any) -> None:
    """Check the outline of the ``--params`` of a cell or of a trunk; see `check_params`."""
    if isinstance(params, dict) and "trunk" in params:
        check_trunk_params(params)
    else:
        check_params(params)


def check_params(params: Any) -> Cell:
    """Return the cell that ``--params`` names, after checking its outline.

    Raises
    ------
    ScalebedError
        If a part is missing, unknown or of the wrong kind.
    """
    return Cell(**_outline(params, "cell", Cell._fields))


def check_trunk_params(params: Any) -> Trunk:
    """Return the trunk that ``--params`` names, after checking its outline.

    Raises
    ------
    ScalebedError
        If a part is missing, unknown or of the wrong kind.
    """
    return Trunk(**_outline(params, "trunk", Trunk._fields))


def _outline(params: Any, named: str, fields: tuple[str, ...]) -> dict[str, Any]:
    """Return the names of a cell or trunk, after checking what stands beside them."""
    if not isinstance(params, dict):
        raise ScalebedError(f"--params is a JSON {type(params).__name__}, expected an object")
    for key in (named, *_KEYS):
        if key not in params:
            raise ScalebedError(f"--params has no key {key!r}")
    for key, value in params.items():
        if key not in (named, *_KEYS, *_OPTIONAL):
            raise ScalebedError(f"--params has the unknown key {key!r}")
        if key in (named, "model", "recipe") and not isinstance(value, dict):
            raise ScalebedError(f"--params: {key} is {value!r}, expected an object")
        if key in ("tokens", "steps", "numerics") and (type(value) is not int or value < 1):
            raise ScalebedError(f"--params: {key} is {value!r}, expected a positive whole number")
    names: dict[str, Any] = params[named]
    if set(names) != set(fields):
        raise ScalebedError(f"--params: {named} is {names!r}, expected {fields}")
    return names


def check_tokens(params: Mapping[str, Any], there: int, dataset: str) -> None:
    """Check that a data set of so many tokens is enough for a cell.

    Raises
    ------
    CellFailure
        If it is not, and the study does not allow repeats.
    """
    wanted = params["tokens"]
    if wanted > there and not params.get(KEY, False):
        raise CellFailure(
            f"the cell needs {wanted:,} tokens, but data set {dataset} has {there:,} and "
            f"{NOT_ALLOWED}"
        )
