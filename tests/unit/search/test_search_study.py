"""Declared searches: what they expand to, what is refused, what is proposed from made-up runs."""

import itertools
import math
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
import yaml
from search_study import law, search_values, write_tables

from scalebed.core import arithmetic
from scalebed.core.errors import ScalebedError
from scalebed.core.provenance import canonical_json
from scalebed.plan import rule_params
from scalebed.search.propose import choose_ladder
from scalebed.search.rungs import scaled
from scalebed.search.trends import Optimum, Trend, fit_trend, optima
from scalebed.study.load import load_any, parse_any
from scalebed.study.search import SearchStudy, parse_search
from scalebed.study.search_runs import recipe_name
from scalebed.study.search_sections import Filter
from scalebed.study.sections import Size
from scalebed.study.trained import Study, parse_study
from scalebed.tables.imports.frontier import mark

ROOT = Path(__file__).parents[3]
PAPER = ROOT / "config/studies/gadre2024_search.yaml"


def search_of(**changes: Any) -> SearchStudy:
    return parse_search(search_values(**changes), "study.yaml")


# Expansion


def test_a_study_file_with_the_key_search_is_one() -> None:
    assert isinstance(parse_any(search_values(), "study.yaml"), SearchStudy)


def test_the_runs_are_the_cells_of_an_ordinary_study() -> None:
    study = search_of().study()
    assert isinstance(study, Study)
    # Head widths 16, 32, 8, 64 and 16; 4 heads of width 4 are left out.
    names = ["w16_l1_h1", "w16_l2_h1", "w32_l1_h1", "w32_l1_h4", "w32_l2_h1", "w32_l2_h4"]
    names += ["w64_l1_h1", "w64_l1_h4", "w64_l2_h1", "w64_l2_h4"]
    assert sorted(study.sizes) == names
    assert sorted(study.recipes) == ["b8_w20_lr1e_2", "b8_w20_lr3e_3"]
    assert len(study.cells()) == 20
    recipe = study.recipes["b8_w20_lr3e_3"]
    assert (recipe.lr, recipe.lr_end, recipe.warmup_steps) == (3e-3, 3e-5, 20)
    spec = rule_params.cell(study, study.cells()[0])
    assert spec["cell"]["ratio"] == 10
    assert canonical_json(spec)


def test_a_run_is_the_same_cell_in_a_search_and_in_a_study_that_names_it() -> None:
    study = search_of().study()
    cell = study.cells()[0]
    values = search_values()
    written = parse_study(
        {name: values[name] for name in ("corpora", "tokenizers", "datasets", "validation")}
        | {
            "name": "other",
            "title": "Other",
            "sizes": {cell.size: study.sizes[cell.size].model_dump()},
            "recipes": {
                cell.recipe: {"batch_sequences": 8, "warmup_steps": 20, "lr": 1e-2, "lr_end": 1e-4}
            },
            "grid": [{"datasets": ["red"], "sizes": [cell.size], "ratios": [10]}],
            "fit": {"loss": "blue", "loss_cells": []},
        },
        "other.yaml",
    )
    assert written.cells() == [cell]
    assert rule_params.cell(written, cell) == rule_params.cell(study, cell)


def test_values_can_be_tried_in_a_range_of_sizes() -> None:
    study = search_of(
        warmup_steps=[20, {"values": [50, 80], "min_params": 3e4}],
        lr=[{"values": [1e-2], "max_params": 3e4}, {"values": [1e-2, 5e-3], "min_params": 3e4}],
    )
    expanded = study.expanded()
    tried: dict[str, set[tuple[int, float]]] = {}
    for run in expanded.runs:
        tried.setdefault(run.size, set()).add((run.warmup_steps, run.lr))
    small, large = {(20, 1e-2)}, set(itertools.product((20, 50, 80), (1e-2, 5e-3)))
    for name, size in expanded.sizes.items():
        big = arithmetic.count_params(size).total >= 3e4
        assert tried[name] == (large if big else small)
    assert {len(values) for values in tried.values()} == {1, 6}


