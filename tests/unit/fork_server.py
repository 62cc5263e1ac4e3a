"""The process from which tests fork others: it has imported what takes long."""

import multiprocessing
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext

_imported: list[str] = []


def server(modules: list[str]) -> ForkServerContext:
    """Return what starts processes in which some modules are imported already."""
    global _imported
    context = multiprocessing.get_context("forkserver")
    if modules != _imported:
        # Python has one at a time, and it would go on with the modules of another test file.
        forkserver._forkserver._stop()  # type: ignore[attr-defined]
        context.set_forkserver_preload(modules)
        _imported = modules
    return context
