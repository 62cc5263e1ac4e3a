"""Tasks about several words: a foreign phrase, a wrong order, a foreign ending."""

import itertools
from collections.abc import Iterator

import numpy as np

from scalebed.evaluate.suites.item import Proposal, Task, ending
from scalebed.evaluate.suites.pool import LOWER, Pool, Sentence


def _spans(sentence: Sentence, length: int, rng: np.random.Generator) -> Iterator[int]:
    """Yield the starts of runs of lower-case words without punctuation, in random order."""
    plain = [LOWER.fullmatch(word) is not None for word in sentence.words]
    starts = [i for i in range(2, len(plain) - length) if all(plain[i : i + length])]
    yield from (int(start) for start in rng.permutation(starts))


def _phrase(sentence: Sentence, pool: Pool, rng: np.random.Generator) -> Iterator[Proposal]:
    """Offer three words against three runs of other sentences, of as many characters."""
    for spot in _spans(sentence, 3, rng):
        right = sentence.words[spot : spot + 3]
        others = pool.phrases[sum(map(len, right))]
        drawn = rng.choice(len(others), size=min(12, len(others)), replace=False)
        wrong = list(dict.fromkeys(others[i] for i in drawn if others[i] != right))[:3]
        if len(wrong) == 3:
            choices = tuple(ending(sentence, spot + 3, *run) for run in (right, *wrong))
            yield Proposal(sentence, spot, choices)


def _order(sentence: Sentence, pool: Pool, rng: np.random.Generator) -> Iterator[Proposal]:
    """Offer four words against three other orders of them."""
    for spot in _spans(sentence, 4, rng):
        right = sentence.words[spot : spot + 4]
        orders = sorted(set(itertools.permutations(right)) - {right})
        if len(orders) >= 3:
            drawn = rng.choice(len(orders), size=3, replace=False)
            runs = (right, *(orders[i] for i in drawn))
            yield Proposal(sentence, spot, tuple(ending(sentence, spot + 4, *run) for run in runs))


def _swap(sentence: Sentence, pool: Pool, rng: np.random.Generator) -> Iterator[Proposal]:
    """Offer two neighbouring words as they stand and swapped."""
    for spot in _spans(sentence, 2, rng):
        first, second = sentence.words[spot : spot + 2]
        if first != second:
            runs = ((first, second), (second, first))
            yield Proposal(sentence, spot, tuple(ending(sentence, spot + 2, *run) for run in runs))


def _continuation(sentence: Sentence, pool: Pool, rng: np.random.Generator) -> Iterator[Proposal]:
    """Offer the second half against three of other sentences, as many words and as long."""
    spot = len(sentence.words) // 2
    right = ending(sentence, spot)
    row = pool.halves[len(sentence.words) - spot]
    close = [half for half in row if half != right and abs(len(half) - len(right)) <= 3]
    if len(close) >= 3:
        wrong = rng.choice(len(close), size=3, replace=False)
        yield Proposal(sentence, spot, (right, *(close[i] for i in wrong)))


PHRASE = Task("phrase4", 4, _phrase)
ORDER = Task("order4", 4, _order)
SWAP = Task("swap2", 2, _swap)
CONTINUATION = Task("continuation4", 4, _continuation)