def test_exclusions_take_single_runs_out() -> None:
    left = {"widths": [64], "layers": [2], "heads": [4], "lr": [1e-2]}
    runs = search_of(exclude=[left]).expanded().runs
    assert len(runs) == 19
    assert "w64_l2_h4 b8_w20_lr1e_2" not in {f"{run.size} {run.recipe}" for run in runs}
    only = search_of(exclude=[{"widths": [16, 32]}]).expanded()
    assert set(only.sizes) == {f"w64_l{layers}_h{heads}" for layers in (1, 2) for heads in (1, 4)}


@pytest.mark.parametrize(
    ("lr", "name"),
    [(3e-3, "3e_3"), (2.5e-2, "2_5e_2"), (1.0, "1e0"), (12.5, "1_25e1"), (3e-10, "3e_10")],
)
def test_names_of_learning_rates(lr: float, name: str) -> None:
    assert recipe_name(64, 100, lr) == f"b64_w100_lr{name}"


def test_no_two_rates_share_a_name() -> None:
    rates = [3e-3, 0.0030000000000000001, 3.1e-3, 3.01e-3, 0.3, 0.1 + 0.2, 3, 30]
    names = {recipe_name(8, 10, rate) for rate in rates}
    assert len(names) == len({float(rate) for rate in rates}) == 7


SIZE = {"layers": 1, "vocab": 300, "context": 64}
BLOCK = {"widths": [16], "layers": [1], "heads": [1], "vocab": 300, "context": 64}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"lr": []}, "search.lr: List should have at least 1 item"),
        ({"architectures": []}, "architectures and sizes are both empty"),
        ({"architectures": [BLOCK | {"widths": []}]}, "search.architectures.0.widths: List should"),
        (
            {"architectures": [BLOCK | {"heads": [3]}]},
            "width 16 over none of heads [3] gives",
        ),
        ({"architectures": [BLOCK | {"heads": [16]}]}, "width 16 over none of heads [16] gives"),
        ({"architectures": [BLOCK, BLOCK]}, "[1]: the size w16_l1_h1 is declared twice"),
        ({"architectures": [BLOCK | {"layers": [1, 1]}]}, "search.architectures[0].layers: 1 is"),
        (
            {"sizes": {"a": SIZE | {"width": 15, "heads": 2}}},
            "width 15 over 2 heads is not",
        ),
        ({"sizes": {"w16_l1_h1": SIZE | {"width": 16, "heads": 1}}}, "w16_l1_h1 is declared twice"),
        ({"batch_sequences": [8, 8]}, "search.batch_sequences at the size w16_l1_h1: 8 is listed"),
        ({"batch_sequences": [0]}, "search.batch_sequences"),
        ({"batch_sequences": [{"values": [0]}]}, "search.batch_sequences: Input should be greater"),
        ({"warmup_steps": [-1]}, "search.warmup_steps"),
        ({"lr": [0.0]}, "search.lr"),
        ({"lr": [{"values": [1e-2], "min_params": 1e9}]}, "search.lr has no value for the size"),
        ({"ratio": 0}, "search.ratio: Input should be greater than 0"),
        ({"ratio": 0.5}, "search.ratio: Input should be a valid integer"),
        ({"dataset": "green"}, "search.dataset: there is no 'green' but red, mixed"),
        ({"loss": "green"}, "search.loss: there is no 'green' but blue"),
        ({"recipe": {"lr": 1e-3}}, "recipe.lr: the search itself says what is tried"),
        ({"recipe": {"micro_sequences": 3}}, "micro_sequences 3 does not divide batch_sequences 8"),
        ({"exclude": [{"lr": [7.0]}]}, "search.exclude[0] matches no run of the search"),
        ({"exclude": [{"lr": [1e-2, 3e-3]}]}, "search.exclude leaves no run of the search"),
        ({"filter": {"drop_flops": [2e9, 1e9]}}, "drop_flops is [2e+09, 1e+09], expected"),
        (
            {"filter": {"drop_flops": [2e9]}},
            "search.filter.drop_flops: List should",
        ),
        ({"filter": {"min_steps": 9, "max_steps": 8}}, "min_steps 9 is above max_steps 8"),
        ({"ladder": {"count": 1}}, "search.ladder.count: Input should be greater than 1"),
        ({"ladder": {"rungs": [{}]}}, "a rung needs one of params, flops and size"),
        ({"ladder": {"over_train": 10}}, "ladder.over_train is 10, expected more than the ratio"),
        ({"ladder": {"datasets": ["green"]}}, "search.ladder.datasets: there is no 'green'"),
        ({"learning_rates": [1]}, "search.learning_rates: unknown key"),
    ],
)
def test_one_sentence_for_what_cannot_be(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ScalebedError) as caught:
        search_of(**changes)
    text = str(caught.value)
    assert text.startswith("study.yaml: ")
    assert words in text
    assert "\n" not in text


