"""What a forked process does to be the command its client was given."""

import os
import sys
from pathlib import Path
from typing import NoReturn

from scalebed.commands.shared_process import protocol


def become(request: protocol.Request, files: list[int]) -> None:
    """Turn this process into what the client would have been."""
    for descriptor, file in enumerate(files):
        os.dup2(file, descriptor)
    os.chdir(request.folder)
    os.umask(request.umask)
    os.environb.clear()
    os.environb.update(request.environment)
    sys.argv = [str(Path(protocol.__file__).parents[2] / "__main__.py"), *request.words]


def run(words: list[str]) -> NoReturn:
    """Run the verb as ``python -m scalebed`` does.

    A normal end does not take down what was imported, which takes longer than importing a client.
    """
    import atexit
    import threading

    from scalebed.commands.cli import main

    try:
        status = main(words)
    except SystemExit as stop:
        if not (stop.code is None or isinstance(stop.code, int)):
            raise
        status = stop.code or 0
    # Daemons, such as the monitor of progress bars, nobody waits for.
    others = set(threading.enumerate()) - {threading.main_thread()}
    if any(not thread.daemon for thread in others):
        sys.exit(status)
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status & 0xFF)
