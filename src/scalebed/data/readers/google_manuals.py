"""More manuals: descriptions of Google's interfaces, as shipped in google-api-python-client.

One document per interface, all its versions together (they repeat one another); a string that
occurred before is dropped. Not in the default study: an Apache-2.0 alternative of 17 MB.
"""

import json
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import PurePosixPath
from typing import Any

from scalebed.data.documents import Document
from scalebed.data.packages import FOLDER, Package
from scalebed.data.text import first_occurrences, strings_at, strip_html

PACKAGE = Package(
    name="google-api-python-client",
    version="2.202.0",
    pattern="googleapiclient/discovery_cache/documents/*.json",
    licence="Apache-2.0",
    credit="Google LLC",
    install="pip install --no-deps google-api-python-client==2.202.0",
)
OPTIONS = {"folder": FOLDER}
pin = PACKAGE.pin
describe = PACKAGE.describe


def read(options: Mapping[str, Any]) -> Iterator[Document]:
    """Yield one document per interface, with its name as id."""
    seen: set[str] = set()
    # Sorting by name, not by file name, keeps "drive.v2" and "drive.v3" beside each other.
    files = sorted(PACKAGE.files(options), key=lambda pair: (_interface(pair[0]), pair[0]))
    for interface, versions in groupby(files, key=lambda pair: _interface(pair[0])):
        paragraphs: list[str] = []
        for _, content in versions:
            strings = (strip_html(text) for text in strings_at(json.loads(content), "description"))
            paragraphs += first_occurrences(strings, seen)
        if paragraphs:
            yield Document(interface, "\n".join(paragraphs))


def _interface(name: str) -> str:
    return PurePosixPath(name).name.split(".")[0]
