"""An entry of the zoo: where a public table comes from, and what its authors fitted and printed."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from scalebed.core.errors import ScalebedError
from scalebed.core.values import ObjectiveName
from scalebed.fit.options import Options
from scalebed.laws import get_law
from scalebed.study.sections import Strict
from scalebed.study.yaml import first_complaint, read_study
from scalebed.watch.multi_power import HUBER, Constants

CURVES = "multi_power"
"""The one law that is of the steps of a run; the others are of N and D."""
_SCORES = ("R2", "MAE", "RMSE", "PredE", "WorstE")
_NEEDED = ("params", "loss")
_COLUMNS = (*_NEEDED, "tokens", "flops", "unique_tokens")
_Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Digits = dict[str, str]
"""Numbers by name, as text: their digits count."""


class Copy(Strict):
    """The same rows in a file of another format, as a folder of tables may hold them."""

    name: str
    sha256: _Sha256


class File(Strict):
    """A file of the table."""

    path: str
    """In the repository."""
    sha256: _Sha256
    name: str
    """In a folder of tables, see `benchmarks/zoo.py`."""
    copied: Copy | None = None
    held_out: bool = False
    """Whether its rows, or its curve, are predicted and not fitted."""


class Source(Strict):
    """Where the files are public."""

    repository: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")]
    commit: Annotated[str, Field(pattern="^[0-9a-f]{40}$")]
    licence: str
    files: Annotated[list[File], Field(min_length=1)]


class Printed(Strict):
    """What the authors say came out."""

    where: str
    objective: str | None = None
    parameters: Digits = Field({})
    intervals: dict[str, tuple[float, float]] = Field({})
    scores: Digits = Field({})
    """Means over the curves that are held out, see `scalebed.watch.multi_power.scores`."""

    @field_validator("objective", "parameters", "scores")
    @classmethod
    def _are_numbers(cls, given: str | Digits | None) -> str | Digits | None:
        for text in (given or {}).values() if not isinstance(given, str) else (given,):
            try:
                Decimal(text)
            except InvalidOperation:
                raise ValueError(f"{text!r} is no number, expected the digits in quotes") from None
        return given


class Authors(Strict):
    """What the authors fitted."""

    law: str
    objective: ObjectiveName
    delta: Annotated[float, Field(gt=0)] = 1e-3
    points: Annotated[int, Field(ge=1)]
    """Rows they fitted; another number here is an error, as the comparison would be of others."""
    fixed: dict[str, float] = Field({})
    """Parameters that they took from elsewhere."""
    drop_highest_losses: Annotated[int, Field(ge=0)] = 0
    """Rows with the highest losses, which they left out."""
    printed: Printed | None = None

    @property
    def options(self) -> Options:
        """What they minimised."""
        return Options(self.objective, self.delta, fixed=self.fixed)

    @model_validator(mode="after")
    def _is_of_law(self) -> Self:
        if self.law == CURVES:
            if self.objective != "huber_log" or self.delta != HUBER or self.fixed:
                raise ValueError(f"law {CURVES} has huber_log of delta {HUBER:g}, nothing fixed")
            names: tuple[str, ...] = Constants._fields
        else:
            try:
                law = get_law(self.law, "loss")
                self.options.check(law)
            except ScalebedError as error:
                raise ValueError(str(error)) from error
            names = tuple(parameter.name for parameter in law.parameters)
        if self.printed:
            self._check_printed(self.printed, names)
        return self

    def _check_printed(self, printed: Printed, names: tuple[str, ...]) -> None:
        """Refuse names that the law does not have, as they would be compared with nothing."""
        said = {*printed.parameters}
        if said and (said | {*self.fixed} != {*names} or said & {*self.fixed}):
            raise ValueError(
                f"printed parameters are {', '.join(printed.parameters)}, expected those of law "
                f"{self.law} that are not fixed: "
                f"{', '.join(name for name in names if name not in self.fixed)}"
            )
        scored = _SCORES if self.law == CURVES else ()
        for key, given, known in (
            ("intervals", {*printed.intervals}, said),
            ("scores", {*printed.scores}, {*scored}),
        ):
            if other := sorted(given - known):
                wanted = f"one of {', '.join(sorted(known))}" if known else "none"
                raise ValueError(f"printed {key} are of {other[0]}, expected {wanted}")


class Entry(Strict):
    """A table of the zoo; the name of its file without .yaml is its name."""

    title: str
    paper: str
    source: Source
    columns: dict[str, str] = Field({})
    """Names in the files of params, loss, tokens (or flops, 6 N D) and unique_tokens."""
    warmup: Annotated[int, Field(ge=0)] = 0
    """Steps until the learning rate of curves is at its peak."""
    authors: Authors
    note: str = ""

    @model_validator(mode="after")
    def _has_columns(self) -> Self:
        if self.authors.law == CURVES:
            if not any(file.held_out for file in self.source.files):
                raise ValueError("no curve is held_out, expected at least one to predict")
            return self
        named = {*self.columns}
        one = len({"tokens", "flops"} & named) == 1
        if not {*_NEEDED} <= named <= {*_COLUMNS} or not one:
            raise ValueError(
                f"columns are {', '.join(self.columns) or 'none'}, expected params, loss, one of "
                "tokens and flops, and unique_tokens where data are repeated"
            )
        return self


def read_entry(path: Path) -> Entry:
    """Read an entry.

    Raises
    ------
    ScalebedError
        If it is no YAML of this form: the key, what it holds and what was expected.
    """
    values = read_study(path)
    if not isinstance(values, dict):
        raise ScalebedError(f"{path} holds no keys, expected those of a table of the zoo")
    try:
        return Entry(**values)
    except ValidationError as error:
        raise ScalebedError(f"{path}: {first_complaint(error)}") from error


def read_entries(folder: Path) -> dict[str, Entry]:
    """Return the entries of a folder by name, in the order of their names."""
    paths = sorted(folder.glob("*.yaml"))
    if not paths:
        raise ScalebedError(f"{folder} has no *.yaml, expected an entry for each table")
    return {path.stem: read_entry(path) for path in paths}
