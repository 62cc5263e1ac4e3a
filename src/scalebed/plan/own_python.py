"""Which Python the jobs of a workflow run by."""

import os
import sys
from pathlib import Path

FOLDER = "SCALEBED_PYTHON"
"""Environment variable that names the folder of another ``python`` for the jobs, in a container."""


def offer_python() -> None:
    """Put the Python that runs Snakemake first on the path of all jobs that are started from here.

    Jobs say ``python``, and this one has the package, whatever else is on the path; the one in the
    folder that `FOLDER` names goes before it.
    """
    own, path = str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)
    wanted = os.environ.get(FOLDER)
    os.environ["PATH"] = os.pathsep.join((*filter(None, [wanted]), own, path))
