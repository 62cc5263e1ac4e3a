"""What each job asks of a cluster, from the arithmetic it has to do and from the site.

Everything here is on the safe side: a job that asks for too little is killed, one that asks for
twice too much waits a little longer. Nothing here is part of a cell's identity.
"""

import math
from typing import Any, NamedTuple

from scalebed.core import arithmetic
from scalebed.core.errors import ScalebedError
from scalebed.plan.devices import spread
from scalebed.plan.queues import longest, partition
from scalebed.study.hardware import Hardware

START_MINUTES = 5
"""Starting Snakemake on the node, importing torch and saving state at the end, generously."""

MARGIN = 2.0
"""By how much a job may be slower than the site's rates say."""

STEP_SECONDS = 0.01
"""No training step is faster, however small the model: Python and the optimiser cost that much."""

PROCESS_MB = 700
"""An interpreter with torch loaded, before the first tensor is made."""

SNAKEMAKE_MB = 500
"""Snakemake, which runs twice in a job of the Slurm plugin: around the job step and in it."""

CPUS_PER_GPU = 4
"""Cores beside a GPU, for reading batches and writing checkpoints."""

ITEM_TOKENS = 4 * 128
"""Tokens scored for an item of a task: four choices with their context."""

TASK_ITEMS = 5000
"""Items of a task that comes from a hub, whose number only its data tell."""

SMALL_MINUTES = 240
"""Time a partition for small jobs should allow, since several of them run in one job."""


CONVERSION_MINUTES = 60
"""Reading and writing the largest checkpoints over a slow shared disk."""


class Training(NamedTuple):
    """What a training needs in all."""

    ranks: int
    """Processes, one a GPU."""
    memory_mb: int
    """Memory of the node."""
    minutes: float
    """Time of the whole training, in as many jobs as it takes."""


def training_flops(spec: dict[str, Any]) -> float:
    """Return the FLOPs of training a cell."""
    return arithmetic.flops_exact(arithmetic.shape_of(spec["model"]), spec["tokens"])


def evaluation_flops(spec: dict[str, Any], tokens: int) -> float:
    """Return the FLOPs of a forward pass over `tokens`: a third of training on them."""
    return arithmetic.flops_exact(arithmetic.shape_of(spec["model"]), tokens) / 3


def training(spec: dict[str, Any], hardware: Hardware) -> Training:
    """Return what training a cell needs.

    Parameters
    ----------
    spec
        The cell's parameters, `scalebed.plan.rule_params.cell`.
    hardware
        The site.

    Raises
    ------
    ScalebedError
        If the site has no node that can hold it.
    """
    shape = arithmetic.shape_of(spec["model"])
    work = training_flops(spec)
    ranks = _ranks(spec, hardware)
    if hardware.gpu is None:
        rate = hardware.core_flops
        sequences = spec["recipe"]["micro_sequences"] or spec["recipe"]["batch_sequences"]
        needed = 1.5 * arithmetic.training_bytes(shape, sequences)
    else:
        gpu = hardware.gpu
        if ranks > gpu.per_node:
            raise ScalebedError(
                f"{spec['cell']}: needs {ranks} GPUs ({gpu.name}), but a node has {gpu.per_node}"
            )
        rate = gpu.flops * gpu.utilization * ranks
        # Rank 0 holds weights and both moments while it writes a checkpoint, and once more as a
        # copy; every rank has a process.
        needed = 2 * 16 * arithmetic.count_params(shape).total + (ranks - 1) * PROCESS_MB * 1e6
    seconds = max(work / rate, spec["steps"] * STEP_SECONDS)
    return Training(
        ranks,
        SNAKEMAKE_MB + PROCESS_MB + round(needed / 1e6),
        START_MINUTES + MARGIN * seconds / 60,
    )


def _ranks(spec: dict[str, Any], hardware: Hardware) -> int:
    """Return how many processes train a cell."""
    return 1 if hardware.gpu is None else spread(spec, hardware).ranks


def slices(spec: dict[str, Any], hardware: Hardware) -> int:
    """Return in how many jobs a cell is trained, one after the other."""
    length = longest(hardware, hardware.gpu is not None)
    return math.ceil(training(spec, hardware).minutes / max(1, length - START_MINUTES))


def resources(spec: dict[str, Any], hardware: Hardware, attempt: int) -> dict[str, int | str]:
    """Return the resources of ``train_cell`` as Snakemake and its Slurm plugin name them.

    Parameters
    ----------
    spec
        The cell's parameters, `scalebed.plan.rule_params.cell`.
    hardware
        The site.
    attempt
        1 for the first try. Later ones ask for up to twice the memory, and for more time as far
        as the longest job allows: an attempt may also be the next slice of a long training.

    Returns
    -------
    dict
        ``mem_mb``, ``runtime`` (minutes), ``gpu``, ``ranks``, ``cpus_per_task`` (0: as many as
        the rule has threads), ``nodes``, ``checkpoint_seconds`` and ``slurm_partition`` ("": the
        cluster's default).

    Raises
    ------
    ScalebedError
        If the site has no node that can hold the training.
    """
    need = training(spec, hardware)
    gpu = hardware.gpu is not None
    minutes = min(longest(hardware, gpu), math.ceil(need.minutes * attempt))
    return {
        "mem_mb": _growing(need.memory_mb, attempt),
        "runtime": minutes,
        "gpu": need.ranks if gpu else 0,
        "ranks": need.ranks,
        "cpus_per_task": CPUS_PER_GPU * need.ranks if gpu else 0,
        "nodes": 1,
        "checkpoint_seconds": hardware.checkpoint_seconds,
        "slurm_partition": partition(hardware, minutes, gpu),
    }


def evaluation(
    spec: dict[str, Any], tokens: int, hardware: Hardware, attempt: int
) -> dict[str, int | str]:
    """Return the resources of evaluating a cell on a core, on so many tokens.

    All evaluations go to one partition, since the jobs of a group have to agree on it.
    """
    shape = arithmetic.shape_of(spec["model"])
    seconds = evaluation_flops(spec, tokens) / hardware.core_flops
    weights = 3 * 4 * arithmetic.count_params(shape).total
    # A batch of logits in fp32 and what is computed from them; batches are bounded by tokens.
    logits = 3 * 4 * 16 * shape.context * shape.vocab
    memory = SNAKEMAKE_MB + 1.5 * PROCESS_MB + 1.5 * (weights + logits) / 1e6
    return small(hardware, round(memory), math.ceil(2 + MARGIN * seconds / 60), attempt)


def conversion(spec: dict[str, Any], hardware: Hardware, attempt: int) -> dict[str, int | str]:
    """Return the resources of taking a cell from a checkpoint, which is held three times."""
    weights = 3 * 4 * arithmetic.count_params(arithmetic.shape_of(spec["model"])).total
    memory = SNAKEMAKE_MB + PROCESS_MB + round(weights / 1e6)
    return small(hardware, memory, CONVERSION_MINUTES, attempt)


def small(hardware: Hardware, memory: int, minutes: int, attempt: int) -> dict[str, int | str]:
    """Return the resources of a job without GPU that first asks for `memory` MB and `minutes`."""
    return {
        "mem_mb": _growing(memory, attempt),
        "runtime": min(longest(hardware, False), minutes * attempt),
        "slurm_partition": partition(hardware, SMALL_MINUTES, False),
    }


def _growing(memory: int, attempt: int) -> int:
    """Return more memory for a second attempt, and twice as much from the third on."""
    return round(memory * min(2.0, 0.5 + 0.5 * attempt))
