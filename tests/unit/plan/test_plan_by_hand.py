"""Parameters and resources of jobs against values worked out by hand."""

from types import SimpleNamespace

import pytest
from small_study import study_values

from scalebed.core.cells import Cell
from scalebed.plan import estimates, resources, rule_params
from scalebed.plan.estimates import Calibration, Estimate
from scalebed.plan.resources import conversion, longest, partition, training
from scalebed.study.hardware import Hardware
from scalebed.study.trained import parse_study

PARTITIONS = [
    {"name": "short", "minutes": 60},
    {"name": "long", "minutes": 1000},
    {"name": "quick", "minutes": 30, "gpu": True},
    {"name": "gpu", "minutes": 600, "gpu": True},
]


@pytest.mark.parametrize(("fraction", "warmup"), [(0.1, 10), (0.125, 12), (0.126, 13)])
def test_a_warm_up_in_parts_of_a_run_is_rounded_to_steps(monkeypatch, fraction, warmup):
    values = study_values()
    values["recipes"]["base"] = {"batch_sequences": 4, "warmup_fraction": fraction}
    monkeypatch.setattr(rule_params.arithmetic, "steps_for", lambda *given: 100)
    found = rule_params.cell(parse_study(values, "s"), Cell("red", "small", 5, "base", 0))
    assert found["recipe"]["warmup_steps"] == warmup
    assert "warmup_fraction" not in found["recipe"]
    # 100 steps of 4 sequences of 32 tokens.
    assert (found["steps"], found["tokens"]) == (100, 12_800)


def test_every_corpus_that_a_stage_reads_is_used():
    """One corpus each for the tokenizer, a data set, validation and tasks, and one for nothing."""
    values = study_values()
    names = ("for_bpe", "for_data", "for_loss", "for_tasks", "unused")
    values["corpora"] = {name: {"reader": "files"} for name in names}
    values["tokenizers"]["bpe"]["corpora"] = ["for_bpe"]
    values["datasets"] = {"red": {"tokenizer": "bpe", "sources": {"for_data": 1}}}
    values["validation"] = {"blue": {"corpus": "for_loss"}}
    values["tasks"]["corpus"] = "for_tasks"
    study = parse_study(values, "s")
    assert rule_params.corpora_used(study) == ["for_bpe", "for_data", "for_loss", "for_tasks"]


@pytest.mark.parametrize(
    ("minutes", "gpu", "name"),
    [
        (60, False, "short"),
        (60.5, False, "long"),
        (1000, False, "long"),
        # Longer than any: the one with the longest jobs.
        (2000, False, "long"),
        (30, True, "quick"),
        (31, True, "gpu"),
        (601, True, "gpu"),
    ],
)
def test_a_job_as_long_as_the_limit_is_allowed(minutes, gpu, name):
    assert partition(Hardware(partitions=PARTITIONS), minutes, gpu) == name
    assert longest(Hardware(partitions=PARTITIONS, slice_minutes=10_000), gpu) == (
        600 if gpu else 1000
    )


def test_a_conversion_holds_the_weights_three_times_in_whole_megabytes(monkeypatch):
    """120,000 weights of 4 bytes, three times, are 1.44 MB: 1, beside 500 and 700."""
    monkeypatch.setattr(resources.arithmetic, "shape_of", lambda model: None)
    monkeypatch.setattr(
        resources.arithmetic, "count_params", lambda shape: SimpleNamespace(total=120_000)
    )
    asked = [conversion({"model": {}}, Hardware(), attempt) for attempt in (1, 3, 4)]
    # Twice as much from the third attempt on.
    assert [one["mem_mb"] for one in asked] == [1201, 2402, 2402]
    assert [one["runtime"] for one in asked] == [60, 180, 240]


def test_no_step_of_a_small_model_takes_less_than_a_hundredth_of_a_second():
    """Five minutes to start, and twice the time: of 3,000 steps of 10 ms a minute."""
    study = parse_study(study_values(), "s")
    spec = rule_params.cell(study, Cell("red", "small", 5, "base", 0)) | {"steps": 3000}
    assert training(spec, Hardware(core_flops=1e18)).minutes == pytest.approx(5 + 2 * 0.5)


@pytest.mark.parametrize(
    ("flops", "needed", "found"),
    [
        # A tenth of a second by the reference, within a quarter of the memory: it is timed.
        (1e11, 24.0, Estimate(0.7, True)),
        (1e11, 26.0, Estimate(0.1, False)),
        (2.9e12, 24.0, Estimate(0.7, True)),
        (3.1e12, 24.0, Estimate(3.1, False)),
        # So light that nothing is asked.
        (0.9e10, 99.0, Estimate(0.7, True)),
    ],
)
def test_only_steps_that_are_short_and_fit_are_timed(monkeypatch, tmp_path, flops, needed, found):
    monkeypatch.setattr(estimates.arithmetic, "flops_exact", lambda *given: flops)
    monkeypatch.setattr(estimates.arithmetic, "training_bytes", lambda *given: needed)
    monkeypatch.setattr(estimates, "_memory_bytes", lambda: 100.0)
    monkeypatch.setattr(Calibration, "_reference", lambda self, recipe: 1e12)
    monkeypatch.setattr(Calibration, "_time", lambda self, *given: 0.7)
    spec = rule_params.cell(parse_study(study_values(), "s"), Cell("red", "small", 5, "base", 0))
    step = Calibration(tmp_path / "none.json", measure=True).step(spec["model"], spec["recipe"])
    assert step == pytest.approx(found)
