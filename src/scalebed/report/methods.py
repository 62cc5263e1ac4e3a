"""What intervals contain, said once for all data sets where it is said in the same words."""

import re
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from typing import Any, NamedTuple

from scalebed.report.answer import Target

LIKE = 0.6
"""Share of words in common from which two descriptions are told as one."""
_WORD = re.compile(r"\s+|[^\s,;:()]+|[,;:()]")


class Method(NamedTuple):
    """One description of intervals.

    Attributes
    ----------
    labels
        What it is about, in the order of the variants.
    pieces
        Its text in pieces: one variant where all say the same, else one for each label.
    """

    labels: list[str]
    pieces: list[list[str]]

    def text(self, index: int) -> str:
        """Return the description of one label, word by word as it was given."""
        return "".join(piece[index if len(piece) > 1 else 0] for piece in self.pieces)


def methods(targets: Iterable[Target]) -> list[Method]:
    """Return what the intervals of each kind contain, like ones together."""
    found: dict[str, list[Method]] = {"loss": [], "error": []}
    for text, (kind, label) in _told(targets).items():
        for index, one in enumerate(found[kind]):
            if (merged := _merged(one, label, text)) is not None:
                found[kind][index] = merged
                break
        else:
            found[kind].append(Method([label], [[word] for word in _words(text)]))
    return [method for kind in found.values() for method in kind]


def _told(targets: Iterable[Target]) -> dict[str, tuple[str, str]]:
    """Return the kind of each description, and what has it."""
    told: dict[str, tuple[str, dict[str, None]]] = {}
    for target in targets:
        for row in (target.loss, target.error):
            if row and row["method"]:
                known = told.setdefault(row["method"], (row["kind"], {}))
                known[1][row["dataset"]] = None
    return {text: (kind, f"{', '.join(names)}, {kind}") for text, (kind, names) in told.items()}


def _words(text: str) -> list[str]:
    return _WORD.findall(text)


def _merged(one: Method, label: str, text: str) -> Method | None:
    """Return a description with one more variant; None if the words are too different."""
    # A piece with variants equals no word.
    before: list[Any] = [piece[0] if len(piece) == 1 else tuple(piece) for piece in one.pieces]
    words = _words(text)
    matcher = SequenceMatcher(None, before, words, autojunk=False)
    if matcher.ratio() < LIKE:
        return None
    count = len(one.labels)
    pieces: list[list[str]] = []
    for what, start, stop, begin, end in matcher.get_opcodes():
        if what == "equal":
            pieces += one.pieces[start:stop]
            continue
        old = _variants(one.pieces[start:stop], count)
        pieces.append([*old, "".join(words[begin:end])])
    return Method([*one.labels, label], pieces)


def _variants(pieces: Sequence[list[str]], count: int) -> list[str]:
    """Return some pieces as one, for each of the labels so far."""
    return [
        "".join(piece[index if len(piece) > 1 else 0] for piece in pieces) for index in range(count)
    ]
