"""Progress of a training: a bar on a terminal, a line now and then in a log, TensorBoard."""

import logging
import sys
import time
from pathlib import Path
from typing import Any

import tqdm

from scalebed.core.errors import ScalebedError

_log = logging.getLogger(__name__)
_LINE_SECONDS = 10.0


class Progress:
    """Tells how a training goes.

    Parameters
    ----------
    name
        What is trained.
    steps, step_tokens
        Length of the run, tokens of a step.
    done
        Steps done by earlier attempts.
    tensorboard
        Folder for TensorBoard events, if wanted.
    """

    def __init__(
        self, name: str, steps: int, step_tokens: int, done: int, tensorboard: Path | None = None
    ) -> None:
        self._name = name
        self._steps = steps
        self._step_tokens = step_tokens
        self._first = self._last = done
        self._began = self._told = time.monotonic()
        self._bar = (
            tqdm.tqdm(total=steps, initial=done, desc=name.rpartition("dataset=")[2], unit="step")
            if sys.stderr.isatty()
            else None
        )
        self._writer: Any = _writer(tensorboard) if tensorboard else None

    def update(self, done: int, loss: float, seconds: float) -> None:
        """Tell that `done` steps are done, with the last loss, after `seconds` of training."""
        now = time.monotonic()
        # Of this attempt: a resumed one has no rate before it has taken a step.
        steps = max(0, done - self._first)
        rate = steps * self._step_tokens / max(now - self._began, 1e-9)
        if self._writer is not None:
            self._writer.add_scalar("loss", loss, done * self._step_tokens)
            self._writer.add_scalar("tokens_per_second", rate, done * self._step_tokens)
        if self._bar is not None:
            self._bar.update(done - self._last)
            self._bar.set_postfix_str(f"loss {loss:.4f}, {rate:,.0f} tokens/s")
        elif now - self._told >= _LINE_SECONDS or done == self._steps:
            left = (self._steps - done) * self._step_tokens
            _log.info(
                "%s: step %d/%d, loss %.4f, %s tokens/s, %s s left, %.0f s spent",
                *(self._name, done, self._steps, loss, f"{rate:,.0f}"),
                *(f"{left / rate:.0f}" if rate else "?" if left else "0", seconds),
            )
            self._told = now
        self._last = done

    def close(self) -> None:
        """End the bar and flush TensorBoard."""
        if self._bar is not None:
            self._bar.close()
        if self._writer is not None:
            self._writer.close()


class Silent:
    """Progress that nobody is told: that of the ranks that do not lead."""

    def update(self, done: int, loss: float, seconds: float) -> None:
        """Tell nobody."""

    def close(self) -> None:
        """End, which takes nothing."""


def _writer(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ScalebedError(
            "--tensorboard needs the tensorboard package: pip install 'scalebed[tensorboard]'"
        ) from error
    return SummaryWriter(str(folder))
