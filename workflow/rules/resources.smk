"""What jobs ask of a cluster and which come first, from the study's sizes and the site's hardware."""

from functools import partial
from inspect import signature

from scalebed.commands.progress.work import expect
from scalebed.core.trunks import marginal
from scalebed.plan import resources as needs


def train_resource(name, wildcards, attempt):
    """Return one resource of training a cell."""
    spec = marginal(CELLS[cell_path(wildcards)])
    return needs.resources(spec, HARDWARE, attempt)[name]


def trunk_resource(name, wildcards, attempt):
    """Return one resource of training a piece of a trunk."""
    leg = trunk_leg(wildcards)
    return needs.resources(leg.own, HARDWARE, attempt)[name]


def evaluate_resource(name, tokens, wildcards, attempt):
    """Return one resource of evaluating a cell on so many tokens."""
    cell = CELLS[cell_path(wildcards)]
    return needs.evaluation(cell, tokens, HARDWARE, attempt)[name]


def convert_resource(name, wildcards, attempt):
    """Return one resource of taking a cell from a checkpoint."""
    return needs.conversion(CELLS[cell_path(wildcards)], HARDWARE, attempt)[name]


def small_resource(name, memory, minutes, wildcards, attempt):
    """Return one resource of a job that needs no GPU."""
    return needs.small(HARDWARE, memory, minutes, attempt)[name]


def train_priority(wildcards):
    """Return the FLOPs of training a cell: the longest first, lest it runs alone at the end."""
    return needs.training_flops(marginal(CELLS[cell_path(wildcards)]))


def trunk_priority(wildcards):
    """Return the FLOPs of the whole trunk: what waits for it is more than a cell."""
    trunk = trunk_leg(wildcards).trunk
    return max(
        needs.training_flops(leg.spec) for leg in LEGS.values() if leg.trunk == trunk
    )


def evaluate_priority(tokens, wildcards):
    """Return the FLOPs of evaluating a cell on so many tokens."""
    return needs.evaluation_flops(CELLS[cell_path(wildcards)], tokens)


def bound(function, *values):
    """Return a function of the rest of its arguments.

    Snakemake asks for its signature at every call, which takes longer than the call.
    """
    found = partial(function, *values)
    found.__signature__ = signature(found)
    return found


def every(function, *values):
    """Return a function for each resource of a job without GPU, by name."""
    names = ("mem_mb", "runtime", "slurm_partition")
    return {name: bound(function, name, *values) for name in names}


CONVERT_RESOURCES = every(convert_resource)
DATA_RESOURCES = every(small_resource, 4000, needs.SMALL_MINUTES)
ANALYSIS_RESOURCES = every(small_resource, 2000, 10)
TRAIN_NAMES = (
    *("mem_mb", "runtime", "slurm_partition"),
    *("gpu", "ranks", "cpus_per_task", "nodes", "checkpoint_seconds"),
)
TRAIN_RESOURCES = {name: bound(train_resource, name) for name in TRAIN_NAMES}
TRUNK_RESOURCES = {name: bound(trunk_resource, name) for name in TRAIN_NAMES}
LOSS_RESOURCES = TASK_RESOURCES = {}
LOSS_PRIORITY = TASK_PRIORITY = 0
# Retries of one training, when it takes several jobs; None leaves it to the profile.
TRAIN_RETRIES = None

if not IMPORTED:
    LOSS_TOKENS = sum(spec.max_tokens for spec in STUDY.validation.values())
    LOSS_RESOURCES = every(evaluate_resource, LOSS_TOKENS)
    LOSS_PRIORITY = bound(evaluate_priority, LOSS_TOKENS)
    if STUDY.tasks:
        ITEMS = STUDY.tasks.items if STUDY.tasks.corpus else needs.TASK_ITEMS
        TASK_TOKENS = len(STUDY.tasks.tasks) * ITEMS * needs.ITEM_TOKENS
        TASK_RESOURCES = every(evaluate_resource, TASK_TOKENS)
        TASK_PRIORITY = bound(evaluate_priority, TASK_TOKENS)
    TO_TRAIN = [marginal(cell) for cell in CELLS.values() if "checkpoint" not in cell]
    TO_TRAIN += [leg.own for leg in LEGS.values()]
    SLICES = max((needs.slices(cell, HARDWARE) for cell in TO_TRAIN), default=1)
    if SLICES > 1:
        TRAIN_RETRIES = SLICES + 3
    # What is printed says how long the trainings will take still.
    expect(
        {
            f"results/cells/{path}/metrics.json": needs.training_flops(marginal(cell))
            for path, cell in CELLS.items()
            if "checkpoint" not in cell
        }
        | {
            f"results/trunks/{path}": needs.training_flops(leg.own)
            for path, leg in LEGS.items()
        }
    )
