"""Which Python the jobs of a workflow run by."""

import os
import sys
from pathlib import Path


def offer_python() -> None:
    """Put the Python that runs Snakemake first on the path of all jobs that are started from here.

    Jobs say ``python``, and this one has the package, whatever else is on the path.
    """
    own, path = str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)
    os.environ["PATH"] = os.pathsep.join((own, path))
