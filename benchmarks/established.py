"""How often a difference between laws is called established without being there.

    python benchmarks/established.py --testbed ../shared/testbed
    python benchmarks/established.py --testbed ../shared/testbed --split "C<=1e19" --replicates 50

The runs of the published testbed are drawn again from a known law: losses of the tied law at the
testbed's own designs, the same law for its three data sets, times 1 + 1 % of normal noise. Some
laws play the tournament's splits on every such testbed. The true difference of two laws is the mean
of their difference over all re-draws. Nominal level is 10 %. Counts, in per cent of the re-draws,
the last three as the mean over pairs of laws and the largest:

- equal: two objectives of the tied law, which expect nearly the same error, are told apart,
- off: the interval that `established` uses does not hold the true difference,
- wrong: the difference is called established and its sign is wrong,
- found: it is called established with the right sign.

The columns without fits leave out the noise of the fitted runs. With --shared the noise of two data
sets at one design is correlated, as on the testbed itself (0.5 to 0.66). With --posterior the
posterior plays too, and a line is about its pairs alone.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

# numba asks for the package `coverage`, which is not the file beside this one.
sys.path.pop(0)

import numpy as np
import yaml

from scalebed.checks.tournament.differences import (
    Shared,
    cluster_draws,
    differences,
    shared_noise,
)
from scalebed.checks.tournament.entries import loss_entries
from scalebed.checks.tournament.redraw import redraws_of
from scalebed.checks.tournament.scores import judge
from scalebed.checks.tournament.splits import Split, cell_numbers, make_splits
from scalebed.checks.tournament.trials import Tried, try_losses
from scalebed.laws import get_law
from scalebed.laws.forms.base import Array, Index
from scalebed.plan import rule_params
from scalebed.predict.open_study import read_tables
from scalebed.predict.runs import Runs, collect_runs
from scalebed.study.imported import ImportedStudy
from scalebed.tables.imports.tabulate import tabulate_import

LEVEL = 0.9
TRUTH = np.array([1.84, 166.0, 287.0, 0.273])
STUDY = Path(__file__).parents[1] / "config/studies/testbed.yaml"
LOSS = "c4_val"
PLAYERS = (
    "tied, sse",
    "tied, log_sse",
    "tied, huber_log",
    "chinchilla, log_sse",
    "chinchilla, log_sse, prior",
    "kaplan, log_sse",
    "compute, log_sse",
    "kaplan_no_floor, log_sse",
)
BELIEVED = "chinchilla, posterior"

OBJECTIVES = 3
"""So many of them, the first, are the tied law."""
OWN = 0
"""The study's own law."""


class Played(NamedTuple):
    """One re-drawn testbed on one split, a row a law.

    Attributes
    ----------
    errors : array (laws, targets)
    sd, dof : array (laws, laws)
        Shared noise of every difference.
    """

    errors: Array
    sd: Array
    dof: Array


def designs(testbed: Path) -> list[Runs]:
    """Return the runs of the testbed; their losses are replaced."""
    study = ImportedStudy.model_validate(yaml.safe_load(STUDY.read_text(encoding="utf-8")))
    with tempfile.TemporaryDirectory() as folder:
        tabulate_import(rule_params.imported(study), testbed, Path(folder))
        return collect_runs(read_tables(Path(folder)))


def redrawn(sets: list[Runs], seed: int, noise: float, shared: float) -> list[Runs]:
    """Draw the losses of all runs."""
    rng = np.random.default_rng([20261127, seed])
    numbers = cell_numbers(sets)
    common = rng.standard_normal(1 + max(int(number.max()) for number in numbers))
    result = []
    for runs, number in zip(sets, numbers, strict=True):
        own = rng.standard_normal(number.size)
        normal = np.sqrt(shared) * common[number] + np.sqrt(1 - shared) * own
        mean = get_law("tied").predict(TRUTH, (runs.params, runs.tokens))
        result.append(replace(runs, losses={LOSS: mean * (1 + noise * normal)}))
    return result


def clusters_of(sets: list[Runs], split: Split) -> Index:
    """Return the number of the (N, M) of every prediction."""
    found = [number[test] for number, test in zip(cell_numbers(sets), split.test, strict=True)]
    _, clusters = np.unique(np.concatenate(found), return_inverse=True)
    return clusters


