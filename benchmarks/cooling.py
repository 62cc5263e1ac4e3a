"""What cooling a branch costs in loss, against a run on a cosine of its own.

    python benchmarks/cooling.py [--study config/config.yaml] [--sizes NAME NAME] [--ratios 5 20 80]
        [--seeds 3] [--dataset NAME] [--cores 2] [--results results]

Trains the given sizes of a study with trunks (its two smallest when left out) on one data set, as
branches of a trunk by the study's first recipe with `schedule: wsd`, and on a cosine of its own
for each cell, with the same seeds, so the same first weights and batches. The cosine has twice the
rate of the trunk at its peak, since half of the best peak is what a trunk should have (Hägele et
al., arXiv 2405.18392), and ends at a hundredth of it; everything else is the same. Texts and
tokens are taken from `--results`, where the study has run. Printed are, per size and M, the mean
loss of both on the study's main validation text, and the mean of their differences with its
standard error over seeds.
"""

import argparse
import copy
import shutil
import statistics
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import yaml
from overhead import copy_checkout

from scalebed.core.arithmetic import count_params
from scalebed.core.files import read_json
from scalebed.study.load import load_any

ROOT = Path(__file__).parents[1]
DATA = ("corpora", "tokenizers", "tokens", "datasets")


def compared(values: dict[str, Any], args: argparse.Namespace, sizes: list[str]) -> dict[str, Any]:
    """Return the study of the comparison: the same cells by two recipes."""
    study = copy.deepcopy(values)
    for key in ("tasks", "exclude", "add", "figures"):
        study.pop(key, None)
    branch = next(r for r in study["recipes"].values() if r.get("schedule") == "wsd")
    branch = copy.deepcopy(branch)
    cosine = {k: v for k, v in branch.items() if k not in ("schedule", "cooldown", "shape")}
    for part in (cosine, *cosine.get("sizes", {}).values()):
        if "lr" in part:
            part |= {"lr": 2 * part["lr"], "lr_end": 0.02 * part["lr"]}
    cells = {"sizes": sizes, "ratios": args.ratios, "seeds": list(range(args.seeds))}
    study |= {
        "name": "cooling",
        "recipes": {"branch": branch, "cosine": copy.deepcopy(cosine)},
        "grid": [cells | {"datasets": [args.dataset]}],
        "fit": {"loss": study["fit"]["loss"], "loss_cells": [{"recipes": ["branch"]}]},
    }
    study["fit"]["targets"] = [{"recipes": ["cosine"]}]
    return study


def train(study: dict[str, Any], folder: Path, args: argparse.Namespace) -> None:
    """Train and evaluate the cells in a copy of this checkout."""
    copy_checkout(folder)
    for part in DATA:
        shutil.copytree(args.results / part, folder / "results" / part)
    (folder / "study.yaml").write_text(yaml.safe_dump(study), encoding="utf-8")
    words = ("cells", "--cores", str(args.cores), "--configfile", "study.yaml", "--quiet", "all")
    subprocess.run(["snakemake", *words], cwd=folder, check=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--study", type=Path, default=ROOT / "config/config.yaml")
    parser.add_argument("--sizes", nargs="*", default=[])
    parser.add_argument("--ratios", nargs="+", type=int, default=[5, 20, 80])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--dataset")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--results", type=Path, default=ROOT / "results")
    args = parser.parse_args()
    loaded = load_any(args.study)
    params = {name: count_params(size).total for name, size in loaded.sizes.items()}
    sizes = args.sizes or sorted(params, key=params.__getitem__)[:2]
    args.dataset = args.dataset or next(iter(loaded.datasets))
    if not any(recipe.schedule == "wsd" for recipe in loaded.recipes.values()):
        parser.error(f"{args.study} has no recipe with schedule: wsd, expected one to compare")
    study = compared(yaml.safe_load(args.study.read_text(encoding="utf-8")), args, sizes)
    loss = study["fit"]["loss"]
    with tempfile.TemporaryDirectory(prefix="scalebed-cooling-") as name:
        train(study, Path(name), args)

        def measured(recipe: str, size: str, ratio: int, seed: int) -> float:
            cell = f"dataset={args.dataset}/size={size}/ratio={ratio}/recipe={recipe}/seed={seed}"
            record = read_json(Path(name) / "results/cells" / cell / "losses.json")
            return float(record["losses"][loss]["loss"])

        print(f"{args.dataset}, loss on {loss}, {args.seeds} seeds")
        print("        N     M   branch   cosine   difference ± standard error")
        for size in sizes:
            for ratio in args.ratios:
                pairs = [
                    [measured(recipe, size, ratio, seed) for recipe in ("branch", "cosine")]
                    for seed in range(args.seeds)
                ]
                gaps = [one - other for one, other in pairs]
                error = statistics.stdev(gaps) / len(gaps) ** 0.5
                one, other = (statistics.mean(column) for column in zip(*pairs, strict=True))
                print(
                    f"{params[size]:9,} {ratio:5}  {one:.4f}   {other:.4f}   "
                    f"{statistics.mean(gaps):+.4f} ± {error:.4f}"
                )


if __name__ == "__main__":
    main()
