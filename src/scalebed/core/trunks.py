"""Trunk and branch: which cells go on from the same constant-rate run, and where they leave it.

Cells of a recipe with ``schedule: wsd`` that differ in M alone train alike until their learning
rate begins to fall. So a trunk is trained once per data set, size, seed and recipe, its state is
kept where a cell leaves it, and a cell is a branch: that state, cooled down (Hägele et al., arXiv
2405.18392).
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from scalebed.core.permission import KEY
from scalebed.core.provenance import digest

RECORD = "state.json"
"""Record of a state, in the folder of the state."""

COOLING = ("schedule", "cooldown", "shape")
"""Keys of a recipe that cells on a cosine lack."""


class Trunk(NamedTuple):
    """A run at a constant learning rate, as long as its longest branch needs it."""

    dataset: str
    size: str
    seed: int
    trunk: str
    """Digest of everything that its branches have in common."""

    @property
    def path(self) -> str:
        """Folder of the trunk below ``results/trunks``."""
        return TRUNK.format(**self._asdict())


TRUNK = "/".join(f"{field}={{{field}}}" for field in Trunk._fields)
"""Path pattern of a trunk."""


class Leg(NamedTuple):
    """A piece of a trunk, from one state that is kept to the next."""

    trunk: Trunk
    begin: int
    """Step of the state before; 0 where there is none."""
    end: int
    """Step of the state it ends in."""
    spec: dict[str, Any]
    """Parameters of ``train_trunk``: those of a run of `end` steps."""

    @property
    def path(self) -> str:
        """Record of the state it ends in, below ``results/trunks``."""
        return state_path(self.trunk, self.end)

    @property
    def own(self) -> dict[str, Any]:
        """Parameters with the steps and tokens of this piece alone."""
        return with_steps(self.spec, self.end - self.begin)


def branch_step(steps: int, cooldown: float) -> int:
    """Return the step from which a run of so many steps cools down: S - round(f·S), f < 1.

    The share f is of the steps, so M·N·(1 - f) tokens are seen at the constant rate.
    """
    return steps - max(1, round(cooldown * steps))


def leaves_at(spec: Mapping[str, Any]) -> int | None:
    """Return the step at which a cell leaves its trunk; None for one that has none.

    Parameters
    ----------
    spec
        The cell's parameters, `scalebed.plan.rule_params.cell`.
    """
    recipe = spec["recipe"]
    if recipe.get("schedule", "cosine") != "wsd" or "checkpoint" in spec:
        return None
    return branch_step(spec["steps"], recipe["cooldown"]) or None


def trunk_spec(spec: Mapping[str, Any], step: int) -> dict[str, Any]:
    """Return the parameters of the trunk of a cell, trained for `step` steps."""
    recipe = {name: value for name, value in spec["recipe"].items() if name not in COOLING}
    # What only the cool-down needs is no part of it.
    recipe |= {"schedule": "wsd", "lr_end": recipe["lr"]}
    shared = {"model": spec["model"], "recipe": recipe, "numerics": spec["numerics"]}
    names = {name: spec["cell"][name] for name in ("dataset", "size", "seed")}
    tokens = step * recipe["batch_sequences"] * spec["model"]["context"]
    repeats = {KEY: True} if spec.get(KEY) else {}
    trunk = {**names, "trunk": digest({**names, **shared})}
    return {"trunk": trunk, **shared, "steps": step, "tokens": tokens, **repeats}


def trunk_of(spec: Mapping[str, Any]) -> Trunk | None:
    """Return the trunk that a cell of these parameters branches off; None for one that has none."""
    return None if leaves_at(spec) is None else Trunk(**trunk_spec(spec, 1)["trunk"])


def state_path(trunk: Trunk, step: int) -> str:
    """Return the record of a state of a trunk, below ``results/trunks``."""
    return f"{trunk.path}/step={step}/{RECORD}"


def legs_beyond(
    cells: Iterable[Mapping[str, Any]], others: Iterable[Mapping[str, Any]]
) -> list[Leg]:
    """Return the pieces of the trunks of `cells` that none of `others` needs.

    Parameters
    ----------
    cells
        Parameters of all cells.
    others
        Parameters of some of them.
    """
    last: dict[Trunk | None, int] = {}
    for spec in others:
        trunk = trunk_of(spec)
        last[trunk] = max(last.get(trunk, 0), leaves_at(spec) or 0)
    return [leg for leg in legs(cells) if leg.end > last.get(leg.trunk, 0)]


def legs(cells: Iterable[Mapping[str, Any]]) -> list[Leg]:
    """Return the pieces of all trunks that cells branch off, in the order they are trained in.

    Parameters
    ----------
    cells
        Parameters of cells; those that have no trunk are passed over.
    """
    specs: dict[Trunk, dict[int, dict[str, Any]]] = {}
    for spec in cells:
        trunk, step = trunk_of(spec), leaves_at(spec)
        if trunk is not None and step is not None:
            specs.setdefault(trunk, {})[step] = trunk_spec(spec, step)
    found = []
    for trunk, by_step in sorted(specs.items()):
        begin = 0
        for end in sorted(by_step):
            found.append(Leg(trunk, begin, end, by_step[end]))
            begin = end
    return found


def marginal(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of a cell with the steps and tokens of its own: those of its branch."""
    return with_steps(spec, spec["steps"] - (leaves_at(spec) or 0))


def with_steps(spec: Mapping[str, Any], steps: int) -> dict[str, Any]:
    """Return parameters of a run of another length."""
    tokens = spec["recipe"]["batch_sequences"] * spec["model"]["context"]
    return {**spec, "steps": steps, "tokens": steps * tokens}


def total(cells: Iterable[Mapping[str, Any]], cost: Callable[[dict[str, Any]], float]) -> float:
    """Return what cells cost together: the own part of each, and every trunk once.

    Where nothing but M differs, that is F_last + f Σ F_others, with F the cost of a run from its
    first step and f the share of the cool-down (Hägele et al., arXiv 2405.18392).

    Parameters
    ----------
    cells
        Parameters of cells.
    cost
        What a run costs, from the parameters it would have if it began at its first step: FLOPs,
        say, or seconds.
    """
    specs = list(cells)
    branches = sum(cost(marginal(spec)) for spec in specs)
    return branches + sum(cost(leg.own) for leg in legs(specs))
