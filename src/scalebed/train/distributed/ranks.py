"""The processes, called ranks, that train one cell together, as each of them sees the others.

Ranks are started by ``train-cell --ranks`` (see `scalebed.train.distributed.launch`) or by
torchrun itself, and find each other through the environment variables that torchrun sets.
"""

import os
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from scalebed.core.errors import ScalebedError

LOST = 76
"""Exit status of a rank that ended because another one had (EX_PROTOCOL of sysexits.h)."""


def world() -> tuple[int, int]:
    """Return the rank of this process and how many there are: (0, 1) for an ordinary process."""
    return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))


def local() -> tuple[int, int]:
    """Return the rank on this machine and how many ranks this machine has."""
    rank, size = world()
    return int(os.environ.get("LOCAL_RANK", rank)), int(os.environ.get("LOCAL_WORLD_SIZE", size))


def is_rank() -> bool:
    """Tell whether this process is a rank that torchrun or our launcher has started."""
    return "TORCHELASTIC_RUN_ID" in os.environ


class Ranks:
    """What a process may ask of the others; alone, it asks nobody.

    Tensors on the CPU travel through gloo and tensors on a GPU through nccl.
    """

    def __init__(self) -> None:
        self.rank, self.size = world()

    @property
    def leads(self) -> bool:
        """Whether this is the rank that owns state and record."""
        return self.rank == 0

    def join(self, device: torch.device) -> None:
        """Meet the other ranks; `device` is the one this rank computes on."""
        if self.size == 1:
            return
        if device.type == "cuda":
            torch.cuda.set_device(device)
            dist.init_process_group("cpu:gloo,cuda:nccl", device_id=device)
        else:
            dist.init_process_group("gloo")

    def leave(self) -> None:
        """Part from the other ranks."""
        if self.size > 1 and dist.is_initialized():
            dist.destroy_process_group()

    def agree(self, *values: int) -> list[int]:
        """Return the largest of each value over all ranks."""
        if self.size == 1:
            return list(values)
        # On the CPU, so that no rank has to wait for its GPU.
        largest = torch.tensor(values)
        dist.all_reduce(largest, dist.ReduceOp.MAX)
        return [int(value) for value in largest]

    def mean(self, values: Tensor) -> None:
        """Replace values by their mean over all ranks."""
        if self.size > 1:
            dist.all_reduce(values)
            values /= self.size

    def told(self, message: Any, by: int = 0) -> Any:
        """Return the message of one rank, a value that can be pickled."""
        if self.size == 1:
            return message
        box = [message]
        # Through the CPU, also where nccl would be the default.
        dist.broadcast_object_list(box, src=by, device=torch.device("cpu"))
        return box[0]

    def gather(self, message: Any) -> list[Any]:
        """Return the messages of all ranks."""
        return [self.told(message, rank) for rank in range(self.size)]

    def wait(self) -> None:
        """Return once every rank has come here."""
        self.agree(0)


def check_ranks(batch_sequences: int, ranks: int) -> None:
    """Check that a batch can be shared out.

    Raises
    ------
    ScalebedError
        If some ranks would get more sequences than others.
    """
    if ranks < 1 or batch_sequences % ranks:
        raise ScalebedError(
            f"--ranks is {ranks}, expected a divisor of recipe.batch_sequences {batch_sequences}"
        )


def lost_others(error: BaseException) -> bool:
    """Tell whether an error only says that another rank is gone."""
    if isinstance(error, dist.DistError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(
        word in text for word in ("gloo", "nccl", "connection closed", "connection reset")
    )
