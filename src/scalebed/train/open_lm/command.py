"""The command that trains a cell with open_lm: the paper's arguments, from a job.

All paths are relative to the cell's state folder, where it is run: open_lm expands braces and
splits at ``::`` in paths of shards.
"""

import sys

from scalebed.core.errors import ScalebedError
from scalebed.train.job import Job
from scalebed.train.open_lm import convert
from scalebed.train.open_lm.shards import DATA_KEY, MANIFEST, Layout
from scalebed.train.params import CellFailure

LOGS = "logs"
"""open_lm's default; torchrun would take ``--logs`` for an abbreviation of options of its own."""
RUN = "run"
SHARDS = "shards"
MODEL = "model.json"
INITIAL = "initial.pt"


def launcher(ranks: int) -> list[str]:
    """Return the words before open_lm's own arguments.

    A single process needs no torchrun, which would take seconds and open ports to the network.
    """
    python, main = [sys.executable, "-m"], ["-m", "open_lm.main"]
    if ranks == 1:
        return [sys.executable, *main]
    return [*python, "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}", *main]


def arguments(job: Job, layout: Layout, device: str) -> list[str]:
    """Return open_lm's arguments.

    They are those of the paper's runs (``open_lm_args`` in its published data) as far as they are
    not about its cluster, with the values of the job. Weight decay is λ/lr: open_lm's AdamW takes
    away lr·wd of a weight in a step. Every step is logged, and to TensorBoard, the only place where
    open_lm gives losses in full.

    Raises
    ------
    CellFailure, ScalebedError
        If open_lm cannot train so.
    """
    recipe, context = job.recipe, job.config.context
    values: dict[str, object] = {
        "dataset-manifest": f"{SHARDS}/{MANIFEST}",
        "data-key": DATA_KEY,
        "train-num-samples": layout.epoch_sequences * context,
        "epochs": layout.epochs,
        "workers": 1,
        "model": MODEL,
        "pretrained": INITIAL,
        "precision": {"fp32": "fp32", "bf16": "amp_bfloat16"}[recipe.precision],
        "global-batch-size": recipe.batch_sequences,
        "accum-freq": _accumulation(job, layout.ranks),
        "lr": recipe.lr,
        "lr-cooldown-end": recipe.lr_end,
        "warmup": recipe.warmup_steps,
        "wd": recipe.weight_decay / recipe.lr,
        "beta1": recipe.beta1,
        "beta2": recipe.beta2,
        "eps": recipe.eps,
        "grad-clip-norm": recipe.grad_clip,
        "z-loss-coefficient": recipe.z_loss,
        "seed": job.cell.seed,
        "name": RUN,
        "log-every-n-steps": 1,
        "report-to": "tensorboard",
        "resume": "latest",
    }
    words = [word for key, value in values.items() for word in (f"--{key}", str(value))]
    words += ["--delete-previous-checkpoint", *convert.model_arguments(job.config)]
    if job.options.compiled:
        words.append("--torchcompile")
    if job.options.recompute:
        words.append("--grad-checkpointing")
    return words + _distributed(layout.ranks, device, recipe.precision)


def _accumulation(job: Job, ranks: int) -> int:
    """Return the forward passes of a step on one rank."""
    own = job.recipe.batch_sequences // ranks
    micro = min(job.recipe.micro, own)
    if own % micro:
        raise CellFailure(
            f"recipe.micro_sequences {micro} does not divide the {own} sequences of a rank"
        )
    return own // micro


def _distributed(ranks: int, device: str, precision: str) -> list[str]:
    if ranks == 1:
        return []
    if device == "cpu":
        raise ScalebedError(
            f"--ranks is {ranks}, but open_lm trains in a single process where there is no GPU"
        )
    return ["--fsdp", *(["--fsdp-amp"] if precision == "bf16" else [])]
