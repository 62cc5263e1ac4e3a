"""What a module of scalebed can reach: the import closure that ties a rule to its code.

Read from the source without importing anything, because Snakemake asks while it plans. Counted are
imports at the top and inside functions, the packages that Python runs on the way to a module,
modules that are looked up by name, and files of data that a module names and that lie beside it.
``import_module(f"scalebed.laws.{name}")`` reaches every law and ``f"scalebed.checks.{name}.table"``
the table of every check. Not counted are imports for type checkers: they never run.
"""

import ast
import contextlib
import functools
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
_ROOT = PACKAGE.name
_IMPORT = re.compile(
    rf"^[ \t]*(from {_ROOT}[\w.]* import (?:\([^)]*\)|[\w, ]+)|import {_ROOT}[\w., ]*)",
    re.MULTILINE,
)
# Up to the next line that is not indented; what is there under ``else`` stays.
_FOR_CHECKERS = re.compile(r"^if TYPE_CHECKING:.*\n(?:[ \t]+.*\n|\n)*", re.MULTILINE)
_ASKS_FOR_CHECKERS = re.compile(r"\b(?:el)?if\b.*\bTYPE_CHECKING\b")


@functools.cache
def file_of(module: str) -> Path | None:
    """Return the source file of a module or package; None if there is no such module here."""
    parts = module.split(".")
    if parts[0] != _ROOT:
        return None
    path = PACKAGE.joinpath(*parts[1:])
    for file in (path / "__init__.py", path.with_suffix(".py")):
        # A package has a suffix of its own only by accident of its name.
        if file.is_file() and file.parent.is_dir():
            return file
    return None


@functools.cache
def closure(*modules: str) -> tuple[Path, ...]:
    """Return the files that can have a say in what some modules do, sorted.

    Parameters
    ----------
    *modules
        Dotted names, for example ``"scalebed.predict.study"``.

    Raises
    ------
    ModuleNotFoundError
        If one of them does not exist.
    """
    seen: set[str] = set()
    files: set[Path] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module in seen:
            continue
        seen.add(module)
        file = file_of(module)
        if file is None:
            raise ModuleNotFoundError(f"no module {module} in {PACKAGE}")
        files.add(file)
        reached, data = _read(module, file)
        files |= data
        # Python runs the packages a module lies in before the module.
        waiting += [*reached, *_packages_of(module)]
    return tuple(sorted(files))


@functools.cache
def code_digest(*modules: str) -> str:
    """Return a content digest of all that some modules can reach.

    For the rules that are cheap to rerun: an edit reruns them, a new modification time does not.
    Training is tied to `scalebed.core.arithmetic.NUMERICS` instead, since a comment must not
    retrain a grid.

    Raises
    ------
    ModuleNotFoundError
        If one of the modules does not exist.
    """
    hasher = hashlib.sha256()
    for file in closure(*modules):
        hasher.update(file.relative_to(PACKAGE).as_posix().encode())
        hasher.update(_file_digest(file))
    return hasher.hexdigest()[:16]


@functools.cache
def _file_digest(file: Path) -> bytes:
    return hashlib.sha256(file.read_bytes()).digest()


def _packages_of(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts))]


@functools.cache
def _read(module: str, file: Path) -> tuple[frozenset[str], frozenset[Path]]:
    """Return the modules that a module names, and the files of data."""
    nodes = list(_running(_parsed(file)))
    modules: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names if file_of(alias.name)}
        elif isinstance(node, ast.ImportFrom) and node.module and file_of(node.module):
            modules.add(node.module)
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            modules |= {name for name in names if file_of(name)}
    if any(isinstance(node, ast.Call) and _is_import_module(node.func) for node in nodes):
        modules |= _by_name(module, nodes)
    return frozenset(modules), frozenset(_data(file, nodes))


def _parsed(file: Path) -> ast.Module:
    """Parse a file, or its imports alone where they are all that matters, which is soon done."""
    text = file.read_text(encoding="utf-8")
    if not any(word in text for word in ("import_module", *_data_names(file.parent))):
        told = "TYPE_CHECKING" in text
        run = _FOR_CHECKERS.sub("", text) if told else text
        if not (told and _ASKS_FOR_CHECKERS.search(run)):
            # A sentence that begins like an import is none.
            with contextlib.suppress(SyntaxError):
                return ast.parse("\n".join(_IMPORT.findall(run)))
    return ast.parse(text, filename=str(file))


@functools.cache
def _data_names(folder: Path) -> tuple[str, ...]:
    """Return the files and folders in a folder that are no code."""
    return tuple(
        entry.name
        for entry in folder.iterdir()
        if entry.name != "__pycache__"
        and not (entry.suffix == ".py" or (entry / "__init__.py").exists())
    )


def _running(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield every node but those under ``if TYPE_CHECKING``."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            waiting += node.orelse
        elif not isinstance(node, ast.Import | ast.ImportFrom):
            waiting += ast.iter_child_nodes(node)


def _is_import_module(function: ast.AST) -> bool:
    name = function.attr if isinstance(function, ast.Attribute) else None
    return "import_module" in (name, getattr(function, "id", None))


def _by_name(module: str, nodes: list[ast.AST]) -> set[str]:
    """Return what a module that imports by name can mean: names, and all of a package."""
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found |= {node.value} if file_of(node.value) else set()
        elif isinstance(node, ast.JoinedStr) and len(node.values) > 1:
            package = _prefix(module, node).rstrip(".")
            folder = file_of(package) if package else None
            if folder is not None and folder.name == "__init__.py":
                names = {file.stem for file in folder.parent.glob("[a-z]*.py")}
                names |= {file.parent.name for file in folder.parent.glob("*/__init__.py")}
                wanted = {f"{package}.{name}{_suffix(node)}" for name in names}
                found |= {name for name in wanted if file_of(name)}
    return found


def _suffix(node: ast.JoinedStr) -> str:
    """Return what follows the one value at the end of an f-string, as in ``{name}.table``."""
    last = node.values[-1]
    value = str(last.value) if isinstance(last, ast.Constant) else ""
    return value if value.startswith(".") else ""


def _prefix(module: str, node: ast.JoinedStr) -> str:
    """Return the part of an f-string before its first value, with ``__name__`` filled in."""
    prefix = ""
    for value in node.values:
        if isinstance(value, ast.Constant):
            prefix += str(value.value)
        elif isinstance(value, ast.FormattedValue) and ast.unparse(value.value) == "__name__":
            prefix += module
        else:
            break
    return prefix


def _data(file: Path, nodes: list[ast.AST]) -> Iterator[Path]:
    """Yield the files of data that a module names and that lie beside it, or in a folder there."""
    strings = {node.value for node in nodes if isinstance(node, ast.Constant)}
    for name in _data_names(file.parent):
        path = file.parent / name
        if name in strings:
            yield from [path] if path.is_file() else filter(Path.is_file, path.rglob("*"))
