"""Progress of a training: a bar on a terminal, a line now and then in a log, and a tracker."""

import logging
import sys
import time
from collections.abc import Callable

import tqdm

from scalebed.train.tracking import Told

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
    told
        What tracks the training, if anything does.
    rate
        Learning rate of a step, counted from 0; the tracker is told of it.
    """

    def __init__(
        self,
        name: str,
        steps: int,
        step_tokens: int,
        done: int,
        told: Told | None = None,
        rate: Callable[[int], float] | None = None,
    ) -> None:
        self._name = name
        self._steps = steps
        self._step_tokens = step_tokens
        self._first = self._last = done
        self._began = self._spoken = time.monotonic()
        self._bar = (
            tqdm.tqdm(total=steps, initial=done, desc=name.rpartition("dataset=")[2], unit="step")
            if sys.stderr.isatty()
            else None
        )
        self._told = told
        self._rate = rate
        self.done = False
        """Whether the training came to its end; whoever trains says so."""

    def update(self, done: int, loss: float, seconds: float) -> None:
        """Tell that `done` steps are done, with the last loss, after `seconds` of training."""
        now = time.monotonic()
        # Of this attempt: a resumed one has no rate before it has taken a step.
        steps = max(0, done - self._first)
        rate = steps * self._step_tokens / max(now - self._began, 1e-9)
        if self._told is not None:
            data = {"loss": loss, "tokens": done * self._step_tokens, "tokens_per_second": rate}
            if self._rate is not None:
                data["learning_rate"] = self._rate(done - 1)
            self._told.log(data, done)
        if self._bar is not None:
            self._bar.update(done - self._last)
            self._bar.set_postfix_str(f"loss {loss:.4f}, {rate:,.0f} tokens/s")
        elif now - self._spoken >= _LINE_SECONDS or done == self._steps:
            left = (self._steps - done) * self._step_tokens
            _log.info(
                "%s: step %d/%d, loss %.4f, %s tokens/s, %s s left, %.0f s spent",
                *(self._name, done, self._steps, loss, f"{rate:,.0f}"),
                *(f"{left / rate:.0f}" if rate else "?" if left else "0", seconds),
            )
            self._spoken = now
        self._last = done

    def close(self) -> None:
        """End the bar and the tracker."""
        if self._bar is not None:
            self._bar.close()
        if self._told is not None:
            self._told.finish(self.done)


class Silent:
    """Progress that nobody is told: that of the ranks that do not lead."""

    done = False

    def update(self, done: int, loss: float, seconds: float) -> None:
        """Tell nobody."""

    def close(self) -> None:
        """End, which takes nothing."""