def test_a_model_with_too_small_a_vocabulary_is_refused() -> None:
    with pytest.raises(ScalebedError, match=r"vocab is 200, but the tokenizer bpe"):
        search_of(architectures=[BLOCK | {"vocab": 200}])


# Frontier


def row(name: str, flops: float, loss: float | None, **more: Any) -> dict[str, Any]:
    return {"configuration": name, "flops": flops, "loss": loss, "steps": 100} | more


def flagged(rows: list[dict[str, Any]], flag: str) -> list[str]:
    return [item["configuration"] for item in rows if item[flag]]


def test_the_frontier_of_known_runs() -> None:
    rows = [row("c", 3, 2.0), row("a", 1, 4.0), row("b", 2, 4.5), row("d", 4, 1.5)]
    assert flagged(mark(rows, Filter()), "frontier") == ["a", "c", "d"]


def test_of_equal_runs_the_first_by_name_is_on_the_frontier() -> None:
    rows = [row("b", 1, 4.0), row("a", 1, 4.0), row("c", 2, 4.0), row("d", 2, 3.0)]
    assert flagged(mark(rows, Filter()), "frontier") == ["a", "d"]
    assert mark(rows, Filter()) == mark(rows[::-1], Filter())


def test_rounding_to_whole_steps_does_not_put_two_runs_of_a_size_on_the_frontier() -> None:
    rows = [row("a", 1.00, 4.0, nominal_flops=1.0), row("b", 1.01, 3.9, nominal_flops=1.0)]
    assert flagged(mark(rows, Filter()), "frontier") == ["b"]


def test_a_run_without_a_loss_is_data_and_never_on_the_frontier() -> None:
    rows = [row("a", 1, None, reason="loss nan"), row("b", 2, 3.0), row("c", 3, None)]
    marked = mark(rows, Filter())
    assert flagged(marked, "frontier") == flagged(marked, "kept") == ["b"]
    assert [item["reason"] for item in marked] == ["loss nan", None, None]
    assert flagged(mark([row("a", 1, None)], Filter()), "frontier") == []


def test_the_filter_leaves_points_of_the_frontier_out_and_says_why() -> None:
    rows = [row(str(n), float(n), 10.0 - n, steps=10 * n) for n in range(1, 8)]
    given = Filter(drop_flops=[3, 4], min_steps=20, max_steps=60)
    marked = mark(rows, given)
    assert len(flagged(marked, "frontier")) == 7
    assert flagged(marked, "kept") == ["2", "5", "6"]
    reasons = {item["configuration"]: item["reason"] for item in marked}
    assert reasons["1"] == "filter: 10 steps, fewer than 20"
    assert reasons["3"] == "filter: compute in the window 3 to 4 FLOPs"
    assert reasons["7"] == "filter: 70 steps, more than 60"


# Trends


