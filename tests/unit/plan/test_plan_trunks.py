"""Plans of studies whose cells branch off trunks: work, order and disk."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from small_study import study_values
from training_cells import make_dataset, make_params

from scalebed.core.cells import Cell
from scalebed.core.errors import ScalebedError
from scalebed.core.files import sha256_file, write_json
from scalebed.core.provenance import state_digest
from scalebed.core.trunk_files import size_of
from scalebed.core.trunks import Leg, leaves_at, legs
from scalebed.plan import rule_params
from scalebed.plan.estimates import Calibration, Estimate, Timed, makespan
from scalebed.plan.plan import Plan, make_plan, record
from scalebed.plan.render import render
from scalebed.plan.render_trunks import bytes_text
from scalebed.plan.states import Upstream
from scalebed.plan.trunks import pieces_of, state_bytes
from scalebed.study.hardware import LAPTOP
from scalebed.study.sections import Budget
from scalebed.study.trained import Study, parse_study
from scalebed.train.job import Options
from scalebed.train.trunk import train_trunk

SECONDS = 0.5


class Steps(Calibration):
    """A calibration that knows: a step of any model takes half a second."""

    def __init__(self) -> None:
        pass

    def step(self, model: dict[str, Any], recipe: dict[str, Any]) -> Estimate | None:
        return Estimate(SECONDS, True)


def study(**recipe: Any) -> Study:
    """Two data sets, two sizes, M = 5, 10 and 20: four trunks of three pieces."""
    values = study_values()
    values["recipes"]["base"] |= {"schedule": "wsd", "lr_end": 0.0, **recipe}
    return parse_study(values, "study.yaml")


def specs(wanted: Study, dataset: str = "red", size: str = "small") -> list[dict[str, Any]]:
    cells = [cell for cell in wanted.cells() if (cell.dataset, cell.size) == (dataset, size)]
    return [rule_params.cell(wanted, cell) for cell in cells]


def plan(root: Path, wanted: Study | None = None, devices: int = 2, **budget: float) -> Plan:
    return make_plan(wanted or study(), root, Steps(), devices, budget=Budget(**budget))


def train(root: Path, wanted: Study, cell: Cell) -> None:
    """Write the record of a finished cell."""
    facts = {"dataset_sha256": "0" * 64, "status": "done", "reason": None, "seconds": 7.0}
    path = root / "results/cells" / cell.path / "metrics.json"
    write_json(path, {"params": rule_params.cell(wanted, cell), **facts})


def put(root: Path, leg: Leg, **changes: Any) -> Path:
    """Write the record of a state; return its folder."""
    path = root / "results/trunks" / leg.path
    kin = state_digest(leg.spec["trunk"], "")
    facts = {"status": "done", "reason": None, "seconds": 3.0, "lineage": kin}
    write_json(path, {"params": leg.spec, **facts, **changes})
    return path.parent


def to_train(found: Plan) -> list[tuple[str, int, int]]:
    """Return trunk (data set and size) and steps of the pieces that a run would train."""
    return [
        (f"{piece.leg.trunk.dataset} {piece.leg.trunk.size}", piece.begin, piece.leg.end)
        for piece in found.pieces
        if piece.to_train
    ]


def test_cells_cost_their_cool_down_and_trunks_once(tmp_path):
    found, wanted = plan(tmp_path), study()
    assert len(found.rows) == len(found.pieces) == 12
    short, middle, long = specs(wanted)
    steps = [spec["steps"] for spec in (short, middle, long)]
    leave = [leaves_at(spec) for spec in (short, middle, long)]
    assert [row.begun for row in found.rows if row.cell.dataset == "red"][-3:] == leave
    own = sum(steps) - sum(leave) + leave[-1]
    parts = [part for part in found.work if part.params == found.rows[-1].params]
    assert sum(part.seconds for part in parts) == pytest.approx(SECONDS * 2 * own)
    assert found.flops == pytest.approx(sum(part.cost for part in found.work))
    whole = sum(row.flops for row in found.rows)
    # M = 5, 10 and 20: (20 + .2 * 15) / 35, but for whole steps.
    assert found.flops / whole == pytest.approx(23 / 35, rel=5e-3)
    assert f"take {found.flops / whole:.0%} of the FLOPs" in render(found)


def test_a_plan_without_trunks_says_nothing_of_them(tmp_path):
    found = plan(tmp_path, parse_study(study_values(), "study.yaml"))
    assert not found.pieces
    assert "trunk" not in render(found)
    assert {row.begun for row in found.rows} == {0}
    assert [row.cost for row in found.rows] == [row.flops for row in found.rows]


def test_only_states_that_a_cell_waits_for_are_planned(tmp_path):
    wanted = study()
    names = [Cell("red", "small", ratio, "base", 0) for ratio in (5, 10, 20)]
    for cell in wanted.cells():
        if cell not in names[1:]:
            train(tmp_path, wanted, cell)
    first, second, third = legs(specs(wanted))
    # What is missing needs the state before it, although the cell that leaves there is done.
    ends = [("red small", leg.begin, leg.end) for leg in (first, second, third)]
    assert to_train(plan(tmp_path, wanted)) == ends
    put(tmp_path, first)
    assert to_train(plan(tmp_path, wanted)) == ends[1:]
    put(tmp_path, third)
    assert to_train(plan(tmp_path, wanted)) == ends[1:2]
    for cell in names:
        train(tmp_path, wanted, cell)
    found = plan(tmp_path, wanted)
    assert found.work == []
    assert (found.flops, found.seconds, found.wall_seconds) == (0, 0, 0)


def test_what_comes_after_a_state_that_is_made_again_is_made_again(tmp_path):
    wanted = study()
    for cell in wanted.cells():
        if cell != Cell("red", "small", 5, "base", 0):
            train(tmp_path, wanted, cell)
    first, second, third = legs(specs(wanted))
    put(tmp_path, third)
    found = plan(tmp_path, wanted)
    assert to_train(found) == [("red small", leg.begin, leg.end) for leg in (first, second)]
    (told,) = [text for text in found.warnings if "evaluated again" in text]
    assert told.startswith("dataset=red/size=small/ratio=10/recipe=base/seed=0 and 1 more")
    put(tmp_path, second)
    found = plan(tmp_path, wanted)
    assert to_train(found) == [("red small", 0, first.end)]
    put(tmp_path, first)
    found = plan(tmp_path, wanted)
    assert to_train(found) == []
    assert "evaluated again" not in "".join(found.warnings)


def test_a_piece_goes_on_from_any_state_of_its_trunk(tmp_path):
    """Another cool-down leaves at other steps; the states there are still count."""
    for leg in legs(specs(study())):
        put(tmp_path, leg)
    other = study(cooldown=0.1)
    begins = [
        (piece[1], piece[2]) for piece in to_train(plan(tmp_path, other)) if "red small" in piece
    ]
    assert begins == [
        (leaves_at(old), leaves_at(new))
        for old, new in zip(specs(study()), specs(other), strict=True)
    ]


def test_a_state_of_other_data_is_trained_again(tmp_path):
    wanted = study()
    first = legs(specs(wanted))[0]
    put(tmp_path, first, lineage=state_digest(first.spec["trunk"], "another"))
    (piece,) = [piece for piece in plan(tmp_path, wanted).pieces if piece.leg.path == first.path]
    assert piece.state.name == "done"  # nobody knows the data yet
    path = tmp_path / "results/datasets/red/manifest.json"
    params = rule_params.dataset(wanted, "red")
    write_json(path, {"sources": [{"tokens": 10**9}], "params": params})
    (piece,) = [piece for piece in plan(tmp_path, wanted).pieces if piece.leg.path == first.path]
    assert piece.state[:2] == ("stale", "data changed")
    put(tmp_path, first, lineage=state_digest(first.spec["trunk"], sha256_file(path)))
    (piece,) = [piece for piece in plan(tmp_path, wanted).pieces if piece.leg.path == first.path]
    assert piece.state.name == "done"


def test_a_trunk_that_diverged_is_told_and_not_trained_again(tmp_path):
    wanted = study()
    *_, last = legs(specs(wanted))
    put(tmp_path, last, status="diverged", reason="loss is NaN at step 7")
    found = plan(tmp_path, wanted)
    assert last.end not in [end for trunk, _, end in to_train(found) if trunk == "red small"]
    (told,) = [text for text in found.warnings if "as its trunk did" in text]
    assert "ratio=20" in told
    assert f"diverged before step {last.end}" in told
    assert found.lost_seconds == 3.0


def test_budgets_count_trunks(tmp_path):
    free = plan(tmp_path)
    assert plan(tmp_path, flops=free.flops * 1.001, core_hours=free.seconds / 3590).refusals == []
    over = plan(tmp_path, flops=free.flops * 0.999, core_hours=free.seconds / 3610).refusals
    assert len(over) == 2


def test_wall_time_knows_that_branches_wait():
    # A trunk of 4 + 4 + 2 seconds, with branches of 1, 2 and 3.
    trunk = [Timed(4.0), Timed(4.0, after=0), Timed(2.0, after=1)]
    branches = [Timed(1.0, after=0), Timed(2.0, after=1), Timed(3.0, after=2)]
    assert makespan([*trunk, *branches], 1) == 16.0
    assert makespan([*trunk, *branches], 9) == 13.0
    assert makespan([*trunk, *branches], 2) == 13.0
    # Two trunks keep two devices busy, and what does not wait fills in at the end.
    other = [Timed(job.seconds, 1, None if job.after is None else job.after + 6) for job in trunk]
    assert makespan([*trunk, *branches, *other, Timed(5.0)], 2) == 16.0
    assert makespan([], 2) == 0.0


def test_the_wall_time_of_a_study_is_no_shorter_than_its_longest_trunk(tmp_path):
    found, wanted = plan(tmp_path, devices=1000), study()
    longest = max(spec["steps"] for spec in specs(wanted, size="large"))
    assert found.wall_seconds == pytest.approx(SECONDS * longest)


def test_the_record_lists_every_piece(tmp_path):
    values = json.loads(json.dumps(record(plan(tmp_path))))
    assert len(values["trunks"]) == 12
    piece = values["trunks"][0]
    assert piece["from_step"] < piece["to_step"]
    assert {"trunk", "seconds", "flops", "bytes", "state", "needed"} <= set(piece)
    own = sum(cell["own_flops"] for cell in values["cells"])
    assert values["totals"]["flops"] == own + sum(piece["flops"] for piece in values["trunks"])


# --- disk --------------------------------------------------------------------------------------


def test_a_state_takes_what_the_plan_says(tmp_path):
    params = make_params(steps=50)
    params["recipe"] |= {"schedule": "wsd", "cooldown": 0.2, "shape": "1-sqrt", "warmup_steps": 5}
    (leg,) = legs([params])
    out = tmp_path / "trunks" / leg.path
    train_trunk(leg.spec, make_dataset(tmp_path), out, Options(state=tmp_path / "state"))
    from scalebed.model import Decoder, ModelConfig

    count = sum(p.numel() for p in Decoder(ModelConfig.from_record(params["model"])).parameters())
    (file,) = out.parent.glob("*.safetensors")
    assert file.stat().st_size == pytest.approx(state_bytes(count, leg.end), rel=0.15)
    # But for names, shapes and record, which do not grow with the model.
    assert 0 < size_of(out.parent) - state_bytes(count, leg.end) < 10_000


def test_disk_is_counted_and_what_is_not_needed_told(tmp_path):
    wanted = study()
    found = plan(tmp_path, wanted)
    size = sum(piece.size for piece in found.pieces)
    assert found.disk == (size, 0, 0, size)
    last = wanted.model_copy(update={"trunk_states": "last"})
    longest = [max(trunk, key=lambda leg: leg.end) for trunk in (legs(specs(wanted)),)]
    part = sum(state_bytes(found.rows[-1].params, leg.end) for leg in longest)
    assert 2 * part < plan(tmp_path, last).disk.kept < size
    assert "when the study is done" in render(plan(tmp_path, last))
    assert "no cell of this study" not in render(found)
    first, second, _ = legs(specs(wanted))
    folder = put(tmp_path, first)
    (folder / "step-000000001.safetensors").write_bytes(bytes(10**6))
    other = second._replace(end=second.end + 1)
    left = put(tmp_path, other)
    (left / "step-000000001.safetensors").write_bytes(bytes(3 * 10**6))
    beside = folder.parent / "notes"
    beside.mkdir()
    (beside / "big").write_bytes(bytes(5 * 10**6))
    found = plan(tmp_path, wanted)
    assert found.disk.there == pytest.approx(1e6, abs=5000)
    assert found.disk.others == pytest.approx(3e6, abs=5000)
    assert "3 MB more that no cell of this study leaves at" in render(found)


@pytest.mark.parametrize(
    ("size", "text"), [(12, "12 bytes"), (1500, "1.5 kB"), (2.34e9, "2.34 GB"), (8.3e13, "83 TB")]
)
def test_bytes_for_people(size, text):
    assert bytes_text(size) == text


# --- warm-up -----------------------------------------------------------------------------------


def test_a_cell_that_would_leave_in_the_warm_up_is_refused():
    shortest = specs(study())[0]
    step = leaves_at(shortest)
    study(warmup_steps=step)
    with pytest.raises(ScalebedError) as refusal:
        study(warmup_steps=step + 1)
    path = Cell(**shortest["cell"]).path.replace("dataset=red", "dataset=mixed")
    for words in ("recipes.base", path, f"from step {step},", f"its warm-up of {step + 1} steps"):
        assert words in str(refusal.value)


class Guessed(Steps):
    """A calibration that extrapolates from a smaller model, or knows nothing."""

    def __init__(self, known: Estimate | None) -> None:
        self.known = known

    def step(self, model: dict[str, Any], recipe: dict[str, Any]) -> Estimate | None:
        return self.known


@pytest.mark.parametrize(
    ("known", "each"), [(Estimate(0.5, True), 0.5), (Estimate(0.25, False), 0.25), (None, None)]
)
def test_pieces_count_their_branches_and_say_whether_their_time_was_measured(tmp_path, known, each):
    """Two cells leave at the first state, one at the second, and a cell without a trunk at none."""
    short, middle, long = specs(study())
    alone = rule_params.cell(parse_study(study_values(), "study.yaml"), study().cells()[0])
    cells = {"a": short, "b": short, "c": middle, "d": long, "e": alone}
    found = pieces_of(
        {name: (spec, True) for name, spec in cells.items()},
        {"red": Upstream(None, "0" * 64, [])},
        tmp_path,
        Guessed(known),
        LAPTOP,
    )
    assert [piece.branches for piece in found] == [2, 1, 1]
    ends = [0, *(leaves_at(spec) for spec in (short, middle, long))]
    own = [end - begin for begin, end in pairwise(ends)]
    assert [piece.seconds for piece in found] == [each and each * steps for steps in own]
    assert {piece.measured for piece in found} == {known is not None and known.measured}
