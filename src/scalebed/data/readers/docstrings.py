"""Technical prose that is there already: docstrings of pinned packages of the scientific stack.

One document per source file: its docstrings of at least 120 characters. A docstring that occurred
before is dropped. Code is parsed, never run. Permissive licences only; the text changes with every
pin, which is why the versions are options of the reader.
"""

import ast
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from scalebed.core.errors import ScalebedError
from scalebed.data.documents import Description, Document, Option
from scalebed.data.packages import Package
from scalebed.data.text import first_occurrences, normalise_code

_DEFAULT = {
    "altair": "6.3.0",
    "networkx": "3.6.1",
    "nltk": "3.10.4",
    "numpy": "2.4.6",
    "pandas": "3.1.1",
    "scikit-learn": "1.9.1",
    "scipy": "1.17.1",
    "statsmodels": "0.15.0",
    "sympy": "1.14.0",
}
OPTIONS = {
    "packages": Option((dict,), _DEFAULT, "{distribution: version}"),
    "min_characters": Option((int,), 120, "shorter docstrings are left out"),
}
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def pin(options: Mapping[str, Any]) -> Any:
    """Return the versions of the packages."""
    return sorted(options["packages"].items())


def describe(options: Mapping[str, Any]) -> Description:
    """Return source, licence and credit."""
    names = ", ".join(sorted(options["packages"]))
    return Description(
        {"packages": dict(options["packages"])},
        "licences of the packages (BSD-3-Clause or Apache-2.0 for the default ones)",
        f"authors of {names}",
    )


def read(options: Mapping[str, Any]) -> Iterator[Document]:
    """Yield one document per file with docstrings, with the file's name as id."""
    seen: set[str] = set()
    for name, version in sorted(options["packages"].items()):
        install = f"pip install --no-deps {name}=={version}"
        package = Package(name, str(version), "*.py", "", "", install)
        for file, content in package.files({}):
            if "/tests/" in file or ".." in file:
                continue
            strings = (
                text
                for text in _docstrings(file, content)
                if len(text) >= options["min_characters"]
            )
            fresh = first_occurrences(strings, seen)
            if fresh:
                yield Document(file, "\n\n".join(fresh))


def _docstrings(file: str, content: bytes) -> Iterator[str]:
    try:
        with warnings.catch_warnings():
            # Other people's unescaped backslashes are not our warnings.
            warnings.simplefilter("ignore")
            tree = ast.parse(content)
    except (SyntaxError, ValueError) as error:
        raise ScalebedError(f"{file} is not Python of this version: {error}") from error
    for node in ast.walk(tree):
        if isinstance(node, _DOCUMENTED):
            text = ast.get_docstring(node)
            if text:
                yield normalise_code(text)
