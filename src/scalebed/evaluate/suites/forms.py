"""Tasks about grammar: inflected forms of a word, and agreement in number (in BLiMP's manner).

Short forms are likelier than long ones to a model that has learned nothing, and common ones to a
model that has learned only frequencies. Both tasks therefore balance which form is right.
"""

from collections.abc import Iterator

import numpy as np

from scalebed.evaluate.suites.item import Proposal, Task, ending
from scalebed.evaluate.suites.pool import Pool, Sentence, is_content

_PAIRS = (
    *(("is", "are"), ("was", "were"), ("has", "have")),
    *(("does", "do"), ("this", "these"), ("its", "their")),
)
_MEMBERS = {word: (pair, side) for pair in _PAIRS for side, word in enumerate(pair)}


def _forms(word: str, pool: Pool) -> tuple[tuple[str, str, str], int] | None:
    """Return the three forms (x, xs, xed) around a word and which of them it is.

    A form is believed when the text itself has all three.
    """
    stems = [word]
    if word.endswith("ed"):
        stems += [word[:-2], word[:-1]]
    elif word.endswith("s"):
        stems.append(word[:-1])
    for stem in stems:
        past = f"{stem}d" if stem.endswith("e") else f"{stem}ed"
        forms = (stem, f"{stem}s", past)
        if word in forms and all(pool.counts[form] for form in forms):
            return forms, forms.index(word)
    return None


def _inflect(sentence: Sentence, pool: Pool, rng: np.random.Generator) -> Iterator[Proposal]:
    """Offer one of three forms (separate, separates, separated) against the other two."""
    spots = [i for i, word in enumerate(sentence.words) if i > 1 and is_content(word)]
    for spot in rng.permutation(spots):
        found = _forms(sentence.words[spot], pool)
        if found:
            forms, side = found
            words = (forms[side], *(form for form in forms if form != forms[side]))
            choices = tuple(ending(sentence, spot + 1, word) for word in words)
            yield Proposal(sentence, int(spot), choices, "forms", side, 3)


def _agree(sentence: Sentence, pool: Pool, rng: np.random.Generator) -> Iterator[Proposal]:
    """Offer the right one of is/are, was/were, has/have, does/do, this/these, its/their."""
    spots = [i for i, word in enumerate(sentence.words) if i > 0 and word in _MEMBERS]
    for spot in rng.permutation(spots):
        pair, side = _MEMBERS[sentence.words[spot]]
        choices = tuple(ending(sentence, spot + 1, word) for word in (pair[side], pair[1 - side]))
        yield Proposal(sentence, int(spot), choices, pair[0], side, 2)


INFLECT = Task("inflect3", 3, _inflect)
AGREE = Task("agree2", 2, _agree)
