"""What a module can reach, and the digest of it."""

import ast
import sys
from pathlib import Path

import pytest

from scalebed.core import imports
from scalebed.core.imports import closure, code_digest, file_of


def forget():
    """Let everything be read again."""
    for function in vars(imports).values():
        if hasattr(function, "cache_clear"):
            function.cache_clear()


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Return a folder that stands for the package, with modules that reach each other."""
    root = tmp_path / "scalebed"
    for name, text in {
        "__init__": "",
        "laws/__init__": "from importlib import import_module\n\n"
        "def get(name):\n    return import_module(f'{__name__}.{name}')\n",
        "laws/tied": "A = 1\n",
        "laws/free": "from scalebed import low\n",
        "low": "",
        "lonely": "B = 2\n",
        "lazy": "def f():\n    import scalebed.lonely\n",
        "typed": "from typing import TYPE_CHECKING\n\n"
        "if TYPE_CHECKING:\n    from scalebed import lonely\n",
        "typed_else": "from typing import TYPE_CHECKING\n\n"
        "if TYPE_CHECKING:\n    from scalebed import (\n        lonely,\n    )\n\n"
        "    import scalebed.lazy\nelse:\n    from scalebed import low\n",
        "typed_inside": "import typing\n\n"
        "def f():\n    if typing.TYPE_CHECKING:\n        from scalebed import lonely\n",
        "by_name": "from scalebed.laws import get\n",
        "checks/__init__": "",
        "checks/one/__init__": "",
        "checks/one/table": "T = 1\n",
        "checks/one/measure": "from scalebed import low\n",
        "checks/two/__init__": "",
        "checks/two/table": "T = 2\n",
        "tables": "from importlib import import_module\n\n"
        "def get(name):\n    return import_module(f'scalebed.checks.{name}.table')\n",
        "reader": "NAME = 'table.yaml'\nFOLDER = 'texts'\n",
    }.items():
        path = root / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (root / "table.yaml").write_text("a: 1\n", encoding="utf-8")
    (root / "texts").mkdir()
    (root / "texts" / "one.txt").write_text("one\n", encoding="utf-8")
    monkeypatch.setattr(imports, "PACKAGE", root)
    forget()
    yield root
    forget()


def names(package, *modules):
    return {path.relative_to(package).as_posix() for path in closure(*modules)} - {"__init__.py"}


@pytest.mark.parametrize(
    ("module", "reached"),
    [
        ("lonely", {"lonely.py"}),
        ("lazy", {"lazy.py", "lonely.py"}),
        ("typed", {"typed.py"}),
        ("typed_else", {"typed_else.py", "low.py"}),
        ("typed_inside", {"typed_inside.py"}),
        ("laws.free", {"laws/free.py", "laws/__init__.py", "laws/tied.py", "low.py"}),
        ("by_name", {"by_name.py", "laws/__init__.py", "laws/tied.py", "laws/free.py", "low.py"}),
        (
            "tables",
            {"tables.py", "checks/__init__.py"}
            | {
                f"checks/{name}/{file}.py"
                for name in ("one", "two")
                for file in ("__init__", "table")
            },
        ),
        ("reader", {"reader.py", "table.yaml", "texts/one.txt"}),
    ],
)
def test_a_closure_holds_what_can_run_and_nothing_else(package, module, reached):
    assert names(package, f"scalebed.{module}") == reached


def test_a_code_digest_follows_content_not_time(package):
    before = code_digest("scalebed.by_name")
    cache = package / "laws" / "__pycache__"
    cache.mkdir()
    (cache / "tied.pyc").write_bytes(b"compiled")
    (package / "laws" / "tied.py").touch()
    (package / "lonely.py").write_text("B = 3\n", encoding="utf-8")
    forget()
    assert code_digest("scalebed.by_name") == before
    assert code_digest("scalebed.lonely") != before
    (package / "laws" / "tied.py").write_text("A = 2\n", encoding="utf-8")
    forget()
    after = code_digest("scalebed.by_name")
    assert after != before
    (package / "laws" / "tied.py").rename(package / "laws" / "bound.py")
    forget()
    assert code_digest("scalebed.by_name") not in (before, after)


@pytest.mark.parametrize("module", ["scalebed.lawz", "numpy", "scalebed.laws.lost"])
def test_a_digest_of_no_code_is_an_error(package, module):
    with pytest.raises(ModuleNotFoundError, match=f"no module {module} in"):
        code_digest(module)


def test_a_closure_holds_every_module_that_python_loads():
    """What an interpreter really imports for an entry module is the witness."""
    import subprocess

    entry = "scalebed.predict.study"
    program = (
        f"import sys, {entry}\n"
        "print(*(m.__file__ for n, m in sys.modules.items() if n.split('.')[0] == 'scalebed'))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout.split()
    assert len(loaded) > 20
    assert {Path(file) for file in loaded} <= set(closure(entry))


def test_what_is_read_of_a_file_is_what_is_in_it(monkeypatch):
    """Most files are not parsed as a whole; it has to come to the same."""

    def reached():
        forget()
        return {file: imports._read(module_of(file), file) for file in files}

    files = list(imports.PACKAGE.rglob("*.py"))
    found = reached()
    assert sum(len(modules) for modules, _ in found.values()) > 1000
    assert any(data for _, data in found.values())
    whole = lambda file: ast.parse(file.read_text(encoding="utf-8"))  # noqa: E731
    monkeypatch.setattr(imports, "_parsed", whole)
    assert reached() == found
    forget()


def test_a_sentence_that_begins_like_an_import_is_none(package):
    text = '"""What it is\n\nfrom scalebed import lonely and other words\n"""\n'
    (package / "prose.py").write_text(text + "from scalebed import low\n", encoding="utf-8")
    assert names(package, "scalebed.prose") == {"prose.py", "low.py"}


def module_of(file):
    parts = file.relative_to(imports.PACKAGE).with_suffix("").parts
    return ".".join(("scalebed", *(parts[:-1] if parts[-1] == "__init__" else parts)))


def test_every_module_of_the_package_is_found_by_its_name():
    for file in imports.PACKAGE.rglob("*.py"):
        assert file_of(module_of(file)) == file
        ast.parse(file.read_text(encoding="utf-8"))
