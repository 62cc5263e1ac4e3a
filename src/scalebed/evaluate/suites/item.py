"""What an item of a task is, and how a task proposes items."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from scalebed.evaluate.suites.pool import Pool, Sentence


class Proposal(NamedTuple):
    """An item before its choices are shuffled."""

    sentence: Sentence
    spot: int
    """Index of the first word that differs between the choices, at least 1."""
    choices: tuple[str, ...]
    """The right choice first; distinct, without spaces at either end."""
    group: str = ""
    """Proposals of one group are balanced over `sides`, so that no choice wins by being common."""
    side: int = 0
    """Which of the group's alternatives is right here."""
    sides: int = 1
    """Number of alternatives in the group."""

    @property
    def query(self) -> str:
        """Text before the spot: the context, if any, and the beginning of the sentence."""
        start = " ".join(self.sentence.words[: self.spot])
        return f"{self.sentence.context} {start}" if self.sentence.context else start


class Task(NamedTuple):
    """A kind of item."""

    name: str
    choices: int
    """Number of choices K of every item; the error of a guess is 1 - 1/K."""
    propose: Callable[[Sentence, Pool, np.random.Generator], Iterator[Proposal]]
    """Yields the items a sentence could give, the preferred one first."""


def ending(sentence: Sentence, after: int, *words: str) -> str:
    """Return `words` followed by the sentence from word `after` on."""
    return " ".join((*words, *sentence.words[after:]))
