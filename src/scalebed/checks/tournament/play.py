"""The tournament of a study: every entry on every split."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from scalebed.checks.tournament.entries import Entry
from scalebed.checks.tournament.pool import Field, Job, play_all
from scalebed.checks.tournament.redraw import redraws_of
from scalebed.checks.tournament.rows import Group, Row, group_rows
from scalebed.checks.tournament.scores import Score, joined
from scalebed.checks.tournament.splits import Split, cluster_numbers, make_splits
from scalebed.checks.tournament.trials import predict_losses
from scalebed.core.errors import ScalebedError
from scalebed.laws import get_law
from scalebed.laws.forms.base import Array, Index, Mask
from scalebed.predict.open_study import StudyFit
from scalebed.predict.runs import AVERAGE, Runs

Played = list[tuple[Entry, Score]]


@dataclass(frozen=True)
class Rules:
    """How a tournament is held.

    Attributes
    ----------
    losses : tuple of str
        Validation sets whose loss is predicted; the study's own if none is named.
    kinds : tuple of str
        Of "loss" and "error".
    laws : tuple of str
        Laws that take part beside the study's own; all that are registered if none is named.
    tasks : bool
        Whether single tasks are predicted beside the averages.
    draws, seed : int
        Of the cluster bootstrap.
    level : float
        Probability content of the intervals.
    workers : int
        Processes to share the fits out to; the result does not depend on it.
    """

    losses: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ("loss", "error")
    laws: tuple[str, ...] = ()
    tasks: bool = True
    draws: int = 4000
    workers: int = 1
    seed: int = 0
    level: float = 0.9


def run_tournament(study: StudyFit, rules: Rules | None = None) -> list[Row]:
    """Let all laws predict what they were not fitted to, over several extrapolations.

    Parameters
    ----------
    study : StudyFit
    rules : Rules, optional

    Returns
    -------
    list of dict
        Rows of table ``tournament``, see `scalebed.checks.tournament.table`; none if the study has
        no cells beyond those it fits to.

    Raises
    ------
    ScalebedError
        If a validation set was measured nowhere, or a law is unknown.
    """
    rules = rules or Rules()
    for name in rules.laws:
        get_law(name)
    splits, fitted = make_splits(study.runs), fitted_entry(study)
    if not splits:
        return []
    settings = study.settings.refitted
    redraws = tuple(redraws_of(study.runs, rules.seed, kind) for kind in ("loss", "error"))
    losses = [
        predict_losses(fitted, split, study.runs, settings.loss, redraws[0]) for split in splits
    ]
    laws = (settings.loss_law, settings.error_law)
    options = (settings.loss_options.to_json(), settings.error_options.to_json())
    believed = study.settings.interval == "posterior"
    prior = study.settings.loss_options.to_json() if believed else None
    field = Field(study.runs, splits, laws, options, losses, redraws, rules.laws, prior)
    contest = _Contest(study, field, rules)
    rows = contest.losses(rules.losses or (study.settings.loss,)) if "loss" in rules.kinds else []
    return rows + (contest.errors() if "error" in rules.kinds else [])


def fitted_entry(study: StudyFit) -> Entry:
    """Return the loss law that error laws predict from; for a posterior the fit beside."""
    settings = study.settings.refitted
    options = settings.loss_options
    return Entry(settings.loss_law, options.objective, options)


def members(study: StudyFit) -> dict[str, tuple[str, ...]]:
    """Tasks of every average of the study, in the order of its settings."""
    rows = study.tables["tasks"]
    every = tuple(sorted({row["task"] for row in rows}))
    found = {AVERAGE: tuple(sorted({row["task"] for row in rows if row["in_average"]}))}
    for name, tasks in study.settings.averages.items():
        found[name] = every if tasks is None else tuple(sorted(tasks))
    return {name: tasks for name, tasks in found.items() if tasks}


@dataclass(frozen=True)
class _Contest:
    study: StudyFit
    field: Field
    rules: Rules

    def losses(self, names: Sequence[str]) -> list[Row]:
        """Rows of validation losses."""
        runs = self.study.runs
        for name in names:
            if not any(np.isfinite(found.loss(name)).any() for found in runs):
                known = ", ".join(sorted({key for found in runs for key in found.losses}))
                raise ScalebedError(
                    f"validation set {name!r} was measured nowhere, there is {known or 'none'}"
                )
        entries, own = self.field.entries("loss")
        everywhere = dict.fromkeys(range(len(self.field.splits)), tuple(names))
        played = self._played("loss", entries, everywhere)
        rows: list[Row] = []
        for name in names:
            values = [found.loss(name) for found in runs]
            rows += self._rows("loss", name, "response", played[name], [values], own)
        return rows

    def errors(self) -> list[Row]:
        """Rows of the averages, of single tasks, and of the tasks of each average together."""
        runs, groups = self.study.runs, members(self.study)
        if not groups:
            return []
        entries, own = self.field.entries("error")
        tasks = sorted({task for found in groups.values() for task in found})
        chosen = self._task_splits() if self.rules.tasks else ()
        wanted = {
            i: (*groups, *(tasks if i in chosen else ())) for i in range(len(self.field.splits))
        }
        played = self._played("error", entries, wanted)
        rows: list[Row] = []
        for name in played:
            values = [found.errors[name] for found in runs]
            rows += self._rows("error", name, "response", played[name], [values], own)
        for name, found in groups.items() if chosen else ():
            parts = [[scores for _, scores in played[task]] for task in found]
            stacked = [
                (self.field.splits[i], _stacked([part[at] for part in parts]))
                for at, i in enumerate(chosen)
            ]
            every = [[data.errors[task] for data in runs] for task in found]
            rows += self._rows("error", name, "tasks", stacked, every, own)
        return rows

    def _task_splits(self) -> tuple[int, ...]:
        """Where single tasks play, as they are many: the last split by N, and the targets."""
        names = [split.family for split in self.field.splits]
        last = {family: i for i, family in enumerate(names)}
        return tuple(sorted({last[family] for family in ("N", "design") if family in last}))

    def _played(
        self, kind: str, entries: Sequence[Entry], wanted: Mapping[int, tuple[str, ...]]
    ) -> dict[str, list[tuple[Split, Played]]]:
        """Scores of every entry by response and split."""
        jobs = [Job(kind, i, j, wanted[i]) for i in wanted for j in range(len(entries))]
        found = iter(play_all(self.field, jobs, self.rules.workers))
        result: dict[str, list[tuple[Split, Played]]] = {}
        for i, names in wanted.items():
            scores = [next(found) for _ in entries]
            for at, name in enumerate(names):
                own = [(entry, score[at]) for entry, score in zip(entries, scores, strict=True)]
                result.setdefault(name, []).append((self.field.splits[i], own))
        return result

    def _rows(
        self,
        kind: str,
        response: str,
        scope: str,
        played: Sequence[tuple[Split, Played]],
        values: Sequence[Sequence[Array]],
        own: int,
    ) -> list[Row]:
        """Rows of every split, then of every family of more than one."""
        rules = self.rules
        made: list[tuple[Group, Played]] = []
        for split, scores in played:
            tests = split.test if kind == "loss" else split.error_test
            at = _clusters(self.study.runs, tests, values)
            where = (split.family, split.name, split.label)
            weights = np.full(at.size, 1 / max(at.size, 1))
            made.append((Group(kind, response, scope, *where, weights, at), scores))
        made = [(group, scores) for group, scores in made if group.clusters.size]
        rows = []
        for group, scores in (*made, *_families(made)):
            rows += group_rows(group, scores, own, rules.seed, rules.draws, rules.level)
        return rows


def _stacked(parts: Sequence[Played]) -> Played:
    return [
        (entries[0][0], joined(score for _, score in entries))
        for entries in zip(*parts, strict=True)
    ]


def _clusters(
    sets: Sequence[Runs], tests: Sequence[Mask], known: Sequence[Sequence[Array]]
) -> Index:
    """Return the number of the cluster of every prediction, in the order of a score's errors."""
    numbers = cluster_numbers(sets)
    found = [
        number[test & np.isfinite(value)]
        for values in known
        for number, test, value in zip(numbers, tests, values, strict=True)
    ]
    return np.concatenate(found) if found else np.empty(0, dtype=int)


def _families(made: Sequence[tuple[Group, Played]]) -> Iterator[tuple[Group, Played]]:
    """Mean over the splits of a family, each with the same weight, and over all but the design."""
    for family in ("N", "C", "M", "all"):
        parts = [
            (group, scores)
            for group, scores in made
            if group.family == family or (family == "all" and group.family != "design")
        ]
        if len(parts) < 2:
            continue
        first = parts[0][0]
        group = Group(
            first.kind,
            first.response,
            first.scope,
            family,
            f"mean, {family}",
            f"mean of {len(parts)} splits: {', '.join(part.split for part, _ in parts)}",
            np.concatenate([part.weights for part, _ in parts]) / len(parts),
            np.concatenate([part.clusters for part, _ in parts]),
        )
        yield group, _stacked([scores for _, scores in parts])
