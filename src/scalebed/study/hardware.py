"""What a site offers: a fact of the machine and not of the study, so it never retrains a cell.

A study is run as ``snakemake … --config hardware=FILE``; a profile says it for a cluster.
"""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, ValidationError, model_validator

from scalebed.core.errors import ScalebedError
from scalebed.core.values import Above0, Positive
from scalebed.study.sections import Strict
from scalebed.study.yaml import first_complaint, read_study


class Gpu(Strict):
    """One kind of accelerator."""

    name: str
    """What plans and messages call it."""
    memory_gb: Above0
    """Memory in GB (1e9 bytes)."""
    flops: Above0
    """Peak rate of dense bf16 products, in FLOP/s."""
    utilization: Annotated[float, Field(gt=0, le=1)] = 0.4
    """Share of the peak that training is expected to reach (MFU)."""
    per_node: Positive = 8
    """Devices of a node."""
    most: Positive = 8
    """Devices a cell may take."""
    cell_hours: Above0 | None = None
    """Hours above which a training takes more devices than hold it, up to `most`; those of the
    longest job when left out."""
    price_per_hour: Above0 | None = None
    """What one costs an hour, in any one currency."""

    @property
    def rate(self) -> float:
        """FLOP/s that training is expected to reach."""
        return self.flops * self.utilization

    @property
    def flop_price(self) -> float | None:
        """Price of a FLOP of training."""
        return None if self.price_per_hour is None else self.price_per_hour / 3600 / self.rate


class Serving(Strict):
    """What a trained model is served on."""

    name: str
    """What messages call it."""
    flops: Above0
    """Peak rate in the precision that is served, in FLOP/s."""
    utilization_input: Annotated[float, Field(gt=0, le=1)]
    """Share of the peak that is reached while reading."""
    utilization_output: Annotated[float, Field(gt=0, le=1)]
    """Share of the peak that is reached while writing."""
    price_per_hour: Above0
    """What one costs an hour, in the currency of `gpu.price_per_hour`."""

    def flop_price(self, utilization: float) -> float:
        """Price of a FLOP at a utilization."""
        return self.price_per_hour / 3600 / (self.flops * utilization)


class Partition(Strict):
    """A partition (queue) of a cluster."""

    name: str
    """As Slurm calls it."""
    minutes: Positive | None = None
    """Longest job; unlimited when left out."""
    gpu: bool = False
    """Whether its nodes have GPUs."""


class Hardware(Strict):
    """A site."""

    gpu: Gpu | None = None
    """The GPU cells are trained on; cells are trained on CPU cores when left out."""
    serving: Serving | None = None
    """What models are served on; `scalebed decide` weighs its price against that of training."""
    core_flops: Above0 = 1e10
    """Rate at which one core trains, in FLOP/s, on the safe side."""
    partitions: list[Partition] = []
    """Partitions in order of preference: a job goes to the first that allows its time."""
    slice_minutes: Positive = 24 * 60
    """Longest job to ask for; a longer training goes on in the next one."""
    checkpoint_seconds: Positive = 60
    """Seconds between checkpoints: what a killed training loses at the most."""

    @model_validator(mode="after")
    def _partitions(self) -> Self:
        if self.gpu and self.partitions and not any(part.gpu for part in self.partitions):
            raise ValueError("partitions: none has gpu: true, but gpu is given")
        return self


LAPTOP = Hardware()
"""Cores only, no queue: what a run without ``hardware`` gets."""


def load_hardware(path: str | Path) -> Hardware:
    """Return the site described by a YAML file.

    Raises
    ------
    ScalebedError
        If the file cannot be read or does not describe one.
    """
    try:
        return Hardware.model_validate(read_study(path) or {})
    except ValidationError as error:
        raise ScalebedError(f"{path}: {first_complaint(error)}") from error
