"""Plans: states and their reasons, estimates, budgets, repeats, and the text for people."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from small_study import study_values

from scalebed.commands.cli import main
from scalebed.core import arithmetic
from scalebed.core.cells import Cell
from scalebed.core.files import sha256_file, write_json
from scalebed.core.provenance import state_digest
from scalebed.core.quantities import amount_text
from scalebed.plan import estimates, rule_params
from scalebed.plan.durations import duration
from scalebed.plan.estimates import Calibration, Estimate, Timed, makespan
from scalebed.plan.listing import cells_tsv
from scalebed.plan.plan import Plan, make_plan
from scalebed.plan.render import render
from scalebed.plan.states import differences
from scalebed.study.hardware import Hardware
from scalebed.study.load import load_any
from scalebed.study.sections import Budget
from scalebed.study.trained import Study, parse_study

ROOT = Path(__file__).parents[3]
SMALL = Cell("red", "small", 5, "base", 0)


class Steps(Calibration):
    """A calibration that knows: a step of any model takes half a second."""

    def __init__(self, seconds: float | None = 0.5) -> None:
        self.seconds = seconds

    def step(self, model: dict[str, Any], recipe: dict[str, Any]) -> Estimate | None:
        return None if self.seconds is None else Estimate(self.seconds, True)


def study(**changes: Any) -> Study:
    return parse_study(study_values() | changes, "study.yaml")


def plan(root: Path, wanted: Study | None = None, **options: Any) -> Plan:
    wanted = study() if wanted is None else wanted
    limits = {name: options.pop(name) for name in Budget.model_fields if name in options}
    options["budget"] = Budget(**limits)
    return make_plan(
        wanted, root, options.pop("steps", Steps()), options.pop("devices", 2), **options
    )


def row_of(found: Plan, cell: Cell = SMALL) -> Any:
    (row,) = [row for row in found.rows if row.cell == cell]
    return row


def train(root: Path, wanted: Study, cell: Cell = SMALL, **changes: Any) -> Path:
    """Write the record a finished training leaves."""
    manifest = root / "results/datasets" / cell.dataset / "manifest.json"
    record = {
        "params": rule_params.cell(wanted, cell),
        "dataset_sha256": sha256_file(manifest) if manifest.is_file() else "0" * 64,
        "status": "done",
        "reason": None,
        "seconds": 12.5,
    }
    path = root / "results/cells" / cell.path / "metrics.json"
    write_json(path, record | changes)
    return path


def put_dataset(root: Path, wanted: Study, name: str, *sources: int) -> None:
    """Write the manifest of a data set whose sources have so many tokens."""
    write_json(
        root / "results/datasets" / name / "manifest.json",
        {
            "tokens": sum(sources),
            "sources": [{"tokens": tokens} for tokens in sources],
            "params": rule_params.dataset(wanted, name),
        },
    )


# --- states ------------------------------------------------------------------------------------


def test_nothing_on_disk_is_all_missing(tmp_path):
    found = plan(tmp_path)
    assert len(found.rows) == len(found.to_train) == 12
    assert {row.state.name for row in found.rows} == {"missing"}


def test_a_trained_cell_is_done_and_costs_what_it_took(tmp_path):
    train(tmp_path, study())
    found = plan(tmp_path)
    row = row_of(found)
    assert row.state[:2] == ("done", "")
    assert row.seconds == 12.5
    assert len(found.to_train) == 11
    assert row not in found.to_train


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"lr": 0.002}, "recipe.lr: 0.003 -> 0.002"),
        ({"precision": "bf16"}, "recipe.precision: fp32 -> bf16"),
        ({"warmup_steps": 11}, "recipe.warmup_steps: 10 -> 11"),
        ({"sizes": {"small": {"qk_norm": False}}}, "model.qk_norm: true -> false"),
    ],
)
def test_a_changed_recipe_makes_stale_and_says_why(tmp_path, change, reason):
    train(tmp_path, study())
    values = study_values()
    values["recipes"]["base"] |= change
    state = row_of(plan(tmp_path, parse_study(values, "study.yaml"))).state
    assert (state.name, state.reason) == ("stale", reason)
    assert state.to_train


def test_a_change_at_another_size_concerns_no_one_else(tmp_path):
    train(tmp_path, study())
    values = study_values()
    values["recipes"]["base"]["sizes"] = {"large": {"lr": 1e-4}}
    values["sizes"]["large"]["width"] = 32
    assert row_of(plan(tmp_path, parse_study(values, "study.yaml"))).state.name == "done"


def test_a_new_version_of_the_numbers_makes_stale(tmp_path, monkeypatch):
    train(tmp_path, study())
    monkeypatch.setattr(arithmetic, "NUMERICS", arithmetic.NUMERICS + 1)
    state = row_of(plan(tmp_path)).state
    assert state[:2] == ("stale", f"numerics: {arithmetic.NUMERICS - 1} -> {arithmetic.NUMERICS}")


def test_new_data_make_stale(tmp_path):
    put_dataset(tmp_path, study(), "red", 10**6)
    train(tmp_path, study())
    assert row_of(plan(tmp_path)).state.name == "done"
    put_dataset(tmp_path, study(), "red", 10**6 + 1)
    assert row_of(plan(tmp_path)).state[:2] == ("stale", "data changed")


def test_data_that_will_be_rebuilt_make_stale(tmp_path):
    put_dataset(tmp_path, study(), "red", 10**6)
    train(tmp_path, study())
    write_json(
        tmp_path / "results/tokenizers/bpe/manifest.json",
        {"params": rule_params.tokenizer(study(), "bpe") | {"vocab": 256}},
    )
    state = row_of(plan(tmp_path)).state
    assert state[:2] == ("stale", "data: bpe.vocab: 256 -> 300")


@pytest.mark.parametrize("status", ["diverged", "failed"])
def test_a_cell_that_came_to_nothing_is_not_trained_again(tmp_path, status):
    train(tmp_path, study(), status=status, reason="loss is NaN at step 7")
    found = plan(tmp_path)
    assert row_of(found).state[:2] == (status, "loss is NaN at step 7")
    assert row_of(found) not in found.to_train
    assert any(SMALL.path in text and status in text for text in found.warnings)


def test_a_broken_record_counts_as_missing(tmp_path):
    train(tmp_path, study()).write_text('{"params": {', encoding="utf-8")
    state = row_of(plan(tmp_path)).state
    assert state.name == "missing"
    assert "not a readable record" in state.reason


def test_interrupted_training_is_told(tmp_path):
    manifest = tmp_path / "results/datasets" / SMALL.dataset / "manifest.json"
    put_dataset(tmp_path, study(), SMALL.dataset, 10**9)
    name = state_digest(rule_params.cell(study(), SMALL), sha256_file(manifest))
    (tmp_path / "state" / SMALL.path / name).mkdir(parents=True)
    assert "resumed" in row_of(plan(tmp_path)).state.reason


VALUES = st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["a", "b"])
TREES = st.recursive(VALUES, lambda inner: st.dictionaries(st.sampled_from("xyz"), inner))


@given(TREES)
def test_equal_values_differ_nowhere(value):
    assert differences(value, json.loads(json.dumps(value))) == []


def test_differences_name_what_came_and_went():
    old = {"a": {"x": 1, "gone": 2}, "b": True}
    new = {"a": {"x": 1.5, "new": [1]}, "b": 1}
    assert differences(old, new) == [
        "a.gone: 2 -> none",
        "a.new: none -> [1]",
        "a.x: 1 -> 1.5",
        "b: true -> 1",
    ]


# --- repeats and budgets -----------------------------------------------------------------------


def tokens_of(wanted: Study, cell: Cell) -> int:
    return int(rule_params.cell(wanted, cell)["tokens"])


def test_without_data_epochs_are_unknown_and_nothing_is_refused(tmp_path):
    found = plan(tmp_path)
    assert {row.epochs for row in found.rows} == {None}
    assert found.refusals == []


@pytest.mark.parametrize("declared", [False, True])
def test_a_cell_that_would_repeat_tokens_is_refused(tmp_path, declared):
    largest = Cell("red", "large", 20, "base", 0)
    needed = tokens_of(study(), largest)
    datasets = study_values()["datasets"]

    def refusals(available: int, **changes: Any) -> list[str]:
        if declared:
            changed = datasets | {"red": datasets["red"] | {"tokens": available}}
            return plan(tmp_path, study(datasets=changed, **changes)).refusals
        put_dataset(tmp_path, study(), "red", available)
        return plan(tmp_path, study(**changes)).refusals

    # The last token of a data set is predicted, never read.
    assert refusals(needed + 1) == []
    (refusal,) = refusals(needed)
    for word in (largest.path, f"{needed:,} tokens", f"red has {needed - 32:,}", "allow_repeats"):
        assert word in refusal
    assert refusals(needed, allow_repeats=True) == []


def test_each_source_loses_its_own_end(tmp_path):
    put_dataset(tmp_path, study(), "mixed", 32 * 10 + 31, 32 * 20 + 32, 5)
    assert row_of(plan(tmp_path), Cell("mixed", "small", 5, "base", 0)).available == 32 * 30


def test_budgets_refuse_what_is_above_them(tmp_path):
    free = plan(tmp_path)
    hours = free.seconds / 3600
    assert hours == sum(row.steps for row in free.rows) * 0.5 / 3600
    assert plan(tmp_path, core_hours=hours * 1.01, flops=free.flops * 1.01).refusals == []
    over = plan(tmp_path, core_hours=hours / 2, flops=free.flops / 2).refusals
    assert len(over) == 2
    assert "core-hours, the budget is" in over[0]
    assert "FLOPs, the budget is" in over[1]
    strict = study(budget={"flops": free.flops / 2})
    assert len(plan(tmp_path, strict).refusals) == 1
    # The command line has the last word, and what is done costs nothing.
    assert plan(tmp_path, strict, flops=free.flops * 2).refusals == []
    for cell in study().cells():
        train(tmp_path, study(), cell)
    assert plan(tmp_path, strict).refusals == []


def test_gpu_hours_and_money_are_budgets_where_the_site_has_gpus_and_prices(tmp_path):
    gpu = {"name": "toy", "memory_gb": 80, "flops": 1e12, "utilization": 0.5, "price_per_hour": 3}
    priced = Hardware.model_validate({"gpu": gpu})
    free = plan(tmp_path, hardware=priced)
    hours = free.seconds / 3600
    assert free.money == hours * 3
    assert f"~{free.money:,.2f} in money" in render(free)
    over = plan(tmp_path, hardware=priced, gpu_hours=hours / 2, money=hours).refusals
    assert len(over) == 2
    assert "GPU-hours, the budget is" in over[0]
    assert over[1].startswith("training would cost about") and "at 3)" in over[1]
    inside = plan(tmp_path, hardware=priced, gpu_hours=hours * 1.01, money=hours * 3.01)
    assert inside.refusals == []
    laptop = plan(tmp_path, gpu_hours=1e-9, money=1e-9)
    assert laptop.refusals == []
    assert any("budget.money is not checked" in text for text in laptop.warnings)
    assert any("budget.gpu_hours is not checked" in text for text in laptop.warnings)


def test_a_core_hours_budget_without_estimates_warns(tmp_path):
    found = plan(tmp_path, steps=Steps(None), core_hours=1.0)
    assert found.seconds is None
    assert found.refusals == []
    assert any("12 cells have no time estimate" in text for text in found.warnings)


def test_warnings_of_short_runs_and_long_warm_up(tmp_path):
    values = study_values()
    values["recipes"]["base"] |= {"batch_sequences": 16, "warmup_steps": 60}
    found = plan(tmp_path, parse_study(values, "study.yaml"))
    short = [row for row in found.rows if row.steps < 100]
    long = [row for row in found.rows if row.steps < 120]
    assert len(short) > 1
    texts = "\n".join(found.warnings)
    assert f"{short[0].cell.path} and {len(short) - 1} more" in texts
    assert f"{long[0].cell.path} and {len(long) - 1} more: 60 of {long[0].steps}" in texts
    values["recipes"]["base"] |= {"batch_sequences": 1, "warmup_steps": 1}
    assert plan(tmp_path, parse_study(values, "study.yaml")).warnings == []


# --- estimates ---------------------------------------------------------------------------------


@given(st.lists(st.floats(0.1, 100), min_size=1), st.integers(1, 5))
def test_wall_time_lies_between_its_bounds(jobs, devices):
    wall = makespan([Timed(seconds) for seconds in jobs], devices)
    least = max(max(jobs), sum(jobs) / devices)
    assert least <= wall * (1 + 1e-9)
    # Graham's bound for longest-first scheduling.
    assert wall <= (4 / 3) * least + max(jobs) / 3 + 1e-9


def test_a_step_is_timed_once_and_remembered(tmp_path):
    path = tmp_path / "state" / "calibration.json"
    spec = rule_params.cell(study(), SMALL)
    assert Calibration(path, measure=False).step(spec["model"], spec["recipe"]) is None
    assert not path.exists()
    first = Calibration(path, measure=True).step(spec["model"], spec["recipe"])
    assert first is not None
    assert first.measured
    assert 0 < first.seconds < 10
    kept = path.read_bytes()
    # Known now, with another learning rate too, and not to be timed again.
    other = spec["recipe"] | {"lr": 1.0}
    assert Calibration(path, measure=False).step(spec["model"], other) == first
    assert path.read_bytes() == kept
    assert Calibration(path, measure=False).step(spec["model"] | {"width": 16}, other) is None


def test_a_damaged_memory_is_forgotten(tmp_path):
    path = tmp_path / "calibration.json"
    path.write_text("{", encoding="utf-8")
    spec = rule_params.cell(study(), SMALL)
    assert Calibration(path, measure=False).step(spec["model"], spec["recipe"]) is None


def test_a_step_too_heavy_to_try_is_extrapolated(tmp_path, monkeypatch):
    # In bf16 a step of the reference model takes half a minute on many a CPU.
    for name, value in {"width": 64, "layers": 2, "heads": 1}.items():
        monkeypatch.setitem(estimates._REFERENCE_MODEL, name, value)
    paper = load_any(ROOT / "config/studies/gadre2024.yaml")
    calibration = Calibration(tmp_path / "calibration.json", measure=True)
    rates = []
    for size in ("1400m", "6900m"):
        spec = rule_params.cell(paper, Cell("c4", size, 20, "base", 124))
        estimate = calibration.step(spec["model"], spec["recipe"])
        assert estimate is not None
        assert not estimate.measured
        shape = paper.sizes[size]
        tokens = spec["recipe"]["batch_sequences"] * shape.context
        rates.append(estimate.seconds / arithmetic.flops_exact(shape, tokens))
    assert rates[0] == pytest.approx(rates[1], rel=1e-12)
    # Nothing computes at an exaflop a second, and this ran at more than a megaflop.
    assert 1e-18 < rates[0] < 1e-6


def test_evaluation_costs_what_it_cost_before(tmp_path):
    assert plan(tmp_path).evaluation.tasks is None
    first = plan(tmp_path).evaluation.losses
    assert first is not None
    folder = train(tmp_path, study()).parent
    write_json(folder / "losses.json", {"seconds": 2.0})
    write_json(folder / "tasks.json", {"seconds": 7.0})
    # The twelfth cell is evaluated; the others of either size cost what it did.
    assert plan(tmp_path).evaluation == (22.0, 77.0)
    large = train(tmp_path, study(), Cell("red", "large", 5, "base", 0)).parent
    write_json(large / "losses.json", {"seconds": 4.0})
    assert plan(tmp_path).evaluation.losses == 5 * 2.0 + 5 * 4.0
    assert plan(tmp_path, study(tasks=None)).evaluation.tasks == 0.0


# --- text --------------------------------------------------------------------------------------


def test_the_text_has_a_line_for_each_cell_and_the_totals(tmp_path):
    train(tmp_path, study())
    found = plan(tmp_path)
    lines = render(found).splitlines()
    assert " ".join(lines[0].split()) == "cell N D M steps FLOPs time epochs role state"
    assert len(lines[1 : lines.index("")]) == 12
    assert "study tiny: 12 cells (1 done, 11 missing), 11 to train" in lines
    assert any(line.startswith("training: ") and "on 2 devices" in line for line in lines)
    assert max(len(line) for line in lines if not line.startswith("warning")) <= 110
    assert render(found, cells=False).splitlines()[0].startswith("study tiny")


def test_seeds_and_recipes_are_shown_where_they_differ(tmp_path):
    values = study_values()
    assert "seed" not in render(plan(tmp_path))
    values["grid"][0]["seeds"] = [0, 1]
    assert "seed 1" in render(plan(tmp_path, parse_study(values, "study.yaml")))


@pytest.mark.parametrize(
    ("value", "text"),
    [(10_569_312, "10.57M"), (921.5e9, "921.5B"), (1.15e12, "1.15T"), (23_120, "23.12k"), (7, "7")],
)
def test_counts_for_people(value, text):
    assert amount_text(value, 4) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "?"), (47, "47 s"), (750, "12.5 min"), (3.1 * 3600, "3.1 h"), (9 * 86400, "9 d")],
)
def test_times_for_people(seconds, text):
    assert duration(seconds, True) == text
    if seconds is not None:
        assert duration(seconds, False) == f"~{text}"


def test_the_listing_is_a_table_of_all_cells():
    lines = cells_tsv(rule_params.cell_list(study())).splitlines()
    header = lines[0].split("\t")
    rows = [dict(zip(header, line.split("\t"), strict=True)) for line in lines[1:]]
    assert [row["cell"] for row in rows] == [cell.path for cell in study().cells()]
    assert {row["target"] for row in rows} == {"yes", "no"}
    for row, cell in zip(rows, study().cells(), strict=True):
        assert int(row["tokens"]) == tokens_of(study(), cell)
        wanted = 6 * int(row["params"]) * int(row["tokens"])
        assert float(row["flops"]) == pytest.approx(wanted, rel=1e-4)


# --- verbs -------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study_values()), encoding="utf-8")
    return tmp_path


def test_the_verb_writes_json(folder, capsys):
    assert main(["plan", "--study", "study.yaml", "--no-calibration", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["study"] == "tiny"
    assert len(found["cells"]) == found["totals"]["cells"] == 12
    assert found["cells"][0]["seconds"] is None
    assert not (folder / "state").exists()


def test_the_verb_refuses_above_the_budget_after_showing_the_plan(folder, capsys):
    words = ["plan", "--study", "study.yaml", "--no-calibration", "--budget-flops", "1e3"]
    assert main(words) == 2
    captured = capsys.readouterr()
    assert "study tiny: 12 cells" in captured.out
    assert captured.err.startswith("scalebed plan: error: training would take")


def test_the_verb_tells_the_name(folder, capsys):
    assert main(["plan", "--study", "study.yaml", "--name-only"]) == 0
    assert capsys.readouterr().out == "tiny\n"


def test_devices_must_be_some(folder, capsys):
    assert main(["plan", "--study", "study.yaml", "--devices", "0"]) == 2
    assert "--devices is 0" in capsys.readouterr().err


def test_the_listing_verb(folder):
    params = json.dumps(rule_params.cell_list(study()))
    assert main(["list-cells", "--params", params, "--out", "deep/cells.tsv"]) == 0
    assert (folder / "deep/cells.tsv").read_text(encoding="utf-8") == cells_tsv(json.loads(params))


def test_the_paper_study_is_planned_without_data_or_times(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    path = ROOT / "config/studies/gadre2024.yaml"
    assert main(["plan", "--study", str(path), "--no-calibration"]) == 0
    lines = capsys.readouterr().out.splitlines()
    table = lines[1 : lines.index("")]
    sizes = {
        name: sum(line.startswith(f"{name} ") for line in table) for name in ("c4", "refinedweb")
    }
    assert len(table) == 104
    assert sizes == {"c4": 34, "refinedweb": 35}
