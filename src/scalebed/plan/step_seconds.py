"""How long a step takes on this machine, for plans."""

import time

import numpy as np

from scalebed.model import Decoder, ModelConfig, initialise
from scalebed.train.loop import Training
from scalebed.train.params import Recipe
from scalebed.train.runtime import prepare_process

_WARM_UP = 3


class _RandomTokens:
    """Batches of random tokens: as costly as text."""

    def __init__(self, config: ModelConfig) -> None:
        self._config = config
        self._rng = np.random.default_rng(0)

    def batch(self, step: int, batch_sequences: int) -> np.ndarray:
        shape = (batch_sequences, self._config.context + 1)
        return self._rng.integers(self._config.vocab, size=shape)


def step_seconds(
    model: dict[str, object], recipe: dict[str, object], seconds: float = 0.5, threads: int = 1
) -> float:
    """Return the median time of a training step on the CPU, in seconds.

    Parameters
    ----------
    model, recipe
        The ``model`` and ``recipe`` parts of a cell's parameters.
    seconds
        Time to spend measuring; at least one step is measured, after three to warm up.
    threads
        CPU threads of the training to be planned; set for this process.

    Raises
    ------
    ScalebedError, CellFailure, ValueError
        If no such cell can be trained.
    """
    prepare_process(threads)
    config = ModelConfig.from_record(model)
    decoder = Decoder(config)
    initialise(decoder, 0)
    training = Training(decoder, Recipe.from_record(recipe), 1 << 20, _RandomTokens(config))
    for _ in range(_WARM_UP):
        training.step()
    times: list[float] = []
    began = time.perf_counter()
    while not times or time.perf_counter() - began < seconds:
        start = time.perf_counter()
        training.step()
        times.append(time.perf_counter() - start)
    return float(np.median(times))
