"""Nothing of what the package reads is run: found in its source, over every module of it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import scalebed

PACKAGE = Path(scalebed.__file__).parent
FILES = sorted(path for path in PACKAGE.rglob("*.py"))
REFUSED = {
    *("eval", "exec", "os.system", "os.popen", "commands.getoutput"),
    *("subprocess.getoutput", "subprocess.getstatusoutput", "asyncio.create_subprocess_shell"),
    *("pickle.loads", "dill.load", "dill.loads", "cloudpickle.load", "cloudpickle.loads"),
    *("joblib.load", "shelve.open", "pandas.read_pickle", "pd.read_pickle"),
    *("yaml.unsafe_load", "yaml.full_load", "yaml.unsafe_load_all", "yaml.full_load_all"),
    *("shutil.unpack_archive", "runpy.run_path", "torch.hub.load", "torch.jit.load"),
}
"""Calls that run what they are given, or put files wherever it says."""
METHODS = {"extractall", "extract"}
"""Methods of archives that write where the archive says; its members are read instead."""
PIPES = {
    ("fit/solvers/kernels/compiling.py", "pickle.load"): "standard input, from its own parent",
    ("train/distributed/sharded_index.py", "pickle.Unpickler"): "finds listed names only",
    (
        "commands/shared_process/server.py",
        "marshal.loads",
    ): "words, by a private socket",
}
"""What is left of pickles and their like: module and call, and why nobody else is read."""


def name_of(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{name_of(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def uses(path: Path) -> Iterator[tuple[str, ast.AST]]:
    """Yield each name a module uses, with the call where one is, and each import from a module."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield name_of(node.func), node
        elif isinstance(node, ast.Attribute):
            yield name_of(node), node
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node


def complaint(name: str, node: ast.AST) -> str | None:
    """Return what is wrong with the use of a name, None if nothing is."""
    if name in REFUSED:
        return "runs what it is given"
    if name.startswith(("pickle.load", "pickle.Unpickler", "marshal.load")):
        return "loads a pickle"
    if name.startswith(("dill.", "cloudpickle.", "joblib.", "jsonpickle.")):
        return "loads a pickle"
    return called(name, node) if isinstance(node, ast.Call) else None


def called(name: str, node: ast.Call) -> str | None:
    given = {word.arg: word.value for word in node.keywords}
    if "shell" in given:
        return "has a shell"
    if name.startswith("subprocess.") and isinstance(first(node), ast.Constant | ast.JoinedStr):
        return "has a command in one string"
    if name.split(".")[-1] in METHODS:
        return "unpacks an archive"
    if name == "torch.load" and not is_true(given.get("weights_only")):
        return "loads more than weights"
    if name in ("np.load", "numpy.load") and "allow_pickle" in given:
        return "may load a pickle"
    if name in ("yaml.load", "yaml.load_all") and name_of(given.get("Loader")) != "_Loader":
        return "makes any object"
    if name in ("dcp.load", "dcp.FileSystemReader") and "storage_reader" not in given:
        return "loads an index as a pickle"
    return None


def first(node: ast.Call) -> ast.AST | None:
    given = node.args[0] if node.args else None
    return given.value if isinstance(given, ast.Starred) else given


def is_true(node: ast.AST | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is True


def complaints(path: Path, where: str) -> list[str]:
    found = ((name, complaint(name, node)) for name, node in uses(path))
    return [f"{where}: {name} {why}" for name, why in found if why and (where, name) not in PIPES]


def test_nothing_that_is_read_is_run():
    found = [text for path in FILES for text in complaints(path, str(path.relative_to(PACKAGE)))]
    assert found == []


def test_every_exception_is_in_use():
    there = {
        (str(path.relative_to(PACKAGE)), name)
        for path in FILES
        for name, node in uses(path)
        if complaint(name, node)
    }
    assert there == {*PIPES}


@pytest.mark.parametrize(
    "text",
    [
        "subprocess.run(x, shell=True)",
        "subprocess.run(f'rm {x}')",
        "subprocess.Popen('rm')",
        "os.system(x)",
        "from os import system",
        "from pickle import load",
        "pickle.load(x)",
        "torch.load(x)",
        "torch.load(x, weights_only=False)",
        "np.load(x, allow_pickle=True)",
        "yaml.load(x, Loader=yaml.Loader)",
        "yaml.load(x)",
        "dcp.load(x, checkpoint_id=y)",
        "tar.extractall(x)",
        "read = pd.read_pickle",
        "from joblib import load",
        "eval(x)",
    ],
)
def test_such_a_line_would_be_found(tmp_path, text):
    path = tmp_path / "module.py"
    path.write_text(text)
    assert complaints(path, "module.py")
