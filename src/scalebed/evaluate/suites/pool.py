"""Sentences fit for items, and the statistics of a corpus that distractors are drawn by."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from functools import cached_property
from typing import NamedTuple

MIN_WORDS = 9
MAX_WORDS = 28

_BOUNDARY = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"'(])")
# A full stop after one of these, or after a single letter, does not end a sentence.
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\"'.])(?:[A-Za-z]|Mr|Mrs|Ms|Dr|St|Sts|Jr|Sr|Gen|Col|Lt|Capt|Prof|Rev|Hon|Mt|Ft|No|Nos"
    r"|vs|ca|cf|lit|fl|etc|approx|Inc|Ltd|Co|Corp|Bros|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov"
    r"|Dec)\.$"
)
_SPACES = re.compile(r"\s+")
LOWER = re.compile(r"[a-z]+")

FUNCTION_WORDS = (
    *("the", "of", "and", "in", "to", "a", "is", "was", "as", "for", "by", "with", "from"),
    *("that", "on", "are", "which", "an", "it", "were", "at", "its", "or", "has", "be"),
)
"""The 25 commonest function words of English reference prose; the choices of `function5`."""

# Never content words, whatever their length; words under five letters are out anyway.
_CLOSED = frozenset(
    (
        *("which", "these", "those", "their", "there", "being", "whose", "where", "while"),
        *("other", "others", "might", "could", "would", "shall", "should", "under", "between"),
        *("among", "through", "during", "before", "after", "about", "against", "within"),
        *("without", "every", "either", "neither", "three", "first", "second", "because"),
        *("until", "since", "though", "although", "however", "themselves", "himself"),
        *("herself", "itself"),
    )
)


class Sentence(NamedTuple):
    """A sentence of an ordinary shape."""

    words: tuple[str, ...]
    """Its words with their punctuation, split at single spaces."""
    context: str
    """The end of the sentence before it in the same paragraph, or nothing."""

    @property
    def text(self) -> str:
        """The whole sentence."""
        return " ".join(self.words)


def split_sentences(paragraph: str) -> list[str]:
    """Split a paragraph at full stops, question and exclamation marks before a capital.

    Initials and common abbreviations do not end a sentence.
    """
    sentences: list[str] = []
    for piece in _BOUNDARY.split(_SPACES.sub(" ", paragraph).strip()):
        if sentences and _ABBREVIATION.search(sentences[-1]):
            sentences[-1] += " " + piece
        else:
            sentences.append(piece)
    return sentences


def usable(text: str) -> bool:
    """Say whether a sentence is plain enough: ASCII, 9 to 28 words, whole, balanced brackets."""
    return (
        text.isascii()
        and MIN_WORDS <= text.count(" ") + 1 <= MAX_WORDS
        and text[0].isupper()
        and text.endswith(".")
        and not _ABBREVIATION.search(text)
        and text.count("(") == text.count(")")
        and text.count('"') % 2 == 0
    )


def clip(text: str, chars: int) -> str:
    """Return whole words from the end of `text`, at most `chars` characters in all."""
    if len(text) <= chars:
        return text
    tail = text[len(text) - chars :] if chars else ""
    whole = text[len(text) - chars - 1].isspace()
    return tail.strip() if whole else tail.partition(" ")[2].strip()


def sentences_of(
    documents: Iterable[str], context_chars: int, sentence_chars: int = 1000
) -> list[Sentence]:
    """Return the usable sentences of some documents in order, each text once.

    Parameters
    ----------
    documents
        Texts; line breaks end paragraphs.
    context_chars
        Characters of the sentence before that are kept as context.
    sentence_chars
        Longer sentences are passed over.
    """
    found: dict[str, Sentence] = {}
    for document in documents:
        for paragraph in document.splitlines():
            before = ""
            for text in split_sentences(paragraph):
                if text not in found and len(text) <= sentence_chars and usable(text):
                    # Items must stay ASCII; a foreign context is dropped rather than the item.
                    context = clip(before, context_chars) if before.isascii() else ""
                    found[text] = Sentence(tuple(text.split(" ")), context)
                before = text
    return list(found.values())


def is_content(word: str) -> bool:
    """Say whether a word is lower-case, alphabetic, of five letters or more, and not a particle."""
    return len(word) >= 5 and LOWER.fullmatch(word) is not None and word not in _CLOSED


_SUFFIXES = tuple(
    suffix.removeprefix("-")
    for suffix in (
        *("-tion", "-sion", "-ment", "-ness", "-ance", "-ence", "-able", "-ible", "-ical"),
        *("-ship", "-ists", "-ing", "-ies", "-ous", "-ive", "-ity", "-ian", "-ary", "-ory"),
        *("-ful", "-est", "-ism", "-ist", "-ed", "-ly", "-al", "-ic", "-er", "-or", "-es"),
        *("-en", "-s"),
    )
)


def suffix_class(word: str) -> str:
    """Return the longest listed ending of a word, a cheap stand-in for its part of speech."""
    return next((suffix for suffix in _SUFFIXES if word.endswith(suffix)), "")


class Pool:
    """All usable sentences of a text, with what distractors are drawn from.

    Parameters
    ----------
    sentences
        Usable sentences in the order of the corpus; everything is a function of this list.
    """

    def __init__(self, sentences: list[Sentence]) -> None:
        self.sentences = sentences

    @cached_property
    def counts(self) -> Counter[str]:
        """Occurrences of each lower-case alphabetic word, a comma or full stop stripped."""
        words = (word.rstrip(",.;:") for sentence in self.sentences for word in sentence.words[1:])
        return Counter(word for word in words if LOWER.fullmatch(word))

    @cached_property
    def content(self) -> dict[tuple[str, int, int], dict[str, int]]:
        """Occurrences of content words by the rows of `content_key`."""
        table: dict[tuple[str, int, int], dict[str, int]] = defaultdict(dict)
        for word, count in self.counts.items():
            if is_content(word):
                table[self.content_key(word)][word] = count
        return dict(table)

    def content_key(self, word: str) -> tuple[str, int, int]:
        """Return suffix class, binary order of frequency and half the length of a word."""
        return suffix_class(word), self.counts[word].bit_length(), len(word) // 2

    @cached_property
    def last_words(self) -> dict[tuple[str, int], Counter[str]]:
        """Occurrences of sentence-final content words by suffix class and half their length."""
        table: dict[tuple[str, int], Counter[str]] = defaultdict(Counter)
        for sentence in self.sentences:
            word = sentence.words[-1][:-1]
            if is_content(word):
                table[suffix_class(word), len(word) // 2][word] += 1
        return dict(table)

    @cached_property
    def phrases(self) -> dict[int, list[tuple[str, ...]]]:
        """Runs of three lower-case words by their length in characters, as often as they occur."""
        table: dict[int, list[tuple[str, ...]]] = defaultdict(list)
        for sentence in self.sentences:
            words = sentence.words
            plain = [LOWER.fullmatch(word) is not None for word in words]
            for i in range(2, len(words) - 3):
                if all(plain[i : i + 3]):
                    run = words[i : i + 3]
                    table[sum(map(len, run))].append(run)
        return dict(table)

    @cached_property
    def halves(self) -> dict[int, list[str]]:
        """Second halves of sentences by their number of words."""
        table: dict[int, list[str]] = defaultdict(list)
        for sentence in self.sentences:
            half = sentence.words[len(sentence.words) // 2 :]
            table[len(half)].append(" ".join(half))
        return dict(table)
