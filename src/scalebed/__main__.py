"""Run the command line as ``python -m scalebed``."""

import os
import sys


def _main() -> int:
    # Under a workflow that shares processes nothing else need be imported.
    if "SCALEBED_SERVERS" in os.environ:
        from scalebed.commands.shared_process.client import run_shared

        status = run_shared(sys.argv[1:])
        if status is not None:
            return status
    from scalebed.commands.cli import main

    return main()


if __name__ == "__main__":
    try:
        sys.exit(_main())
    except KeyboardInterrupt:
        from scalebed.commands.interrupted import say_interrupted

        sys.excepthook = say_interrupted
        raise