def play(
    seed: int,
    sets: list[Runs],
    splits: list[Split],
    players: Sequence[str],
    spread: float,
    shared: float,
) -> list[Played]:
    """Let the laws play the splits on one re-drawn testbed."""
    found = {f"{entry.law}, {entry.objective}": entry for entry in loss_entries()}
    runs, result = redrawn(sets, seed, spread, shared), []
    drawn = redraws_of(runs, seed, "loss")
    for split in splits:
        trials = [try_losses(found[name], split, runs, LOSS) for name in players]
        noise = drawn.noise([one.fitted for one in trials[OWN] if isinstance(one, Tried)])
        scores = [judge(one, drawn, noise) for one in trials]
        errors = np.stack([score.errors for score in scores])
        again = np.stack([score.redrawn for score in scores])
        dof = np.array([score.dof for score in scores])
        weights = np.full(errors.shape[1], 1 / errors.shape[1])
        at = clusters_of(sets, split)
        pairs = [shared_noise(errors, again, j, weights, at, dof) for j in range(len(scores))]
        sd, least = (np.stack(column, axis=1) for column in zip(*pairs, strict=True))
        result.append(Played(errors, sd, least))
    return result


def counts(played: list[Played], clusters: Index, draws: int, fits: bool) -> dict[str, Array]:
    """Off, wrong and found of every pair, (laws, laws) in per cent of the re-draws."""
    errors = np.stack([one.errors for one in played])
    means = errors.mean(2)
    truth = (means[:, :, None] - means[:, None, :]).mean(0)
    laws = errors.shape[1]
    off, wrong, right = (np.zeros((laws, laws)) for _ in range(3))
    weights = np.full(clusters.size, 1 / clusters.size)
    for seed, one in enumerate(played):
        drawn = cluster_draws(int(clusters.max()) + 1, draws, np.random.default_rng(seed))
        for j in range(laws):
            noise = Shared(one.sd[:, j], one.dof[:, j]) if fits else None
            rest = (weights, clusters, drawn, LEVEL, noise)
            claim = differences(one.errors, one.errors[j], *rest)
            moved = differences(one.errors - truth[:, j, None], one.errors[j], *rest)
            same = np.sign(claim.mean) == np.sign(truth[:, j])
            off[:, j] += moved.established
            wrong[:, j] += claim.established & ~same
            right[:, j] += claim.established & same
    share = 100 / len(played)
    return {"off": share * off, "wrong": share * wrong, "found": share * right}


def show(found: dict[str, Array], last: bool = False) -> str:
    """Equal laws told apart; mean over pairs and the largest, of each count."""
    laws = len(found["off"])
    pairs = np.triu_indices(laws, 1)
    if last:
        pairs = (pairs[0][pairs[1] == laws - 1], pairs[1][pairs[1] == laws - 1])
    equal = (found["wrong"] + found["found"])[np.triu_indices(OBJECTIVES, 1)]
    return "  ".join(
        [
            f"equal {equal.min():.1f} to {equal.max():.1f}",
            *(
                f"{name} {values[pairs].mean():.1f} (most {values[pairs].max():.1f})"
                for name, values in found.items()
            ),
        ]
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--testbed", type=Path, required=True, help="folder of the testbed")
    parser.add_argument("--split", action="append", help="name of a split (those by N)")
    parser.add_argument("--replicates", type=int, default=200)
    parser.add_argument("--first", type=int, default=0, help="seed of the first re-draw")
    parser.add_argument("--draws", type=int, default=1000, help="of the cluster bootstrap")
    parser.add_argument("--noise", type=float, default=0.01, help="of every run")
    parser.add_argument("--shared", type=float, default=0.0, help="correlation of data sets")
    parser.add_argument("--posterior", action="store_true", help="let the posterior play too")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--pairs", action="store_true", help="print every pair")
    args = parser.parse_args()
    sets = designs(args.testbed)
    every = make_splits(sets)
    wanted = args.split or [split.name for split in every if split.family == "N"]
    splits = [split for split in every if split.name in wanted]
    start = time.perf_counter()
    seeds = range(args.first, args.first + args.replicates)
    players = (*PLAYERS, BELIEVED) if args.posterior else PLAYERS
    given = {"sets": sets, "splits": splits, "players": players}
    one = partial(play, **given, spread=args.noise, shared=args.shared)
    with ProcessPoolExecutor(args.workers) as pool:
        played = list(pool.map(one, seeds))
    print(f"{args.replicates} re-draws in {time.perf_counter() - start:.0f} s")
    for i, split in enumerate(splits):
        clusters = clusters_of(sets, split)
        for fits in (False, True):
            found = counts([one[i] for one in played], clusters, args.draws, fits)
            print(f"{split.name:9} {'with' if fits else 'without'} fits  {show(found)}", flush=True)
            if args.posterior:
                print(f"{split.name:9} the posterior's pairs  {show(found, last=True)}", flush=True)
            if args.pairs:
                for a, b in zip(*np.triu_indices(len(players), 1), strict=True):
                    numbers = " ".join(f"{values[a, b]:5.1f}" for values in found.values())
                    print(f"    {numbers}  {players[a]} | {players[b]}")


if __name__ == "__main__":
    main()
