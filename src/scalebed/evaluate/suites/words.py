"""Tasks about one word, in the manner of the Children's Book Test and of LAMBADA."""

from collections.abc import Iterator, Mapping

import numpy as np

from scalebed.evaluate.suites.item import Proposal, Task, ending
from scalebed.evaluate.suites.pool import (
    FUNCTION_WORDS,
    Pool,
    Sentence,
    is_content,
    suffix_class,
)


def _draw(
    right: str, counts: Mapping[str, int], number: int, rng: np.random.Generator
) -> list[str]:
    """Return `number` words other than `right`, common ones more often; none if too few.

    Right answers are met as often as they occur in the text. With distractors drawn evenly the
    right one would be the commoner and, in tokens, the shorter: an untrained model would do
    better than chance.
    """
    words = [word for word in sorted(counts) if word != right and counts[word]]
    if len(words) < number:
        return []
    weights = np.array([counts[word] for word in words], dtype=float)
    drawn = rng.choice(len(words), size=number, replace=False, p=weights / weights.sum())
    return [words[i] for i in drawn]


def _function(sentence: Sentence, pool: Pool, rng: np.random.Generator) -> Iterator[Proposal]:
    """Offer a function word against four others."""
    spots = [i for i, word in enumerate(sentence.words) if i > 1 and word in FUNCTION_WORDS]
    counts = {word: pool.counts[word] for word in FUNCTION_WORDS}
    for spot in rng.permutation(spots):
        right = sentence.words[spot]
        wrong = _draw(right, counts, 4, rng)
        if wrong:
            choices = tuple(ending(sentence, spot + 1, word) for word in (right, *wrong))
            yield Proposal(sentence, int(spot), choices)


def _content(sentence: Sentence, pool: Pool, rng: np.random.Generator) -> Iterator[Proposal]:
    """Offer a content word against four of like ending, frequency and length."""
    spots = [i for i, word in enumerate(sentence.words) if i > 1 and is_content(word)]
    for spot in rng.permutation(spots):
        right = sentence.words[spot]
        wrong = _draw(right, pool.content[pool.content_key(right)], 4, rng)
        if wrong:
            choices = tuple(ending(sentence, spot + 1, word) for word in (right, *wrong))
            yield Proposal(sentence, int(spot), choices)


def _last(sentence: Sentence, pool: Pool, rng: np.random.Generator) -> Iterator[Proposal]:
    """Offer the last word against four of other sentences, of like ending and length."""
    right = sentence.words[-1][:-1]
    if not is_content(right):
        return
    row = pool.last_words[suffix_class(right), len(right) // 2]
    wrong = _draw(right, row, 4, rng)
    if wrong:
        choices = tuple(f"{word}." for word in (right, *wrong))
        yield Proposal(sentence, len(sentence.words) - 1, choices)


FUNCTION = Task("function5", 5, _function)
CONTENT = Task("content5", 5, _content)
LASTWORD = Task("lastword5", 5, _last)
