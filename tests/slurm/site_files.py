"""The study and the site of the tests: what docs/cluster.md says to edit, edited."""

import copy
import re
from pathlib import Path
from typing import Any

import project
import yaml

SLOW_SEEDS = (1, 2, 3, 4)
# Long enough to be disturbed where `SLOWLY` is in force, 38 seconds at the least, with hardly any
# work. Slurm looks twice a minute whether the first one is over its limit, which must find it at
# work; the last one has to be at work still when Snakemake has noticed what became of the others.
SLOW_RATIOS = dict(zip(SLOW_SEEDS, (20, 12, 12, 50), strict=True))
SLOWLY = Path(__file__).parent / "slowly"
"""On PYTHONPATH, it lets every step of a training sleep, which takes no core from anybody."""


def _study() -> dict[str, Any]:
    study = copy.deepcopy(project.STUDY)
    del study["datasets"]["both"]
    study["allow_repeats"] = True
    small = {"sizes": ["6k", "8k", "11k"], "ratios": [2]}
    study["grid"] = [small] + [
        {"sizes": ["15k"], "ratios": [ratio], "seeds": [seed]}
        for seed, ratio in SLOW_RATIOS.items()
    ]
    # One of each stands for all: every job starts anew here.
    study["checks"] = ["reliability"]
    study["figures"] = {"loss_vs_compute": {}}
    study["fit"]["loss_cells"] = [small, {"sizes": ["15k"], "ratios": [12, 20]}]
    study["fit"]["targets"] = [{"sizes": ["15k"], "ratios": [50]}]
    return study


STUDY = _study()

ROOMY: dict[str, Any] = {
    "partitions": [{"name": "short", "minutes": 60}, {"name": "long", "minutes": 600}],
}
"""Nothing is cut short."""

EAGER: dict[str, Any] = {**ROOMY, "checkpoint_seconds": 1}
"""State is saved all the time, so that a disturbance comes after a checkpoint."""


def _example(file: str) -> dict[str, Any]:
    """Return one of the files that docs/cluster.md shows, with a size of ours for those there."""
    text = (project.REPOSITORY / "docs/cluster.md").read_text(encoding="utf-8")
    (found,) = re.findall(rf"```yaml\n# {file}\n(.*?)```", text, re.DOTALL)
    return yaml.safe_load(found.replace("6900m", "15k"))


EXAMPLE_SITE = _example("profiles/slurm/hardware.yaml")
EXAMPLE_PROFILE = _example("profiles/slurm/profile.yaml")
RESERVATION: str = EXAMPLE_PROFILE["slurm-reservation"]


def write(root: Path, hardware: dict[str, Any], more: dict[str, Any] | None = None) -> None:
    """Edit the profile and the hardware file of a project for the test cluster."""
    name = "profiles/slurm/profile.yaml"
    values = yaml.safe_load((project.REPOSITORY / name).read_text(encoding="utf-8"))
    values |= {
        "slurm-init-seconds-before-status-checks": 3,
        "latency-wait": 15,
    }
    # The data of the tiny study are as small as its evaluations.
    data = ("extract_corpus", "train_tokenizer", "tokenize_corpus", "build_dataset", "build_suite")
    values["groups"] |= dict.fromkeys(data, "data")
    # Evaluations in two jobs, one for each core of a small machine.
    values["group-components"]["evaluate"] = 7
    values["set-resources"] |= {rule: {"runtime": 10} for rule in data}
    for key, value in copy.deepcopy(more or {}).items():
        values[key] = values.get(key, {}) | value if isinstance(value, dict) else value
    (root / name).write_text(yaml.safe_dump(values), encoding="utf-8")
    path = root / "profiles/slurm/hardware.yaml"
    path.write_text(yaml.safe_dump(hardware), encoding="utf-8")