def tried(params: int, best: float, rates: tuple[float, ...]) -> list[dict[str, Any]]:
    """Return runs whose loss is a parabola over the logarithm of the rate."""
    return [
        {"configuration": f"{params} {rate}", "params": params, "size": str(params), "lr": rate}
        | {"loss": 3 + 0.1 * math.log(rate / best) ** 2, "batch_sequences": 8}
        for rate in rates
    ]


def test_the_best_rate_is_found_between_the_ones_tried() -> None:
    rows = tried(1000, 2.2e-2, (5e-3, 1e-2, 2e-2, 5e-2)) + tried(9000, 1e-3, (5e-3, 1e-2, 2e-2))
    inside, edge = optima(rows, "lr", ("size", "batch_sequences"))
    assert inside.value == pytest.approx(2.2e-2, rel=1e-6)
    assert not inside.edge
    assert edge == Optimum(9000, 5e-3, True)


def test_other_recipes_do_not_mix_in() -> None:
    rows = tried(1000, 2e-2, (1e-2, 2e-2, 4e-2))
    rows += [item | {"batch_sequences": 16, "lr": 3e-2, "loss": 9.0} for item in rows[:1]]
    (found,) = optima(rows, "lr", ("size", "batch_sequences"))
    assert found.value == pytest.approx(2e-2, rel=1e-6)


def test_a_law_of_the_rate_is_found_again() -> None:
    points = [Optimum(n, 5.0 * n**-0.5, False) for n in (1000, 4000, 16000)]
    trend = fit_trend("lr", [*points, Optimum(64000, 1.0, True)], 0.9)
    assert isinstance(trend, Trend)
    assert (trend.points, trend.exponent, trend.scale) == pytest.approx((3, -0.5, 5.0))
    assert trend.at(10**6) == pytest.approx(5e-3)


@pytest.mark.parametrize(
    ("points", "words"),
    [
        ([], "one value was tried at each size"),
        ([(1000, 1e-2, True), (2000, 1e-2, False)], "at 1 of 2 sizes the best value is"),
        (
            [(1000, 1.0, False), (1200, 2.0, False), (1500, 3.0, False)],
            "less than a factor of 2",
        ),
        ([(1000, 1.0, False), (2000, 9.0, False), (4000, 1.1, False)], "which holds zero"),
    ],
)
def test_no_law_of_the_rate_where_the_runs_show_none(points: list[Any], words: str) -> None:
    found = fit_trend("lr", [Optimum(*point) for point in points], 0.9)
    assert isinstance(found, str)
    assert words in found


# Ladder


def losses_of(study: SearchStudy, worse: float = 0.1) -> dict[str, float | None]:
    """Return losses on a law at the rate 1e-2 and one head, and `worse` elsewhere."""
    expanded = study.expanded()
    found: dict[str, float | None] = {}
    for run in expanded.runs:
        params = arithmetic.count_params(expanded.sizes[run.size]).total
        wrong = (run.lr != 1e-2) + (run.heads > 1)
        found[f"{run.size} {run.recipe}"] = law(60.0 * params**2) + worse * wrong
    return found


def propose(study: SearchStudy, losses: dict[str, float | None], folder: Path) -> dict[str, Any]:
    """Write the ladder and return its file parsed, its text, and the tables."""
    write_tables(study, losses, folder / "tables")
    choose_ladder(rule_params.search(study), folder / "tables", folder / "search")
    text = (folder / "search/ladder.yaml").read_text(encoding="utf-8")
    names = ("runs", "search_fits", "search_rungs")
    return {"text": text, "values": yaml.safe_load(text)} | {
        name: pyarrow.parquet.read_table(folder / "search" / f"{name}.parquet").to_pylist()
        for name in names
    }


