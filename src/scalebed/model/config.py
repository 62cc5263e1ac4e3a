"""What a decoder is made of, as the record of a cell states it."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Self

from scalebed.core import arithmetic
from scalebed.core.errors import ScalebedError


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ModelConfig:
    """Architecture of a decoder; the ``model`` part of a cell's parameters."""

    width: int
    """Model width d."""
    layers: int
    """Number of blocks l."""
    heads: int
    """Attention heads; each is d / heads wide."""
    vocab: int
    """Rows V of the input embedding and of the head."""
    context: int
    """Longest sequence in tokens."""
    ffn_multiple: int = 256
    """The SwiGLU width is rounded up to a multiple of this."""
    qk_norm: bool = True
    """Whether queries and keys are normalised."""
    rope_base: float = 10000.0
    """Base of the rotary frequencies."""

    def __post_init__(self) -> None:
        for name in ("width", "layers", "heads", "vocab", "context", "ffn_multiple"):
            value = getattr(self, name)
            if value < 1:
                raise ValueError(f"model.{name} is {value!r}, expected a positive whole number")
        if self.width % self.heads or (self.width // self.heads) % 2:
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
        known = {field.name: field for field in dataclasses.fields(cls)}
        for name, value in record.items():
            if name not in known:
                raise ScalebedError(f"model.{name} is not a property of a model")
            if name not in ("qk_norm", "rope_base") and type(value) is not int:
                raise ScalebedError(f"model.{name} is {value!r}, expected a whole number")
        for name, field in known.items():
            if name not in record and field.default is dataclasses.MISSING:
                raise ScalebedError(f"model.{name} is missing")
        return cls(**record)

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

    @property
    def shape(self) -> arithmetic.Shape:
        """The architecture as the arithmetic of `scalebed.core.arithmetic` takes it."""
        return arithmetic.Shape(
            width=self.width,
            layers=self.layers,
            heads=self.heads,
            vocab=self.vocab,
            context=self.context,
            ffn_multiple=self.ffn_multiple,
        )
