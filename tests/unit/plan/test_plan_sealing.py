"""What is sealed, what it is made of, and what waits for it."""

import copy
from pathlib import Path

import pytest
from small_study import study_values

from scalebed.core.arithmetic import count_params, shape_of
from scalebed.core.errors import ScalebedError
from scalebed.core.files import sha256_file, write_json
from scalebed.core.provenance import state_digest
from scalebed.core.trunks import legs, legs_beyond, trunk_of
from scalebed.plan import rule_params, sealing
from scalebed.plan.estimates import Calibration, Estimate
from scalebed.plan.plan import make_plan
from scalebed.plan.render import render
from scalebed.study.load import parse_any

MODEL = {"width": 8, "layers": 1, "heads": 1, "vocab": 300, "context": 32, "ffn_multiple": 8}


def branch(steps, seed=0):
    """Return the parameters of a cell that cools down over the last fifth of its steps."""
    return {
        "cell": {"dataset": "red", "size": "small", "ratio": steps, "recipe": "base", "seed": seed},
        "model": MODEL,
        "recipe": {"schedule": "wsd", "cooldown": 0.2, "shape": "1-sqrt", "lr": 1e-2}
        | {"batch_sequences": 4},
        "steps": steps,
        "tokens": steps * 128,
        "numerics": 1,
    }


def sealed_values():
    values = copy.deepcopy(study_values())
    values["fit"]["seal"] = True
    return values


def test_compute_counts_a_shared_trunk_once():
    params = count_params(shape_of(MODEL)).total
    # They leave the trunk at 80 and 160 of 100 and 200 steps: 160 on the trunk, 20 and 40 beside.
    found = sealing.flops_together([branch(100), branch(200)])
    assert found == pytest.approx(6 * params * 128 * (160 + 20 + 40), rel=1e-12)
    # Another seed has a trunk of its own.
    found = sealing.flops_together([branch(100), branch(200, seed=1)])
    assert found == pytest.approx(6 * params * 128 * (100 + 200), rel=1e-12)


def test_a_trunk_waits_beyond_the_last_fit_cell():
    cells = [branch(50), branch(100), branch(200), branch(400), branch(200, seed=1)]
    assert [(leg.trunk.seed, leg.end) for leg in legs(cells)] == [
        *((0, 40), (0, 80), (0, 160), (0, 320)),
        (1, 160),
    ]
    # The fit cell of 100 steps needs what the target of 50 steps leaves at, and nothing after 80.
    beyond = legs_beyond(cells, [branch(100)])
    assert [(leg.trunk.seed, leg.begin, leg.end) for leg in beyond] == [
        *((0, 80, 160), (0, 160, 320)),
        (1, 0, 160),
    ]
    assert legs_beyond(cells, cells) == []


def test_a_target_has_begun_with_any_part_of_it(tmp_path):
    cells = {"a": branch(100), "b": branch(200)}
    pieces, waiting = sealing.waiting_legs(cells, ["b"]), {"b": cells["b"]}
    (leg,) = pieces
    assert (leg.begin, leg.end) == (80, 160)
    write_json(tmp_path / "results/cells/a/metrics.json", {"params": cells["a"]})
    manifest = tmp_path / "results/datasets/red/manifest.json"
    write_json(manifest, {"tokens": 1})
    record = tmp_path / "results/cells/b/metrics.json"
    # Trained with another rate, or not readable: it is trained again.
    other = cells["b"] | {"recipe": cells["b"]["recipe"] | {"lr": 2e-2}}
    for content in ({"params": other}, []):
        write_json(record, content)
        assert sealing.begun(waiting, pieces, tmp_path) == []
    state = tmp_path / "state/b" / state_digest(cells["b"], sha256_file(manifest))
    for path in (state, tmp_path / "results/trunks" / leg.path, record):
        write_json(path, {"params": cells["b"]})
        assert sealing.begun(waiting, pieces, tmp_path) == [str(path)]
        path.unlink()


