"""Manuals: the documentation of every Amazon Web Services interface, as shipped in botocore.

One document per service (newest version of its model): all documentation strings, markup removed.
A string that occurred before, in this or an earlier service, is dropped: a fifth of the text is
such repetition.
"""

import gzip
import json
from collections.abc import Iterator, Mapping
from typing import Any

from scalebed.data.documents import Document
from scalebed.data.packages import FOLDER, Package
from scalebed.data.text import first_occurrences, strings_at, strip_html

PACKAGE = Package(
    name="botocore",
    version="1.44.5",
    pattern="botocore/data/*/*/service-2.json.gz",
    licence="Apache-2.0",
    credit="Amazon.com, Inc. or its affiliates",
)
OPTIONS = {"folder": FOLDER}
pin = PACKAGE.pin
describe = PACKAGE.describe


def read(options: Mapping[str, Any]) -> Iterator[Document]:
    """Yield one document per service, with the service's name as id."""
    newest = {name.split("/")[2]: name for name in PACKAGE.names(options)}
    seen: set[str] = set()
    for name, content in PACKAGE.files(options):
        service = name.split("/")[2]
        if newest[service] != name:
            continue
        model = json.loads(gzip.decompress(content))
        strings = (strip_html(text) for text in strings_at(model, "documentation"))
        paragraphs = first_occurrences(strings, seen)
        if paragraphs:
            yield Document(service, "\n".join(paragraphs))
