"""Whether `scalebed watch` is right: on every cell of a study, on runs with a fault, on schedules.

    python benchmarks/watched.py results/studies/default
    python benchmarks/watched.py results/studies/default --faults
    python benchmarks/watched.py --schedules ../shared/zoo/multipower

Rules, written down before the first measurement; what was changed after it, on the same cells, is
in docs/watch.md. A cell is cut off at 25, 50, 75 and 95 % of its tokens and compared with a ladder
without it: `others` are all other cells of its data set, `smaller` those of smaller sizes, where
they are enough. Before, its end is sealed by the law of `scalebed fit` on the losses of the ladder;
where `scalebed seal` refuses, it is watched without a seal. Counted are, at nominal 90 %: how often
the forecast of the loss at the end holds what was measured (with the seal, and by the live curve
alone), the mean width of both, and how often a healthy cell is called behind or ahead, or warned
of. Asked are 80 to 97 %.

With --faults cells are trained again in a temporary folder, from the texts of the study: with a
third of the learning rate, and on a thirty-second of the text; and once as they were. They are
watched with a column held_out (text of the training distribution) against all other cells of their
data set. Asked is that both are called behind at 50 % at the latest, and the third never.
(At M = 40, tried first, the third of the rate was no fault: its loss goes as low.)

With --schedules the Multi-Power Law meets the public curves: the published constants and a fit of
our own, and how far forecasts of the end are off on the curves that nothing was fitted to.
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

# numba asks for the package `coverage`, which is not the file beside this one.
sys.path.pop(0)

import numpy as np

from scalebed.core.errors import ScalebedError
from scalebed.core.files import read_json
from scalebed.decide.sources import table_curves
from scalebed.predict.ask import table_settings
from scalebed.predict.table_runs import Target
from scalebed.tables.runs_file import read_runs
from scalebed.watch.follow import Watched, watch_ladder
from scalebed.watch.forecast import ON, Prior, prior_of
from scalebed.watch.ladder import FEWEST, WINDOW, Rung, read_ladder
from scalebed.watch.live import LiveCurve
from scalebed.watch.multi_power import Constants, Reference, fit, loss_at, scores
from scalebed.watch.schedules import ratio_of, read_reference
from scalebed.watch.sealing import make_seal

LEVEL = 0.9
AT = (0.25, 0.5, 0.75, 0.95)
PASSES = 32


def sealed(rungs: Sequence[Rung], params: float, tokens: float) -> Prior | None:
    """Seal the end of a run by the law of the ladder's losses; None where it is refused."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "runs.csv"
        with path.open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["params", "tokens", "loss"])
            rows.writerows([rung.params, rung.tokens, repr(rung.final)] for rung in rungs)
        try:
            table = read_runs(path)
            (curve,) = table_curves(table, table_settings(table, level=LEVEL))
            return prior_of(make_seal(curve, Target(params, tokens)))
        except ScalebedError:
            return None


def cut(rung: Rung, fraction: float) -> LiveCurve:
    """Return the curve of a cell as it was on the way."""
    nothing, seen = np.zeros(0), rung.fraction <= fraction + 1e-9
    steps = np.arange(rung.loss.size, dtype=float)
    tokens = rung.fraction * rung.tokens
    columns = (column[seen] for column in (steps, tokens, rung.loss, rung.lr))
    return LiveCurve(rung.name, *columns, nothing, nothing)


class Row(NamedTuple):
    """One cell at one fraction."""

    ladder: str
    at: float
    name: str
    watched: Watched
    final: float
    law: bool


def ladders(rungs: Sequence[Rung], one: Rung) -> dict[str, list[Rung]]:
    """Return the two ladders of a cell."""
    return {
        "others": [rung for rung in rungs if rung is not one],
        "smaller": [rung for rung in rungs if rung.params < 0.999 * one.params],
    }


def watch_all(study: Path) -> Iterator[Row]:
    """Watch every cell of a study."""
    for dataset in datasets(study):
        rungs = read_ladder(study, dataset, None)
        for one in rungs:
            target = one.params, one.tokens
            for name, ladder in ladders(rungs, one).items():
                if len(ladder) < FEWEST:
                    continue
                prior = sealed(ladder, *target)
                for at in AT:
                    said: dict[str, Any] = {"prior": prior, "level": LEVEL}
                    try:
                        watched = watch_ladder(cut(one, at), ladder, target, **said)
                    except ScalebedError as error:
                        print(f"  not watched: {one.name} {name} {at}: {error}")
                        continue
                    if watched.untold is not None:
                        print(f"  not compared: {one.name} {name} {at}: {watched.untold}")
                    yield Row(name, at, one.name, watched, one.final, prior is not None)


def datasets(study: Path) -> list[str]:
    """Return the data sets of a study."""
    from scalebed.tables.reader import StudyDatabase
    from scalebed.watch.ladder import database_of

    with StudyDatabase(database_of(study)) as found:
        return [
            row["dataset"] for row in found.rows("SELECT DISTINCT dataset FROM cells ORDER BY 1")
        ]