def test_targets_are_rows_that_the_fit_is_not_made_of():
    study = parse_any(sealed_values(), "the study")
    found = sealing.seal(study)
    every = {row["cell"]: row for row in rule_params.cell_rows(study)}
    fitted = {row["cell"] for row in found["tables"]["cells"]}
    assert {row["cell"] for row in found["targets"]} == set(every) - fitted
    assert sealing.targets(study) == [row["cell"] for row in found["targets"]]
    assert len(found["targets"]) == 2
    for row in found["targets"]:
        small = [
            every[f"dataset={row['dataset']}/size=small/ratio={ratio}/recipe=base/seed=0"]["flops"]
            for ratio in (5, 10, 20)
        ]
        assert (row["status"], row["target"]) == ("planned", True)
        assert (row["trunk"], row["trunk_steps"]) == (None, 0)
        assert row["times_largest"] == pytest.approx(row["flops"] / small[2], rel=1e-12)
        assert row["times_fit"] == pytest.approx(row["flops"] / sum(small), rel=1e-12)
    assert found["fit"] == rule_params.fit(study)


def test_a_target_that_branches_off_names_its_trunk():
    values = sealed_values()
    values["recipes"]["base"] |= {"schedule": "wsd", "cooldown": 0.2}
    study = parse_any(values, "the study")
    for row in sealing.seal(study)["targets"]:
        (cell,) = [cell for cell in study.cells() if cell.path == row["cell"]]
        trunk = trunk_of(rule_params.cell(study, cell))
        assert trunk is not None and row["trunk"] == trunk.path
        assert row["trunk_steps"] == row["steps"] - round(0.2 * row["steps"])


def test_a_study_without_a_seal_is_what_it_was(monkeypatch):
    plain, sealed = (parse_any(values, "") for values in (study_values(), sealed_values()))
    assert sealing.targets(plain) == []
    assert rule_params.fit(plain) == rule_params.fit(sealed)
    assert rule_params.tables(plain) == rule_params.tables(sealed)
    monkeypatch.setattr(rule_params, "digest", lambda value: value)
    assert "seal" not in rule_params.report(plain)["config_digest"]["fit"]
    assert rule_params.report(sealed)["config_digest"]["fit"]["seal"] is True


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda v: v["fit"].update(targets=[]), "fit.targets names no cell"),
        (lambda v: v["fit"].update(scatter_cells=[{"sizes": ["large"]}]), "fit.scatter_cells has"),
        (
            lambda v: v["recipes"]["base"].update(source="checkpoint", checkpoint="{size}.pt"),
            "taken from a checkpoint",
        ),
        (lambda v: v["fit"]["loss_cells"].append({"sizes": ["large"]}), "a target and fitted to"),
    ],
    ids=["no target", "scatter of a target", "a checkpoint", "a target that is fitted to"],
)
def test_what_cannot_be_sealed_is_refused(edit, said):
    values = sealed_values()
    edit(values)
    with pytest.raises(ScalebedError, match=said):
        parse_any(values, "the study")


class OneSecond(Calibration):
    """A calibration that knows: a step of any model takes a second."""

    def __init__(self):
        pass

    def step(self, model, recipe):
        return Estimate(1.0, True)


def test_a_plan_says_what_waits_and_counts_its_time_after_the_rest(tmp_path):
    study = parse_any(sealed_values(), "the study")
    plain, sealed = (
        make_plan(parse_any(values, ""), tmp_path, OneSecond(), 3)
        for values in (study_values(), sealed_values())
    )
    targets = [row for row in sealed.rows if row.roles["target"]]
    others = [row for row in sealed.rows if not row.roles["target"]]
    assert len(targets) == 2 and len({row.steps for row in targets}) == 1
    assert sealed.seconds == plain.seconds
    # Two equal targets side by side, after all that trains before them; the third core idles.
    before = plain._replace(rows=others).wall_seconds
    assert sealed.wall_seconds == before + targets[0].steps
    assert plain.wall_seconds < sealed.wall_seconds
    assert sealed.summary()["waiting_for_seal"] == 2
    assert plain.summary()["waiting_for_seal"] == 0
    path = Path("results/studies") / study.name / "sealed.json"
    said = f"2 targets train after predictions are sealed: {path} "
    assert said + "is made before any of them begins" in render(sealed)
    write_json(tmp_path / path, {})
    assert said + "is there" in render(make_plan(study, tmp_path, OneSecond(), 2))
    assert "sealed" not in render(plain)


def test_imported_cells_cannot_be_sealed():
    values = {
        "name": "x",
        "title": "x",
        "source": {"importer": "table", "path": "runs.csv"},
        "fit": {"loss": "loss", "loss_cells": [{}], "targets": [{}], "seal": True},
    }
    with pytest.raises(ScalebedError, match="imported cells were trained before"):
        parse_any(values, "the study")
