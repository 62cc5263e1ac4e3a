"""The pieces of trunks in a plan: what each costs, and whether its state is there."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from scalebed.core import arithmetic
from scalebed.core.errors import ScalebedError
from scalebed.core.files import read_json
from scalebed.core.permission import settled
from scalebed.core.provenance import state_digest
from scalebed.core.trunk_files import Kept, size_of, state_folders, states_of
from scalebed.core.trunks import RECORD, Leg, Trunk, legs, state_path, trunk_of, with_steps
from scalebed.core.trunks import leaves_at as leaving
from scalebed.plan.estimates import Calibration
from scalebed.plan.site import spread_out, step_time
from scalebed.plan.states import State, Upstream, differences
from scalebed.study.hardware import Hardware
from scalebed.train.memory import Layout

TRUNKS = "results/trunks"


class Piece(NamedTuple):
    """A piece of a trunk, from one state that is kept to the next."""

    leg: Leg
    begin: int
    """Step of the state it will go on from: the latest there is, else that of the piece before."""
    branches: int
    """Cells of the study that leave at its end."""
    needed: bool
    """Whether a cell to train waits for it, or the state before it is made again."""
    params: int
    """N."""
    cost: float
    """C = 6ND of its own tokens."""
    seconds: float | None
    """Seconds of training it on its devices: estimated, or taken if it is over."""
    measured: bool
    """False when `seconds` is extrapolated from the FLOPs of a smaller model."""
    size: int
    """Bytes of its state on disk, estimated while it is not there."""
    state: State
    layout: Layout | None = None
    """How it is spread over the GPUs of the site."""
    asked: bool = False
    """Whether its job runs because a state before it is made, be it to put its own back."""

    @property
    def whole(self) -> float:
        """C of all steps of the piece, those before an earlier state that is there included."""
        steps, own = self.leg.end - self.leg.begin, self.leg.end - self.begin
        return self.cost * steps / own

    @property
    def before(self) -> str | None:
        """Record of the state of the piece before; None for the first."""
        return state_path(self.leg.trunk, self.leg.begin) if self.leg.begin else None

    @property
    def to_train(self) -> bool:
        """Whether a run would train it."""
        return self.needed and self.state.to_train

    @property
    def device_seconds(self) -> float | None:
        """Seconds summed over the devices it takes."""
        ranks = self.layout.ranks if self.layout else 1
        return None if self.seconds is None else ranks * self.seconds

    def record(self) -> dict[str, Any]:
        """Return it as built-in values, for ``--json``."""
        return {
            "trunk": self.leg.trunk.path,
            "from_step": self.begin,
            "to_step": self.leg.end,
            "branches": self.branches,
            "needed": self.needed,
            "flops": self.cost,
            "seconds": self.seconds,
            "seconds_measured": self.measured,
            **(self.layout._asdict() if self.layout else dict.fromkeys(Layout._fields)),
            "bytes": self.size,
            "state": self.state.name,
            "reason": self.state.reason,
        }


class Disk(NamedTuple):
    """Bytes of the states of trunks."""

    needed: int
    """Of all states that the study's cells leave at."""
    there: int
    """Of those among them that are on disk."""
    others: int
    """Of states on disk that no cell of the study leaves at."""
    kept: int
    """Of the states that stay when the study is done."""


def pieces_of(
    cells: Mapping[str, tuple[dict[str, Any], bool]],
    data: Mapping[str, Upstream],
    root: Path,
    calibration: Calibration,
    hardware: Hardware,
) -> list[Piece]:
    """Return the pieces of all trunks of a study, in the order they are trained in.

    Parameters
    ----------
    cells
        Parameters of each cell, and whether a run would train it.
    data
        What is known of each data set.
    root
        Folder that holds ``results`` and ``state``.
    calibration
        Times of training steps.
    hardware
        The site.
    """
    specs = [spec for spec, _ in cells.values()]
    leave = Counter(path for spec in specs if (path := state_of(spec)))
    waiting = {path for spec, to_train in cells.values() if to_train and (path := state_of(spec))}
    found: list[Piece] = []
    # From the end of each trunk, since what is missing needs what comes before it.
    for leg in reversed(legs(specs)):
        state = judge_state(leg, data[leg.trunk.dataset], root)
        needed = leg.path in waiting
        if needed and state.to_train and leg.begin:
            waiting.add(state_path(leg.trunk, leg.begin))
        begin = _latest(leg, data[leg.trunk.dataset], root) if state.to_train else leg.begin
        piece = _piece(leg, begin, state, root, calibration, hardware)
        found.append(piece._replace(branches=leave[leg.path], needed=needed))
    return _made_again(found[::-1])


