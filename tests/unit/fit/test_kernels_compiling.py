"""How kernels are compiled, by a kernel of one line in a module of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from scalebed.fit.solvers.kernels import compiling

TOY = """
from scalebed.fit.solvers.kernels.compiling import entry

@entry
def twice(x):
    return 2 * x
"""
RUN = """
from toy import twice
value, stats = twice(1.5), twice.kernel.stats
print(value, sum(stats.cache_hits.values()), sum(stats.cache_misses.values()))
"""


def test_processes_that_start_together_load_what_one_other_has_compiled(tmp_path):
    """Else the one that compiles would differ in the last bits from those that come later."""
    (tmp_path / "toy.py").write_text(TOY)
    path = os.pathsep.join([str(tmp_path), *sys.path])
    environment = {**os.environ, "PYTHONPATH": path, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    words = [sys.executable, "-c", RUN]
    together = [
        subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for process in together:
        assert process.communicate(timeout=120)[0] == "3.0 1 0\n"
    assert len(list((tmp_path / "cache").rglob("toy.twice-*.nbc"))) == 1


def test_a_copy_of_the_package_compiles_for_itself(tmp_path, monkeypatch):
    """Numba finds nothing in the cache of another place, which a copy would take for filled."""
    here = compiling._fingerprint()
    for source in Path(compiling.__file__).parent.glob("*.py"):
        shutil.copy(source, tmp_path)
    monkeypatch.setattr(compiling, "__file__", str(tmp_path / "compiling.py"))
    assert compiling._fingerprint() != here
    monkeypatch.undo()
    assert compiling._fingerprint() == here
