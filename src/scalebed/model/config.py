"""What a decoder is made of, as the record of a cell states it."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Self

from scalebed.core import arithmetic
from scalebed.core.declared import check_limits, read_dataclass
from scalebed.core.values import Above0


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig(arithmetic.Shape):
    """Architecture of a decoder; the ``model`` part of a cell's parameters.

    Raises
    ------
    ValueError
        If no such model can be built.
    """

    qk_norm: bool = True
    """Whether queries and keys are normalised."""
    rope_base: Above0 = 10000.0
    """Base of the rotary frequencies."""

    def __post_init__(self) -> None:
        check_limits(self, "model.", ValueError)
        if not self.heads_fit:
            raise ValueError(
                f"model.heads is {self.heads}, which does not divide width {self.width} into "
                "heads of an even width"
            )

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """Return the configuration that a record of plain values describes.

        Raises
        ------
        ScalebedError
            If a key is missing, unknown or of the wrong type.
        ValueError
            If no such model can be built.
        """
        return read_dataclass(cls, record, "model.")

    def record(self) -> dict[str, Any]:
        """Return the configuration as plain values."""
        return dataclasses.asdict(self)

    @property
    def head_width(self) -> int:
        """Width of one attention head."""
        return self.width // self.heads

    @property
    def ffn_width(self) -> int:
        """Width h of the feed-forward layer."""
        return arithmetic.ffn_width(self.width, self.ffn_multiple)