def _made_again(pieces: list[Piece]) -> list[Piece]:
    """Count what is made because a state before it is, whether or not a cell waits for it.

    To Snakemake a state that is made is a new one, and what waits for it out of date: it is made
    again where it is missing, and put back where it is not.
    """
    found: list[Piece] = []
    for piece in pieces:
        before = found[-1] if found and found[-1].leg.path == piece.before else None
        asked = before is not None and (before.asked or before.to_train)
        found.append(piece._replace(needed=piece.needed or asked, asked=asked))
    return found


def state_of(spec: Mapping[str, Any]) -> str | None:
    """Return the record of the state a cell leaves its trunk at; None for one without a trunk."""
    trunk, step = trunk_of(spec), leaving(spec)
    return None if trunk is None or step is None else state_path(trunk, step)


def _piece(
    leg: Leg, begin: int, state: State, root: Path, calibration: Calibration, hardware: Hardware
) -> Piece:
    own = with_steps(leg.spec, leg.end - begin)
    params = arithmetic.count_params(arithmetic.shape_of(leg.spec["model"])).total
    seconds, measured, spread = state.seconds, True, None
    folder = (root / TRUNKS / leg.path).parent
    if state.to_train:
        spread, _ = spread_out(leg.own, hardware)
        estimate = step_time(leg.spec, spread, hardware, calibration)
        seconds = None if estimate is None else estimate.seconds * own["steps"]
        measured = estimate is not None and estimate.measured
    return Piece(
        leg=leg,
        begin=begin,
        branches=0,
        needed=False,
        params=params,
        cost=arithmetic.flops(params, own["tokens"]),
        seconds=seconds,
        measured=measured,
        size=state_bytes(params, leg.end) if state.name == "missing" else size_of(folder),
        state=state,
        layout=spread,
    )


def state_bytes(params: int, steps: int) -> int:
    """Return the bytes of a state: weights and both moments, and three values a step, in fp32."""
    return 12 * (params + steps)


def judge_state(leg: Leg, data: Upstream, root: Path) -> State:
    """Return where the state at the end of a piece stands; see `scalebed.plan.states.judge`."""
    kin = state_digest(leg.spec["trunk"], data.sha256 or "")
    record = _record(leg.trunk, leg.end, root)
    if record is None:
        begun = root / "state" / "trunks" / leg.trunk.path / kin
        return State("missing", "a part is trained and will be resumed" if begun.is_dir() else "")
    reasons = differences(record["params"], settled(leg.spec, record))
    if data.changes:
        reasons.append(f"data: {'; '.join(data.changes)}")
    elif data.sha256 is not None and record["lineage"] != kin:
        reasons.append("data changed")
    if reasons:
        return State("stale", "; ".join(reasons))
    reason = "" if record["status"] == "done" else str(record.get("reason") or "")
    return State(record["status"], reason, record.get("seconds"))


def _record(trunk: Trunk, step: int, root: Path) -> dict[str, Any] | None:
    """Return the record of a state; None where there is none that can be read."""
    file = root / TRUNKS / state_path(trunk, step)
    if not file.is_file():
        return None
    try:
        record = read_json(file)
        return record if {"params", "lineage", "status"} <= set(record) else None
    except (ScalebedError, TypeError):
        return None


def _latest(leg: Leg, data: Upstream, root: Path) -> int:
    """Return the step a piece will go on from."""
    kin = state_digest(leg.spec["trunk"], data.sha256 or "")
    found = [leg.begin]
    for folder in (root / TRUNKS / leg.trunk.path).glob("step=*"):
        step = folder.name.removeprefix("step=")
        if not step.isdecimal() or not leg.begin < int(step) < leg.end:
            continue
        record = _record(leg.trunk, int(step), root)
        if record is not None and (record["lineage"], record["status"]) == (kin, "done"):
            found.append(int(step))
    return max(found)


def disk(pieces: list[Piece], root: Path, kept: Kept) -> Disk:
    """Return what the states of a study's trunks take, and those of all others on disk."""
    steps = states_of((piece.leg for piece in pieces), kept)
    stay = [piece for piece in pieces if piece.leg.end in steps[piece.leg.trunk.path]]
    trunks = root / TRUNKS
    own = {piece.leg.path: piece for piece in pieces}
    there = others = 0
    for folder in state_folders(trunks):
        path = (folder / RECORD).relative_to(trunks).as_posix()
        if path in own:
            there += size_of(folder)
        else:
            others += size_of(folder)
    needed, staying = (sum(piece.size for piece in some) for some in (pieces, stay))
    return Disk(needed, there, others, staying)
