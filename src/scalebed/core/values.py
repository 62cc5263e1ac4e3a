"""Values that a study file declares and jobs read again: type, limits, default and meaning.

`scalebed.study.sections` makes sections of a study file of them, trainers and fits their settings.
The architecture, `scalebed.core.arithmetic.Shape`, is declared where N is counted.
"""

import dataclasses
from typing import Annotated, Literal

from scalebed.core.declared import Limits

Positive = Annotated[int, Limits(gt=0)]
Count = Annotated[int, Limits(ge=0)]
Above0 = Annotated[float, Limits(gt=0)]
AtLeast0 = Annotated[float, Limits(ge=0)]
Decay = Annotated[float, Limits(ge=0, lt=1)]
Draws = Annotated[int, Limits(ge=100)]
Level = Annotated[float, Limits(gt=0, lt=1)]
ObjectiveName = Literal["sse", "log_sse", "huber_log"]
Weights = Literal["equal", "evaluation"]
Interval = Literal["bootstrap", "posterior"]
Drawn = Literal["auto", "bootstrap", "posterior"]
Schedule = Literal["cosine", "wsd"]
RunFormat = Literal[
    "lm_eval",
    "tensorboard",
    "wandb",
    "olmo_ladder",
    "wandb_history",
    "isoflop",
    "loss_curves",
]
"""What runs come in beside plain tables, in the order in which they are recognised; each is a
module of `scalebed.tables.formats`."""
CoolingShape = Literal["1-sqrt", "linear", "cosine", "square"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Training:
    """How a cell is trained."""

    batch_sequences: Positive = 8
    """Sequences in a step."""
    micro_sequences: Positive | None = None
    """Sequences in one forward pass; gradients are accumulated. All of the batch when left out."""
    lr: Above0 = 3e-3
    """Peak learning rate."""
    lr_end: AtLeast0 = 3e-5
    """Learning rate at the end."""
    warmup_steps: Count | None = None
    """Steps of linear warm-up; give this or `warmup_fraction`."""
    schedule: Schedule = "cosine"
    """Learning rate after the warm-up: along a cosine, or constant with a cool-down at the end
    (`wsd`); cells of a `wsd` recipe that differ in M only branch off one trunk."""
    cooldown: Annotated[float, Limits(gt=0, lt=1)] = 0.2
    """Share of its steps that a `wsd` cell cools down over."""
    shape: CoolingShape = "1-sqrt"
    """How the learning rate falls in the cool-down, by the share of it that is over."""
    beta1: Decay = 0.9
    """First moment decay of AdamW."""
    beta2: Decay = 0.95
    """Second moment decay of AdamW."""
    eps: Above0 = 1e-8
    """Denominator offset of AdamW."""
    weight_decay: AtLeast0 = 1e-4
    """Independent weight decay: the share of a weight lost in a step at peak learning rate."""
    grad_clip: Above0 = 1.0
    """Largest norm of the gradient."""
    z_loss: AtLeast0 = 1e-4
    """Weight of the squared log-partition function in the training objective."""
    init: Literal["depth_scaled"] = "depth_scaled"
    """Initialisation; residual projections are scaled down with depth."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Arithmetic of the forward and backward pass; bf16 is autocast with fp32 weights."""

    @property
    def micro(self) -> int:
        """Sequences in one forward pass."""
        return self.micro_sequences or self.batch_sequences


@dataclasses.dataclass(frozen=True)
class Objective:
    """What the fit of a law minimises."""

    objective: ObjectiveName = "sse"
    """Sum of squared residuals (the paper's), of residuals of the logarithms, or Huber's loss of
    those."""
    delta: Above0 = 1e-3
    """Residual of the logarithm at which Huber's loss turns from a parabola into a line."""


@dataclasses.dataclass(frozen=True)
class Drawing:
    """How uncertainty is drawn."""

    draws: Draws = 4000
    """Number of joint draws."""
    level: Level = 0.9
    """Nominal coverage of the intervals."""


@dataclasses.dataclass(frozen=True)
class Fitting(Objective):
    """How a law is fitted."""

    scatter: Above0 | None = None
    """Scatter of runs about the law, relative to the response, that priors are weighed against;
    estimated from the runs when left out."""


@dataclasses.dataclass(frozen=True)
class Prior:
    """What is known of a parameter beforehand, in the units of the law."""

    mean: float
    """Its most likely value."""
    sd: Above0
    """Standard deviation of what is known of it."""


@dataclasses.dataclass(frozen=True)
class Besides(Objective):
    """One more fit of the same cells, reported beside the usual one and drawn by refits."""

    loss_law: str = "tied"
    """Law of loss over parameters and tokens."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pooling(Objective):
    """One more fit of the loss law, over all data sets together."""

    objective: ObjectiveName = "huber_log"
    """What is minimised, as in `loss_options`."""
    parameters: list[str]
    """Parameters that the data sets share or that are drawn together: exponents, perhaps E."""
    spread: Literal["auto"] | AtLeast0 = "auto"
    """Relative spread of those parameters between data sets: 0 shares them. `auto` takes the
    smallest of a ladder whose error on cells left out is within one standard error of the least."""