def test_the_ladder_is_a_study_of_the_best_runs(tmp_path: Path) -> None:
    study = search_of()
    found = propose(study, losses_of(study), tmp_path)
    ladder = parse_study(found["values"], "ladder.yaml")
    assert ladder.name == "hunt_ladder"
    chosen = {run["configuration"] for run in found["runs"] if run["chosen"]}
    assert chosen == {f"{row['size']} b8_w20_lr1e_2" for row in found["search_rungs"]}
    assert len(ladder.sizes) == 3
    assert set(ladder.recipes) == {"b8_w20_lr1e_2"}
    # The runs of the search are cells of the ladder, to the last value.
    shared = [cell for cell in ladder.cells() if cell in set(study.study().cells())]
    assert len(shared) == 3
    for cell in shared:
        assert rule_params.cell(ladder, cell) == rule_params.cell(study.study(), cell)
    smallest = min(found["search_rungs"], key=lambda row: row["params"])["size"]
    assert {cell.size for cell in ladder.cells() if cell.ratio == 160} == {smallest}
    assert ladder.datasets.keys() == study.datasets.keys()
    assert ladder.bootstrap.draws == 100
    fits = {(row["fit"], row["quantity"]): row["value"] for row in found["search_fits"]}
    assert fits["kept", "E"] == pytest.approx(1.5, rel=1e-2)
    assert fits["kept", "eta"] == pytest.approx(0.2, rel=1e-2)


def test_a_rung_beyond_the_search_is_marked_and_a_target(tmp_path: Path) -> None:
    study = search_of(ladder={"rungs": [{"params": 1.2e4}, {"flops": 1e11}, {"params": 1e6}]})
    found = propose(study, losses_of(study), tmp_path)
    ladder = parse_study(found["values"], "ladder.yaml")
    (outside,) = [row for row in found["search_rungs"] if not row["searched"]]
    assert outside["params"] == pytest.approx(1e6, rel=0.05)
    assert outside["loss"] is None
    assert outside["predicted"] == pytest.approx(law(outside["flops"]), rel=1e-3)
    assert "NOT SEARCHED, OUTSIDE of what was searched" in outside["source"]
    assert "batch_sequences, warmup_steps, lr as in w64_l2_h1 b8" in outside["source"]
    assert [selector.sizes for selector in ladder.fit.targets] == [[outside["size"]]]
    lines = found["text"].splitlines()
    at = next(n for n, line in enumerate(lines) if line.startswith(f"  {outside['size']}:"))
    above = list(itertools.takewhile(lambda line: line.startswith("  #"), lines[at - 1 :: -1]))
    assert "NOT SEARCHED" in " ".join(above)


def test_an_architecture_given_for_a_rung_is_taken(tmp_path: Path) -> None:
    size = {"width": 128, "layers": 4, "heads": 4, "vocab": 300, "context": 64, "ffn_multiple": 16}
    same = {"width": 64, "layers": 2, "heads": 4, "vocab": 300, "context": 64, "ffn_multiple": 16}
    study = search_of(ladder={"rungs": [{"params": 1e4}, {"size": size}, {"size": same}]})
    found = propose(study, losses_of(study), tmp_path)
    rows = {row["size"]: row for row in found["search_rungs"]}
    assert not rows["w128_l4_h4"]["searched"]
    assert rows["w64_l2_h4"]["searched"]
    assert "not on the kept frontier" in rows["w64_l2_h4"]["source"]
    assert found["values"]["sizes"]["w128_l4_h4"] == size


def test_rates_are_extrapolated_only_where_the_runs_show_a_law(tmp_path: Path) -> None:
    rates = [2e-3, 4e-3, 8e-3, 1.6e-2, 3.2e-2]
    study = search_of(lr=rates, ladder={"rungs": [{"params": 1.2e4}, {"params": 1e6}]})
    expanded = study.expanded()
    losses: dict[str, float | None] = {}
    for run in expanded.runs:
        params = arithmetic.count_params(expanded.sizes[run.size]).total
        off = math.log(run.lr / (1.3 * params**-0.5))
        losses[f"{run.size} {run.recipe}"] = law(60.0 * params**2) + 0.02 * off**2 + 0.1 * run.heads
    found = propose(study, losses, tmp_path)
    fits = {(row["fit"], row["quantity"]): row for row in found["search_fits"]}
    assert fits["lr", "exponent"]["value"] == pytest.approx(-0.5, abs=1e-6)
    (large,) = [row for row in found["search_rungs"] if not row["searched"]]
    assert large["lr"] == pytest.approx(1.3 * large["params"] ** -0.5, rel=5e-3)
    assert "lr extrapolated with N^-0.5" in large["source"]
    assert fits["batch_sequences", "refused"]["note"] == "one value was tried at each size"


