"""The proposed ladder as a study file whose comments say where every value comes from."""

from collections.abc import Sequence
from typing import Any

import yaml

from scalebed.core.errors import ScalebedError
from scalebed.search.rungs import Picked
from scalebed.study.search import CARRIED, SearchStudy
from scalebed.study.sections import RecipeValues, Size
from scalebed.study.trained import parse_study

_OVER_TRAIN = 16  # 320 / 20, as in the default fit of the paper
_WIDTH = 100
_SIZE_KEYS = tuple(Size.model_fields)


def ladder_yaml(study: SearchStudy, rungs: Sequence[Picked], facts: Sequence[str]) -> str:
    """Return the text of the study file.

    Parameters
    ----------
    study
        The search.
    rungs
        Its rungs, by N.
    facts
        What was searched and found, one sentence each, for the head of the file.

    Raises
    ------
    ScalebedError
        If no such study can be: it is parsed before it is returned.
    """
    text = "\n".join(
        [
            *_head(study, facts),
            _carried(study),
            *_sizes(rungs),
            *_recipes(study, rungs),
            *_grid(study, rungs),
            *_fit(study, rungs),
            *_bootstrap(study),
        ]
    )
    text = text.rstrip() + "\n"
    try:
        parse_study(yaml.safe_load(text), "the proposed ladder")
    except ScalebedError as error:
        raise ScalebedError(f"search.ladder: {error}") from error
    return text


def _comment(text: str, indent: str = "") -> list[str]:
    """Return a text as comment lines of the house's width."""
    lines = [""]
    for word in text.split():
        if lines[-1] and len(indent) + 3 + len(lines[-1]) + len(word) > _WIDTH:
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else word
    return [f"{indent}# {line}" for line in lines]


def _head(study: SearchStudy, facts: Sequence[str]) -> list[str]:
    ladder = study.search.ladder
    title = ladder.title or f"Ladder proposed by the search {study.name}"
    lines = _comment(
        f"Proposed by the search {study.name}; to be read, changed where you know better, and "
        "committed."
    )
    for fact in facts:
        lines += _comment(fact)
    values = {"name": ladder.name or f"{study.name}_ladder", "title": title}
    return [*lines, _dump(values)]


def _dump(values: dict[str, Any]) -> str:
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=_WIDTH)


def _carried(study: SearchStudy) -> str:
    given = study.model_dump(mode="json", exclude_unset=True, include=set(CARRIED))
    note = f"# As in the search {study.name}.\n"
    return note + "\n".join(_dump({name: given[name]}) for name in CARRIED if name in given)


def _sizes(rungs: Sequence[Picked]) -> list[str]:
    lines = ["sizes:"]
    for rung in rungs:
        values = rung.size.model_dump()
        flow = ", ".join(f"{name}: {values[name]}" for name in _SIZE_KEYS)
        lines += _comment(f"N = {rung.params}: {'; '.join(rung.notes)}.", "  ")
        lines.append(f"  {rung.name}: {{{flow}}}")
    return [*lines, ""]


def _recipes(study: SearchStudy, rungs: Sequence[Picked]) -> list[str]:
    search = study.search
    # All of them and not only what differs from today's defaults, which may change.
    fixed = search.recipe.model_dump(include=set(RecipeValues.model_fields))
    fixed = {name: value for name, value in fixed.items() if value is not None}
    for name in ("batch_sequences", "warmup_steps", "lr", "lr_end"):
        fixed.pop(name, None)
    fixed["backend"] = search.recipe.backend
    lines = _comment(
        "One recipe a rung, called as in the search, so that the runs of the search are cells of "
        "this study. Batch, warm-up and learning rate are what was searched, the end of the "
        f"learning rate is {search.lr_end_fraction:g} of the peak, everything else was fixed."
    )
    lines.append("recipes:")
    for name, members in _by_recipe(rungs).items():
        one = members[0]
        lines += _comment(f"Of {', '.join(rung.name for rung in members)}.", "  ")
        lr = one.values["lr"]
        values = {
            "batch_sequences": int(one.values["batch_sequences"]),
            "warmup_steps": int(one.values["warmup_steps"]),
            "lr": lr,
            "lr_end": float(f"{lr * search.lr_end_fraction:.12g}"),
        }
        lines.append(f"  {name}:")
        lines += [f"    {key}: {_number(value)}" for key, value in (values | fixed).items()]
    return [*lines, ""]


def _number(value: Any) -> str:
    # A bare value ends in a line of three dots.
    return yaml.safe_dump(value).partition("\n")[0]


def _by_recipe(rungs: Sequence[Picked]) -> dict[str, list[Picked]]:
    found: dict[str, list[Picked]] = {}
    for rung in rungs:
        found.setdefault(rung.recipe, []).append(rung)
    return found


def over_train(study: SearchStudy) -> int:
    """Return the token multiplier of the over-trained run of the ladder."""
    return study.search.ladder.over_train or _OVER_TRAIN * study.search.ratio


def _grid(study: SearchStudy, rungs: Sequence[Picked]) -> list[str]:
    search = study.search
    searched = [rung for rung in rungs if rung.run is not None]
    smallest = (searched or list(rungs))[0]
    more = [ratio for ratio in search.ladder.ratios if ratio != search.ratio]
    lines = _comment(
        f"Every rung at M = {search.ratio} as searched; the smallest over-trained as well, since "
        "one M alone cannot tell the cost of fewer parameters from that of fewer tokens."
    )
    lines.append("grid:")
    for rung in rungs:
        ratios = [search.ratio]
        if rung.run is not None:
            ratios = sorted({*ratios, *more})
        if rung is smallest:
            ratios = sorted({*ratios, over_train(study)})
        block: dict[str, Any] = {"sizes": [rung.name], "ratios": ratios, "recipes": [rung.recipe]}
        if search.ladder.datasets is not None:
            block["datasets"] = search.ladder.datasets
        block["seeds"] = [search.seed]
        flow = yaml.safe_dump(block, default_flow_style=True, sort_keys=False, width=10**6)
        lines.append(f"  - {flow.strip()}")
    return [*lines, ""]


def _fit(study: SearchStudy, rungs: Sequence[Picked]) -> list[str]:
    search = study.search
    searched = [rung.name for rung in rungs if rung.run is not None]
    targets = [rung.name for rung in rungs if rung.run is None]
    smallest = searched[0] if searched else targets[0]
    lines = _comment(
        "The loss law is fitted to the rungs that were searched and to the over-trained one; those "
        "that were not searched are its targets."
    )
    lines += ["fit:", f"  loss: {search.loss}", "  loss_cells:"]
    if searched:
        lines.append(f"    - {{sizes: [{', '.join(searched)}], ratios: [{search.ratio}]}}")
    lines.append(f"    - {{sizes: [{smallest}], ratios: [{over_train(study)}]}}")
    if targets:
        lines.append("  targets:")
        lines.append(f"    - {{sizes: [{', '.join(targets)}], ratios: [{search.ratio}]}}")
    else:
        lines += _comment(
            "No rung lies outside of what was searched: name cells to predict here.", "  "
        )
        lines.append("  targets: []")
    return [*lines, ""]


def _bootstrap(study: SearchStudy) -> list[str]:
    given = study.bootstrap.model_dump(exclude_unset=True)
    return [_dump({"bootstrap": given})] if given else []
