"""The section ``search`` of a study file: what is tried, what is kept, which rungs are wanted."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from scalebed.core.arithmetic import Shape
from scalebed.core.values import Above0, AtLeast0, Count, Positive
from scalebed.study.sections import Name, Ratio, Recipe, Seed, Size, Strict

SEARCHED = ("batch_sequences", "warmup_steps", "lr")
"""Values of a recipe that a search varies."""


class Architectures(Strict):
    """A product of widths, depths and numbers of heads, less what makes no head of good width."""

    widths: Annotated[list[Positive], Field(min_length=1)]
    """Model widths d."""
    layers: Annotated[list[Positive], Field(min_length=1)]
    """Numbers of blocks l."""
    heads: Annotated[list[Positive], Field(min_length=1)]
    """Numbers of attention heads."""
    head_multiple: Annotated[int, Field(gt=0, multiple_of=2)] = 2
    """A pair of width and heads is left out unless the width of a head is a multiple of this."""
    vocab: Positive
    """Rows of the embedding and of the head."""
    context: Positive
    """Sequence length in tokens."""
    ffn_multiple: Positive = Shape.ffn_multiple
    """The SwiGLU width is rounded up to a multiple of this."""


class Scaled(Strict):
    """Values that are tried in a range of sizes only."""

    min_params: AtLeast0 = 0
    """Least N they are tried at."""
    max_params: Above0 | None = None
    """N below which they are tried; no limit when left out."""

    def covers(self, params: int) -> bool:
        """Tell whether the values are tried at a size."""
        return self.min_params <= params and (self.max_params is None or params < self.max_params)


class Counts(Scaled):
    """Whole numbers that are tried in a range of sizes only."""

    values: Annotated[list[Count], Field(min_length=1)]
    """The numbers."""


class Rates(Scaled):
    """Learning rates that are tried in a range of sizes only."""

    values: Annotated[list[Above0], Field(min_length=1)]
    """The learning rates."""


class RunSelector(Strict):
    """Runs with one of the listed values at each listed key."""

    widths: list[Positive] | None = None
    """Model widths."""
    layers: list[Positive] | None = None
    """Numbers of blocks."""
    heads: list[Positive] | None = None
    """Numbers of heads."""
    batch_sequences: list[Positive] | None = None
    """Sequences in a step."""
    warmup_steps: list[int] | None = None
    """Steps of warm-up."""
    lr: list[float] | None = None
    """Learning rates."""


class Filter(Strict):
    """Points of the frontier that the law of the search is not fitted to."""

    drop_flops: Annotated[list[Above0], Field(min_length=2, max_length=2)] | None = None
    """Lowest and highest compute of a window whose points are left out, both ends included."""
    min_steps: Positive | None = None
    """Runs of fewer steps are left out."""
    max_steps: Positive | None = None
    """Runs of more steps are left out."""

    @model_validator(mode="after")
    def _order(self) -> Self:
        low, high = self.drop_flops or (0, 1)
        if low >= high:
            raise ValueError(f"drop_flops is [{low:g}, {high:g}], expected [lowest, highest]")
        low, high = self.min_steps or 1, self.max_steps or 10**18
        if low > high:
            raise ValueError(f"min_steps {low} is above max_steps {high}")
        return self


class Rung(Strict):
    """A model that the ladder should have: give one of the keys."""

    params: Above0 | None = None
    """Its N."""
    flops: Above0 | None = None
    """Its compute C = 6 N D at the ratio of the search."""
    size: Size | None = None
    """Its architecture, for a model larger than any that was searched."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(value is not None for value in (self.params, self.flops, self.size)) != 1:
            raise ValueError("a rung needs one of params, flops and size")
        return self


class Ladder(Strict):
    """The study that the search proposes."""

    name: Name | None = None
    """Its name; that of the search with `_ladder` when left out."""
    title: str | None = None
    """Heading of its report."""
    count: Annotated[int, Field(gt=1)] = 4
    """How many models to take from the kept frontier, evenly over log N, if `rungs` names none."""
    rungs: list[Rung] = []
    """Models it should have; those outside of the range that was searched become its targets."""
    over_train: Ratio | None = None
    """Token multiplier of one more run of the smallest model, without which the loss law cannot
    tell parameters from tokens; 16 times that of the search when left out, as in the paper."""
    ratios: list[Ratio] = []
    """Further token multipliers of all models that were searched."""
    datasets: list[Name] | None = None
    """Data sets of the ladder; all of the study when left out."""


class Search(Strict):
    """A hyper-parameter search: every architecture with every batch, warm-up and learning rate."""

    dataset: Name
    """Data set the runs are trained on."""
    loss: Name
    """Validation loss the runs are compared by."""
    ratio: Ratio
    """Token multiplier M = D/N of all runs."""
    architectures: list[Architectures] = []
    """Products of widths, layers and heads; a size is called `w<width>_l<layers>_h<heads>`."""
    sizes: dict[Name, Size] = {}
    """Further architectures by name."""
    batch_sequences: Annotated[list[Positive | Counts], Field(min_length=1)]
    """Sequences in a step."""
    warmup_steps: Annotated[list[Count | Counts], Field(min_length=1)]
    """Steps of warm-up."""
    lr: Annotated[list[Above0 | Rates], Field(min_length=1)]
    """Peak learning rates."""
    lr_end_fraction: Annotated[float, Field(ge=0, le=1)] = 0.01
    """Learning rate at the end of the cosine as a fraction of the peak."""
    recipe: Recipe = Recipe()
    """Everything else of the recipe."""
    exclude: list[RunSelector] = []
    """Runs left out."""
    seed: Seed = 0
    """Seed of all runs."""
    filter: Filter = Filter()
    """What the law of the frontier is not fitted to."""
    ladder: Ladder = Ladder()
    """What is proposed."""

    @model_validator(mode="after")
    def _tried(self) -> Self:
        if not self.architectures and not self.sizes:
            raise ValueError("architectures and sizes are both empty: nothing is searched")
        own = {*SEARCHED, "lr_end", "warmup_fraction", "sizes"} & self.recipe.model_fields_set
        for name in sorted(own):
            raise ValueError(f"recipe.{name}: the search itself says what is tried")
        if self.ladder.over_train is not None and self.ladder.over_train <= self.ratio:
            raise ValueError(
                f"ladder.over_train is {self.ladder.over_train}, expected more than the ratio "
                f"{self.ratio} of the search"
            )
        return self