def test_diverged_runs_are_in_the_table_with_their_reason(tmp_path: Path) -> None:
    study = search_of()
    losses = losses_of(study)
    gone = "w16_l1_h1 b8_w20_lr1e_2"
    losses[gone] = None
    found = propose(study, losses, tmp_path)
    runs = {row["configuration"]: row for row in found["runs"]}
    assert len(runs) == 20
    assert (runs[gone]["status"], runs[gone]["reason"]) == ("diverged", "loss nan at step 7")
    assert runs[gone]["loss"] is None
    assert not runs[gone]["frontier"]
    assert runs["w16_l1_h1 b8_w20_lr3e_3"]["frontier"]


def test_a_search_without_any_loss_is_one_sentence_and_writes_nothing(tmp_path: Path) -> None:
    study = search_of()
    with pytest.raises(ScalebedError, match="no rung to offer: 0 of 20 runs have a loss"):
        propose(study, dict.fromkeys(losses_of(study)), tmp_path)
    assert not (tmp_path / "search").exists()


def test_few_kept_points_have_no_law_but_a_ladder(tmp_path: Path) -> None:
    study = search_of(filter={"drop_flops": [1e9, 2e11]})
    found = propose(study, losses_of(study), tmp_path)
    fits = {(row["fit"], row["quantity"]): row["note"] for row in found["search_fits"]}
    assert fits["kept", "refused"].startswith("fewer points than parameters")
    assert "No law of the frontier" in found["text"]
    assert parse_study(found["values"], "ladder.yaml")
    filtered = [row for row in found["runs"] if row["frontier"] and not row["kept"]]
    assert filtered
    assert all(row["reason"].startswith("filter: ") for row in filtered)


def test_rungs_that_are_one_run_are_one_rung(tmp_path: Path) -> None:
    study = search_of(ladder={"rungs": [{"params": 1.0e4}, {"params": 1.01e4}, {"params": 6e4}]})
    found = propose(study, losses_of(study), tmp_path)
    assert len(found["search_rungs"]) == 2
    assert any("is nearest to it as well" in row["source"] for row in found["search_rungs"])


def test_a_rung_just_outside_is_the_run_that_its_architecture_is(tmp_path: Path) -> None:
    study = search_of(ladder={"rungs": [{"params": 1.15e4}, {"params": 6e4}]})
    found = propose(study, losses_of(study), tmp_path)
    small = found["search_rungs"][0]
    assert (small["size"], small["searched"]) == ("w16_l1_h1", True)
    assert "has this architecture, on the kept frontier" in small["source"]


@pytest.mark.parametrize("params", [2e5, 1e6, 3e7])
def test_a_scaled_architecture_keeps_its_head_width(params: float) -> None:
    like = Size(width=64, layers=4, heads=4, vocab=300, context=64, ffn_multiple=16)
    size = scaled(like, params)
    assert size.width // size.heads == 16
    assert arithmetic.count_params(size).total == pytest.approx(params, rel=0.06)
    assert 4 <= size.width / size.layers <= 64


# The paper's search


def test_the_paper_s_search_has_435_runs_and_their_compute() -> None:
    study = load_any(PAPER)
    assert isinstance(study, SearchStudy)
    rows = rule_params.cell_rows(study.study())
    assert len(rows) == 435
    assert len({row["size"] for row in rows}) == 130
    assert f"{sum(row['flops'] for row in rows):.3e}" == "1.173e+21"
    assert min(row["steps"] for row in rows) == 828
    assert max(row["steps"] for row in rows) == 7851