def show_cells(study: Path) -> None:
    """Print the table of all cells."""
    rows = list(watch_all(study))
    print("ladder   at    cells  by a law  inside  alone  width  alone  off its curve  warned")
    for ladder in ("others", "smaller"):
        for at in AT:
            chosen = [row for row in rows if (row.ladder, row.at) == (ladder, at)]
            print(f"{ladder:8} {at:.0%} {table_line(chosen)}", flush=True)
        print(f"{ladder:8} all {table_line([row for row in rows if row.ladder == ladder])}")
    for row in rows:
        found = row.watched.forecast
        wrong = found is not None and found.verdict != ON
        if wrong or row.watched.warnings:
            said = f"{found.verdict} {np.expm1(found.off):+.2%}" if found else row.watched.untold
            print(
                f"  {row.ladder} {row.at:.0%} {row.name}: {said} {' '.join(row.watched.warnings)}"
            )


def table_line(rows: Sequence[Row]) -> str:
    """Return what the forecasts of some rows are worth."""
    found = [(row.watched.forecast, row) for row in rows]
    known = [(one, row) for one, row in found if one is not None]
    if not known:
        return "     0"
    inside = [one.end[1] <= row.final <= one.end[2] for one, row in known]
    alone = [one.alone[1] <= row.final <= one.alone[2] for one, row in known]
    width = [(one.end[2] - one.end[1]) / one.end[0] for one, _ in known]
    apart = [(one.alone[2] - one.alone[1]) / one.alone[0] for one, _ in known]
    return (
        f"{len(known):6} {sum(row.law for _, row in known):9} {np.mean(inside):7.1%} "
        f"{np.mean(alone):6.1%} {np.mean(width):6.2%} {np.mean(apart):6.2%} "
        f"{np.mean([one.verdict != ON for one, _ in known]):14.1%} "
        f"{np.mean([bool(row.watched.warnings) for row in rows]):7.1%}"
    )


class Fault(NamedTuple):
    """A cell that is trained again, and what is changed."""

    name: str
    cell: str
    rate: float
    passes: int


def faults(study: Path) -> Iterator[Fault]:
    """Yield the cells that are trained again: the smallest, and the smallest of the laws."""
    dataset = datasets(study)[-1]
    rungs = read_ladder(study, dataset, None)
    small = min(rungs, key=lambda rung: rung.params * rung.tokens)
    larger = [rung for rung in rungs if rung.params > 2 * small.params]
    least = min(rung.params for rung in larger)
    next_one = min((rung for rung in larger if rung.params == least), key=lambda rung: rung.tokens)
    for rung in (small, next_one):
        yield Fault("as it was", rung.name, 1.0, 1)
        yield Fault("a third of the learning rate", rung.name, 1 / 3, 1)
        yield Fault(f"{PASSES} passes over the text", rung.name, 1.0, PASSES)


def parameters(study: Path, cell: str) -> dict[str, Any]:
    """Return what a cell of the study was trained with."""
    return dict(read_json(study.parents[1] / "cells" / cell / "metrics.json"))


