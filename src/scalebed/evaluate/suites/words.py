"""Tasks about one word, in the manner of the Children's Book Test and of LAMBADA."""

from collections.abc import Iterator

import numpy as np

from scalebed.evaluate.suites.item import Proposal, Task, ending
from scalebed.evaluate.suites.pool import FUNCTION_WORDS, Pool, Sentence, is_content, suffix_class


def _function(sentence: Sentence, pool: Pool, rng: np.random.Generator) -> Iterator[Proposal]:
    """Offer a function word against four others.

    Distractors are drawn with the frequencies of the text, as right answers are: with uniform
    draws the right one would be the shorter and commoner, and an untrained model above chance.
    """
    spots = [i for i, word in enumerate(sentence.words) if i > 1 and word in FUNCTION_WORDS]
    weights = np.array([pool.counts[word] for word in FUNCTION_WORDS], dtype=float)
    for spot in rng.permutation(spots):
        right = FUNCTION_WORDS.index(sentence.words[spot])
        others = np.where(np.arange(len(weights)) == right, 0.0, weights)
        if np.count_nonzero(others) < 4:
            return
        wrong = rng.choice(len(weights), size=4, replace=False, p=others / others.sum())
        words = [FUNCTION_WORDS[i] for i in (right, *wrong)]
        choices = tuple(ending(sentence, spot + 1, word) for word in words)
        yield Proposal(sentence, int(spot), choices)


def _content(sentence: Sentence, pool: Pool, rng: np.random.Generator) -> Iterator[Proposal]:
    """Offer a content word against four of like ending, frequency and length."""
    spots = [i for i, word in enumerate(sentence.words) if i > 1 and is_content(word)]
    for spot in rng.permutation(spots):
        right = sentence.words[spot]
        others = [word for word in pool.content[pool.content_key(right)] if word != right]
        if len(others) < 4:
            continue
        wrong = rng.choice(len(others), size=4, replace=False)
        words = (right, *(others[i] for i in wrong))
        choices = tuple(ending(sentence, spot + 1, word) for word in words)
        yield Proposal(sentence, int(spot), choices)


def _last(sentence: Sentence, pool: Pool, rng: np.random.Generator) -> Iterator[Proposal]:
    """Offer the last word against four of other sentences, of like ending and length."""
    right = sentence.words[-1][:-1]
    if not is_content(right):
        return
    row = pool.last_words[suffix_class(right), len(right) // 2]
    others = [word for word in row if word != right]
    if len(others) >= 4:
        wrong = rng.choice(len(others), size=4, replace=False)
        choices = tuple(f"{word}." for word in (right, *(others[i] for i in wrong)))
        yield Proposal(sentence, len(sentence.words) - 1, choices)


FUNCTION = Task("function5", 5, _function)
CONTENT = Task("content5", 5, _content)
LASTWORD = Task("lastword5", 5, _last)
