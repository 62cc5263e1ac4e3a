"""How many GPUs a cell takes, and what the plan says of it."""

from pathlib import Path

import pytest

from scalebed.core.trunks import marginal
from scalebed.plan import resources as needs
from scalebed.plan import rule_params
from scalebed.plan.devices import seconds_allowed, spread
from scalebed.plan.estimates import Calibration, gpu_step
from scalebed.plan.plan import Plan, make_plan
from scalebed.plan.render import render
from scalebed.study.hardware import LAPTOP, Gpu, Hardware
from scalebed.study.load import load_any
from scalebed.train.memory import layouts

STUDY = load_any("config/studies/gadre2024_trunks.yaml")
OWN = {cell.path: marginal(rule_params.cell(STUDY, cell)) for cell in STUDY.cells()}
SPECS = list(OWN.values())
A100 = {"name": "A100", "memory_gb": 80, "flops": 312e12}


def site(gpu: dict | None = None, **more) -> Hardware:
    return Hardware.model_validate({"gpu": A100 | (gpu or {}), **more})


def seconds(spec: dict, ranks: int, hardware: Hardware) -> float:
    (layout,) = [
        layout
        for layout in layouts(spec["model"], spec["recipe"], hardware)
        if layout.ranks == ranks
    ]
    assert isinstance(hardware.gpu, Gpu)
    return gpu_step(spec["model"], spec["recipe"], layout, hardware.gpu).seconds * spec["steps"]


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    root: Path = tmp_path_factory.mktemp("devices")
    return make_plan(STUDY, root, Calibration(root / "times.json", False), 8, None, site())


def test_gpus_are_doubled_until_a_training_ends_in_time_and_no_further():
    hardware = site()
    assert seconds_allowed(hardware) == 24 * 3600
    found = set()
    for spec in SPECS:
        ranks = spread(spec, hardware).ranks
        fewest = layouts(spec["model"], spec["recipe"], hardware)[0].ranks
        found.add(ranks)
        assert ranks == 8 or seconds(spec, ranks, hardware) <= 24 * 3600
        assert ranks == fewest or seconds(spec, ranks // 2, hardware) > 24 * 3600
    assert found == {1, 2, 4, 8}


@pytest.mark.parametrize(
    ("hardware", "hours"),
    [
        (site({"cell_hours": 100}), 100),
        (site(slice_minutes=90), 1.5),
        (site(partitions=[{"name": "g", "minutes": 120, "gpu": True}, {"name": "c"}]), 2),
        (LAPTOP, 24),
    ],
)
def test_the_bound_is_the_longest_job_unless_the_site_says_another(hardware, hours):
    assert seconds_allowed(hardware) == 3600 * hours


def test_a_site_can_keep_cells_on_the_fewest_gpus_that_hold_them():
    patient = site({"cell_hours": 1e6})
    for spec in SPECS:
        assert spread(spec, patient) == layouts(spec["model"], spec["recipe"], patient)[0]
    assert {spread(spec, site({"most": 4})).ranks for spec in SPECS} == {1, 2, 4}
    assert {spread(spec, site({"per_node": 4})).ranks for spec in SPECS} == {1, 2, 4}


def test_gpus_that_do_not_divide_the_batch_are_not_taken():
    spec = max(SPECS, key=lambda spec: spec["tokens"])
    assert spread(spec, site()).ranks == 8
    six = {**spec, "recipe": spec["recipe"] | {"batch_sequences": 6 * 81}}
    assert spread(six, site()).ranks == 2


def test_jobs_ask_for_the_gpus_of_the_plan(planned):
    hardware = planned.hardware
    assert {row.cell.path: row.layout.ranks for row in planned.rows} == {
        path: needs.resources(spec, hardware, 1)["gpu"] for path, spec in OWN.items()
    }
    for piece in planned.pieces:
        assert piece.layout.ranks == needs.resources(piece.leg.own, hardware, 1)["ranks"]


def test_the_plan_says_why_cells_take_so_many_gpus_and_which_keys_decide(planned):
    (line,) = [line for line in render(planned, False).splitlines() if line.startswith("GPUs:")]
    parts = [*planned.rows, *planned.pieces]
    ranks = [part.layout.ranks for part in parts]
    counts = ", ".join(f"{ranks.count(number)} on {number}" for number in (1, 2, 4, 8))
    longer = [part.seconds for part in parts if part.seconds > 24 * 3600]
    assert line == (
        "GPUs: a training takes the fewest that hold it and end it within 24 h (slice_minutes and "
        f"the partitions), at most 8 (gpu.most, gpu.per_node): {counts}; {len(longer)} take longer "
        f"even so, the longest ~{max(longer) / 86400:.0f} d"
    )
    said = planned._replace(hardware=site({"cell_hours": 1e5}))
    assert "within 100,000 h (gpu.cell_hours)" in render(said, False)
    assert "take longer" not in render(said, False)
