"""What jobs ask of a cluster."""

import pytest

from scalebed.core import arithmetic
from scalebed.core.errors import ScalebedError
from scalebed.plan import resources as needs
from scalebed.plan import rule_params
from scalebed.study.hardware import LAPTOP, Hardware
from scalebed.study.load import load_any

STUDY = load_any("config/studies/gadre2024.yaml")
GPU = {"name": "A100", "memory_gb": 40, "flops": 3e14, "utilization": 0.5}
PARTITIONS = [
    {"name": "short", "minutes": 60},
    {"name": "long", "minutes": 1000},
    {"name": "quick", "minutes": 30, "gpu": True},
    {"name": "gpu", "minutes": 600, "gpu": True},
]


def spec(size: str, ratio: int) -> dict:
    (cell,) = [
        cell
        for cell in STUDY.cells()
        if cell.size == size and cell.ratio == ratio and cell.dataset == STUDY.cells()[0].dataset
    ][:1]
    return rule_params.cell(STUDY, cell)


def test_time_follows_from_the_flops_and_the_rate():
    site = Hardware(gpu=GPU, slice_minutes=100_000)
    one, four = spec("79m", 20), spec("79m", 320)
    minutes = needs.training(four, site).minutes - needs.START_MINUTES
    shape = arithmetic.shape_of(four["model"])
    work = arithmetic.flops_exact(shape, four["tokens"])
    assert minutes == pytest.approx(needs.MARGIN * work / 1.5e14 / 60)
    assert minutes == pytest.approx(
        16 * (needs.training(one, site).minutes - needs.START_MINUTES), rel=1e-3
    )


def test_small_models_are_bound_by_their_steps():
    site = Hardware(core_flops=1e18)
    cell = spec("11m", 20)
    seconds = cell["steps"] * needs.STEP_SECONDS
    expected = needs.START_MINUTES + needs.MARGIN * seconds / 60
    assert needs.training(cell, site).minutes == pytest.approx(expected)


def test_the_first_partition_that_allows_the_time_is_taken():
    site = Hardware(gpu=GPU, partitions=PARTITIONS)
    short = needs.resources(spec("11m", 20), site, 1)
    assert short["slurm_partition"] == "quick"
    assert short["runtime"] <= 30
    long = needs.resources(spec("411m", 20), site, 1)
    assert long["slurm_partition"] == "gpu"
    assert needs.small(site, 100, 10, 1)["slurm_partition"] == "long"
    assert needs.resources(spec("11m", 20), LAPTOP, 1)["slurm_partition"] == ""


def test_a_training_longer_than_any_job_is_cut_into_slices():
    site = Hardware(gpu=GPU, partitions=PARTITIONS)
    cell = spec("411m", 320)
    asked = needs.resources(cell, site, 1)
    assert asked["runtime"] == 600
    assert asked["slurm_partition"] == "gpu"
    slices_needed = needs.slices(cell, site)
    assert slices_needed > 1
    assert slices_needed * (600 - needs.START_MINUTES) >= needs.training(cell, site).minutes
    assert needs.slices(spec("11m", 20), site) == 1


def test_memory_grows_with_parameters_and_attempts_but_not_for_ever():
    site = Hardware(gpu=GPU)
    small, large = spec("11m", 20), spec("1400m", 20)
    first = [needs.resources(cell, site, 1)["mem_mb"] for cell in (small, large)]
    assert first[0] < 3000 < 40_000 < first[1]
    tries = [needs.resources(small, site, attempt)["mem_mb"] for attempt in (1, 2, 3, 9)]
    assert tries == [first[0], round(1.5 * first[0]), 2 * first[0], 2 * first[0]]


def test_gpus_are_asked_for_where_the_site_has_them():
    cell = spec("11m", 20)
    asked = needs.resources(cell, Hardware(gpu=GPU), 1)
    assert (asked["gpu"], asked["nodes"]) == (1, 1)
    assert asked["cpus_per_task"] == needs.CPUS_PER_GPU
    assert needs.resources(cell, LAPTOP, 1)["gpu"] == 0


def test_evaluations_of_all_cells_agree_on_their_partition():
    site = Hardware(partitions=PARTITIONS)
    found = {
        needs.evaluation(rule_params.cell(STUDY, cell), 10**6, site, attempt)["slurm_partition"]
        for cell in STUDY.cells()
        for attempt in (1, 2)
    }
    assert found == {"long"}


def test_more_ranks_than_a_node_has_gpus_are_refused(monkeypatch):
    monkeypatch.setattr(needs, "_ranks", lambda spec, hardware: 16)
    with pytest.raises(ScalebedError, match=r"needs 16 GPUs \(A100\), but a node has 8"):
        needs.resources(spec("11m", 20), Hardware(gpu=GPU), 1)