def train(study: Path, fault: Fault, folder: Path) -> LiveCurve:
    """Train a cell of a study again, changed, and measure held-out loss on the way."""
    import torch

    from scalebed.data.dataset import build_dataset
    from scalebed.data.sequences import SequenceSource, validation_sequences
    from scalebed.evaluate.losses import sequence_losses
    from scalebed.model import Decoder, ModelConfig, initialise
    from scalebed.train.loop import Training
    from scalebed.train.params import Recipe
    from scalebed.train.rates import learning_rate

    torch.set_num_threads(1)
    params = parameters(study, fault.cell)["params"]
    old = study.parents[1] / "datasets" / params["cell"]["dataset"] / "manifest.json"
    texts = [old.parent / source["manifest"] for source in read_json(old)["sources"]]
    cap = {"tokens": params["tokens"] // PASSES} if fault.passes > 1 else {}
    manifest = folder / "dataset" / "manifest.json"
    build_dataset(read_json(old)["params"] | cap, texts, manifest)
    given = params["recipe"]
    recipe = Recipe.from_record(
        given | {"lr": given["lr"] * fault.rate, "lr_end": given["lr_end"] * fault.rate}
    )
    config = ModelConfig(**params["model"])
    model = Decoder(config)
    initialise(model, params["cell"]["seed"])
    source = SequenceSource(manifest, config.context, params["cell"]["seed"])
    training = Training(model, recipe, params["steps"], source)
    new = [validation_sequences(text, "val", config.context, 10_000).sequences for text in texts]
    wanted = {int(at * training.steps + 1e-6) for at in np.arange(0.1, 1.01, 0.05)}
    held: dict[int, float] = {}
    while training.done < training.steps:
        training.step()
        if training.done in wanted:
            found = [sequence_losses(model, sequences).mean() for sequences in new]
            held[training.done] = float(np.mean(found))
    step = np.arange(1.0, training.steps + 1)
    batch = recipe.batch_sequences * config.context
    rates = [learning_rate(recipe, training.steps, i) for i in range(training.steps)]
    loss = training.curve[:, 0].double().numpy()
    at = np.array(list(held), float) * batch
    return LiveCurve(
        fault.name, step, step * batch, loss, np.array(rates), at, np.array([*held.values()])
    )


def before(curve: LiveCurve, tokens: float) -> LiveCurve:
    """Return a curve up to some tokens."""
    seen, held = curve.tokens <= tokens, curve.held_at <= tokens
    columns = (column[seen] for column in (curve.step, curve.tokens, curve.loss, curve.lr))
    return LiveCurve(curve.name, *columns, curve.held_at[held], curve.held_out[held])


def show_faults(study: Path) -> None:
    """Train and watch the cells with a fault."""
    dataset = datasets(study)[-1]
    rungs = read_ladder(study, dataset, None)
    for fault in faults(study):
        (one,) = (rung for rung in rungs if rung.name == fault.cell)
        ladder = ladders(rungs, one)["others"]
        target = one.params, one.tokens
        prior = sealed(ladder, *target)
        start = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            curve = train(study, fault, Path(folder))
        took = time.perf_counter() - start
        print(f"{fault.name}: {fault.cell}, {curve.loss.size} steps, {took:.0f} s", flush=True)
        print(f"  held-out loss at the end {curve.held_out[-1]:.4f}")
        for told, unique in (("", None), (", told its tokens", target[1] / fault.passes)):
            if unique is not None and fault.passes == 1:
                continue
            for at in AT:
                live = before(curve, (at + 1e-9) * target[1])
                said: dict[str, Any] = {"prior": prior, "level": LEVEL, "unique": unique}
                watched = watch_ladder(live, ladder, target, **said)
                print(f"  {at:.0%}{told}: {'; '.join(watched.lines())}", flush=True)


TRAINED = ("cosine_24000", "constant_24000", "wsdcon_9")
OTHERS = (
    *("constant_72000", "cosine_72000", "wsd_20000_24000", "wsdld_20000_24000"),
    *("wsdcon_3", "wsdcon_18"),
)
WARMUP = 2160
PUBLISHED = {
    "25m": Constants(
        3.04045406, 0.52468604, 0.50786857, 363.78751622, 2.06560812, 0.58279013, 0.64142257
    ),
    "100m": Constants(
        2.6514477, 0.60115152, 0.45295811, 437.9464276, 2.13245612, 0.59785199, 0.65523644
    ),
}


def public(folder: Path, name: str) -> Reference:
    """Return a public curve, its rates from its own rows."""
    return read_reference(folder / f"{name}.csv", WARMUP)


def show_schedules(folder: Path) -> None:
    """Hold the law against the public curves."""
    for size, published in PUBLISHED.items():
        trained = [public(folder / size, name) for name in TRAINED]
        others = [public(folder / size, name) for name in OTHERS]
        start = time.perf_counter()
        own = fit(trained)
        took = time.perf_counter() - start
        for words, law in (("published", published), ("own fit", own)):
            found = [scores(one.loss, loss_at(law, one.schedule, one.steps)) for one in others]
            means = {key: float(np.mean([row[key] for row in found])) for key in found[0]}
            print(f"{size} {words}: " + " ".join(f"{k} {v:.5f}" for k, v in means.items()))
            show_ends(law, trained, others)
        print(f"  fitted in {took:.0f} s: {own}")


def show_ends(law: Constants, trained: Sequence[Reference], others: Sequence[Reference]) -> None:
    """Print how far forecasts of the end are off on the other curves."""
    for at in AT:
        errors, inside = [], []
        for one in others:
            last = int(one.steps[-1])
            ratio = ratio_of(law, one.schedule, trained, "", LEVEL)(at)
            rows = (one.steps > (at - WINDOW) * last) & (one.steps <= at * last)
            end = one.loss[one.steps > 0.99 * last].mean()
            off = np.log(one.loss[rows].mean()) - ratio.value - np.log(end)
            errors.append(off)
            inside.append(abs(off) < 1.6449 * ratio.sd)
        root = float(np.sqrt(np.mean(np.square(errors))))
        print(f"  {at:.0%}: forecast off by {root:.2%}, {sum(inside)} of {len(inside)} inside")


def main() -> None:
    """Print what was asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("study", nargs="?", type=Path, help="folder of a finished study")
    parser.add_argument("--faults", action="store_true", help="train cells with a fault")
    parser.add_argument("--schedules", type=Path, help="folder of the public curves")
    args = parser.parse_args()
    start = time.perf_counter()
    if args.study and not args.faults:
        show_cells(args.study)
    if args.study and args.faults:
        show_faults(args.study)
    if args.schedules:
        show_schedules(args.schedules)
    print(f"{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
