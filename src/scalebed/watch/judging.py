"""Judge a sealed prediction by what the run gave, and the record of all of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from scipy.special import betaincinv

from scalebed.core.errors import ScalebedError
from scalebed.core.files import read_json
from scalebed.watch.seal_shape import OF_JUDGEMENT, require_shape
from scalebed.watch.seals import (
    JUDGED,
    EditedSealError,
    Record,
    despite,
    interval_text,
    is_seal,
    judged_path,
    read_seal,
    target_text,
    transform,
)

SCHEMA: Final = "scalebed.judgement"
_TEST: Final = 0.95
"""Content of the interval of the coverage."""
_NORMAL: Final = 1.96


class Entry(NamedTuple):
    """A seal and its judgement, None while the run is not over."""

    path: Path
    seal: Record
    judgement: Record | None


class Track(NamedTuple):
    """What all judged seals say together.

    Attributes
    ----------
    judged, inside : int
    level : float
        Mean nominal level.
    lower, upper : float
        Interval of the coverage (Clopper and Pearson, 95 %).
    mean_transform : float
        Mean of the probability integral transforms; 0.5 is expected.
    """

    judged: int
    inside: int
    level: float
    lower: float
    upper: float
    mean_transform: float

    @property
    def words(self) -> str:
        """One sentence: whether the record agrees with the nominal level."""
        covered = (
            f"{self.inside} of {self.judged} inside, {self.inside / self.judged:.0%} "
            f"[{self.lower:.0%}, {self.upper:.0%}], nominal {self.level:.3g}"
        )
        if self.level < self.lower:
            said = "not compatible with the nominal level: the intervals are too wide"
        elif self.level > self.upper:
            said = "not compatible with the nominal level: the intervals are too narrow"
        else:
            said = "compatible with the nominal level"
        text = f"{covered}: {said}; mean transform {self.mean_transform:.2f}"
        # Transforms of honest predictions are uniform, their mean has a variance of 1 / 12 n.
        off = (self.mean_transform - 0.5) * math.sqrt(12 * self.judged)
        if abs(off) > _NORMAL:
            text += f", so outcomes tend to lie {'above' if off > 0 else 'below'} the predictions"
        return text


def judge(record: Mapping[str, Any], measured: float, date: str) -> Record:
    """Return the judgement of a sealed prediction.

    Parameters
    ----------
    record : mapping
        The seal.
    measured : float
        What the run gave.
    date : str
    """
    said = record["prediction"]
    middle = (said["lower"] + said["upper"]) / 2
    half = (said["upper"] - said["lower"]) / 2
    inside = said["lower"] <= measured <= said["upper"]
    return {
        "schema": SCHEMA,
        "version": 1,
        "seal": record["digest"],
        "date": date,
        "measured": measured,
        "inside": inside,
        "deviation": measured / said["predicted"] - 1,
        "half_widths": (measured - middle) / half if half else None,
        "transform": transform(record, measured),
    }


def judgement_text(record: Mapping[str, Any], judgement: Mapping[str, Any]) -> Iterator[str]:
    """Yield the judgement as one sentence, and what else is to be said."""
    where = "inside" if judgement["inside"] else "outside"
    halves = judgement["half_widths"]
    off = "" if halves is None else f", {abs(halves):.2f} half-widths off its middle"
    yield (
        f"{target_text(record)}: measured {judgement['measured']:.4f} is {where} "
        f"{interval_text(record)}{off}, {judgement['deviation']:+.2%} from the prediction; "
        f"probability integral transform {judgement['transform']:.3f}"
    )
    yield from despite(record)


def read_entries(paths: Sequence[Path], may_be_none: bool = False) -> tuple[list[Entry], list[str]]:
    """Read seals and their judgements, and name the edited ones.

    Parameters
    ----------
    paths : sequence of Path
        Seals, or folders with seals anywhere below.
    may_be_none : bool
        Whether it is no error if there is none.

    Returns
    -------
    list of Entry, by date
    list of str
        A sentence for each seal that is refused.

    Raises
    ------
    ScalebedError
        If there is no seal and there has to be one.
    """
    entries, refused = [], []
    for path in _seals(paths):
        try:
            seal = read_seal(path)
        except EditedSealError as error:
            refused.append(str(error))
            continue
        entries.append(Entry(path, seal, _judgement(path, seal)))
    if not entries and not refused and not may_be_none:
        raise ScalebedError(f"there is no seal in {', '.join(map(str, paths))}")
    return sorted(entries, key=lambda one: (one.seal["date"], str(one.path))), refused


def _seals(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            for file in sorted(path.rglob("*.json")):
                if not file.name.endswith(JUDGED) and is_seal(_content(file)):
                    yield file
        else:
            yield path


def _content(file: Path) -> Any:
    """Return the content of any file in a folder; None for what is no JSON."""
    try:
        return read_json(file)
    except ScalebedError:
        return None


def _judgement(path: Path, seal: Record) -> Record | None:
    """Return the judgement beside a seal, computed anew from what was measured."""
    file = judged_path(path)
    if not file.exists():
        return None
    found = read_json(file)
    if not isinstance(found, dict) or found.get("schema") != SCHEMA:
        raise ScalebedError(f"{file} is no judgement, expected a file that `scalebed judge` wrote")
    if found.get("seal") != seal["digest"]:
        raise ScalebedError(f"{file} judges another seal than {path}, judge it again")
    require_shape(found, str(file), OF_JUDGEMENT)
    return judge(seal, float(found["measured"]), str(found["date"]))


def track_of(entries: Sequence[Entry]) -> Track | None:
    """Return what the judged seals say together; None if there is none."""
    judged = [(one.seal, one.judgement) for one in entries if one.judgement is not None]
    if not judged:
        return None
    count = len(judged)
    inside = sum(bool(found["inside"]) for _, found in judged)
    tail = (1 - _TEST) / 2
    lower = float(betaincinv(inside, count - inside + 1, tail)) if inside else 0.0
    upper = float(betaincinv(inside + 1, count - inside, 1 - tail)) if inside < count else 1.0
    return Track(
        judged=count,
        inside=inside,
        level=sum(float(seal["prediction"]["level"]) for seal, _ in judged) / count,
        lower=lower,
        upper=upper,
        mean_transform=sum(float(found["transform"]) for _, found in judged) / count,
    )


def ledger_lines(entries: Sequence[Entry]) -> Iterator[str]:
    """Yield the table of all seals and the sentence on them."""
    head = f"{'sealed':10}  {'target':24}  {'prediction':25}  {'outcome':>8}  inside  transform"
    yield f"{head}  seal"
    for path, seal, judgement in entries:
        outcome = "-" if judgement is None else f"{judgement['measured']:.4f}"
        inside = "-" if judgement is None else ("yes" if judgement["inside"] else "no")
        share = "-" if judgement is None else f"{judgement['transform']:.3f}"
        noted = "  (despite the evidence)" if seal["despite_evidence"] else ""
        yield (
            f"{seal['date'][:10]:10}  {target_text(seal):24}  {interval_text(seal):25}  "
            f"{outcome:>8}  {inside:>6}  {share:>9}  {path}{noted}"
        )
    track = track_of(entries)
    yield ""
    yield "no run has been judged yet" if track is None else track.words


def ledger_record(entries: Sequence[Entry], refused: Sequence[str]) -> Record:
    """Return the same as built-in values."""
    track = track_of(entries)
    return {
        "schema": "scalebed.ledger",
        "version": 1,
        "seals": [
            {"path": str(path), "seal": seal, "judgement": judgement}
            for path, seal, judgement in entries
        ],
        "track": None if track is None else track._asdict() | {"words": track.words},
        "refused": list(refused),
    }
