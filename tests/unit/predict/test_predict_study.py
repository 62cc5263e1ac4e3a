import copy
import json
import random
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import synthetic_study as synthetic
from scipy.stats import chi2

from scalebed.commands.cli import main
from scalebed.core.errors import ScalebedError
from scalebed.fit import fit_law
from scalebed.laws import get_law
from scalebed.laws.forms.base import names
from scalebed.predict.build import law_scatters
from scalebed.predict.runs import collect_runs
from scalebed.predict.study import fit_study


@pytest.fixture(scope="module")
def tables():
    return synthetic.tables()


@pytest.fixture(scope="module")
def results(tables):
    return fit_study(tables, synthetic.settings(losses=["other"]))


def _rows(results, name, **wanted):
    rows = results[name].to_pylist()
    return [row for row in rows if all(row[key] == value for key, value in wanted.items())]


def _fits(tables, **changes):
    return fit_study(tables, synthetic.settings(**changes))


def test_every_law_of_every_data_set_is_fitted(results):
    found = {row["fit"] for row in _rows(results, "fits", status="fitted")}
    expected = {f"loss/tied/{d}/{v}" for d in synthetic.TRUTH for v in ("yardstick", "other")}
    responses = ("average", *synthetic.TASKS)
    expected |= {f"error/decay/{d}/{r}" for d in synthetic.TRUTH for r in responses}
    assert found == expected
    row = _rows(results, "fits", fit="loss/tied/one/yardstick")[0]
    assert (row["points"], row["parameters"], row["degrees_of_freedom"]) == (5, 4, 1)
    source = "errors on held-out cells pooled over the other data sets (three, two)"
    assert row["sigma_source"].startswith(source)
    # About nine degrees of freedom know a standard deviation to 24 %.
    low, high = np.sqrt(chi2.ppf([0.005, 0.995], 8.79) / 8.79)
    assert low < row["sigma"] / 0.005 < high


def test_the_scatter_from_held_out_cells_is_that_of_the_runs():
    """Over many studies the mean of sigma^2 is the truth, but for what curvature adds."""
    settings = synthetic.settings(per_task=False)
    ratios = []
    for seed in range(60):
        sets = collect_runs(synthetic.tables(seed=seed), settings.averages)
        for found in law_scatters(sets, "yardstick", "loss", settings).values():
            assert found.held_out
            ratios.append(found.squares / found.dof / 0.005**2)
    # 180 ratios with a standard deviation of about 0.9.
    assert np.mean(ratios) == pytest.approx(1.1, abs=0.25)


def test_parameters_come_with_derived_ones_and_intervals(results):
    rows = _rows(results, "fit_parameters", fit="loss/tied/two/yardstick")
    assert [row["parameter"] for row in rows] == ["E", "A", "B", "alpha", "eta", "a", "b", "M_star"]
    for row in rows:
        assert row["lower"] < row["value"] < row["upper"] and row["unit"]


def test_exported_parameters_reproduce_the_predictions(tables, results):
    """Nothing is rounded on the way out, neither for the loss nor for the chained error."""
    cells = {row["cell"]: row for row in tables["cells"]}
    values: dict[str, list[float]] = {}
    for row in _rows(results, "fit_parameters"):
        values.setdefault(row["fit"], []).append(row["value"])
    for row in _rows(results, "predictions"):
        loss_fit = f"loss/tied/{row['dataset']}/yardstick"
        if row["kind"] == "loss":
            loss_fit = f"loss/tied/{row['dataset']}/{row['response']}"
        cell = cells[row["cell"]]
        x = (np.array([float(cell["params"])]), np.array([float(cell["tokens"])]))
        predicted = get_law("tied").predict(np.array(values[loss_fit][:4]), x)
        if row["kind"] == "error":
            theta = np.array(values[f"error/decay/{row['dataset']}/{row['response']}"])
            predicted = get_law("decay").predict(theta, (predicted,))
        assert row["predicted"] == pytest.approx(predicted[0], rel=1e-13)


def test_predictions_carry_both_stages_and_compute(tables, results):
    rows = _rows(results, "predictions", dataset="one", response="average")
    cells = {row["cell"]: row for row in tables["cells"]}
    used = [c for c in tables["cells"] if c["dataset"] == "one" and c["fit_error"]]
    for row in rows:
        assert row["fit_flops"] == pytest.approx(sum(cell["flops"] for cell in used))
        assert row["target_flops"] == cells[row["cell"]]["flops"]
        assert row["flops_ratio"] == pytest.approx(row["target_flops"] / row["fit_flops"])
        second = abs(row["predicted_from_measured_loss"] - row["measured"]) / row["measured"]
        assert row["relative_error_from_measured_loss"] == pytest.approx(second)
        assert row["covered"] == (row["lower"] <= row["measured"] <= row["upper"])
        assert row["lower"] < row["predicted"] < row["upper"]
        assert row["share_fit"] > 0 and row["share_noise"] > 0
        assert "lack of fit" in row["method"] and "chained" in row["method"]
    assert [sum(row["role"] == role for row in rows) for role in ("fit", "target", "held_out")] == [
        6,
        2,
        10,
    ]


def test_interval_widens_with_extrapolation_and_level(tables, results):
    def width(row):
        return (row["upper"] - row["lower"]) / row["predicted"]

    rows = _rows(results, "predictions", dataset="one", response="yardstick")
    target = max(rows, key=lambda row: row["target_flops"])
    held = [row for row in rows if row["role"] == "held_out"]
    assert width(target) > 1.5 * np.median([width(row) for row in held])
    narrow = _rows(_fits(tables, level=0.5), "predictions", cell=target["cell"], kind="loss")[0]
    assert width(narrow) < 0.6 * width(target)


def test_result_does_not_depend_on_the_order_of_rows_or_data_sets(tables, results):
    shuffled = {name: random.Random(5).sample(rows, len(rows)) for name, rows in tables.items()}
    again = fit_study(shuffled, synthetic.settings(losses=["other"]))
    for name, table in results.items():
        assert table.equals(again[name]), name


def test_another_seed_draws_anew_and_keeps_the_point_fits(tables, results):
    again = _fits(tables, losses=["other"], seed=1)
    assert results["fits"].equals(again["fits"])
    assert not results["draws"].equals(again["draws"])


def test_another_held_out_cell_changes_no_other_draw(tables):
    """A cell of one data set leaves the intervals of that data set alone: its sigma is theirs."""
    more = copy.deepcopy(tables)
    removed = "dataset=one/size=400000/ratio=40"
    more["cells"] = [row for row in more["cells"] if row["cell"] != removed]
    left = _rows(_fits(tables), "predictions", dataset="one")
    right = _rows(_fits(more), "predictions", dataset="one")
    assert [row for row in left if row["cell"] != removed] == right


def test_draws_are_joint_and_complete(results):
    rows = _rows(results, "draws", dataset="two", kind="loss", response="yardstick")
    assert len(rows) == 4 * 300
    assert {row["parameter"] for row in rows} == {"E", "A", "B", "alpha"}
    assert sorted({row["draw"] for row in rows}) == list(range(300))
    assert all(np.isfinite(row["value"]) for row in rows)
    assert results["draws"].num_rows == 300 * (3 * 2 * 4 + 3 * 3 * 3)


@pytest.mark.parametrize("status", ["diverged", "failed"])
def test_unfinished_cells_never_enter(tables, status):
    changed = copy.deepcopy(tables)
    bad = next(row for row in changed["cells"] if row["dataset"] == "one" and row["fit_loss"])
    held = next(row for row in changed["cells"] if row["dataset"] == "two" and row["target"])
    bad["status"] = held["status"] = status
    results = _fits(changed)
    row = _rows(results, "fits", fit="loss/tied/one/yardstick")[0]
    assert row["points"] == 4 and f"fit cells missing: {bad['cell']} ({status})" in row["verdict"]
    assert not _rows(results, "predictions", cell=bad["cell"])
    predictions = _rows(results, "predictions", cell=held["cell"])
    assert predictions, "a target is predicted although nothing was measured"
    for row in predictions:
        assert row["measured"] is None and row["relative_error"] is None and row["covered"] is None
        assert row["lower"] < row["predicted"] < row["upper"]


def test_losses_that_are_not_finite_never_enter(tables):
    changed = copy.deepcopy(tables)
    cells = [row["cell"] for row in changed["cells"] if row["dataset"] == "one" and row["fit_loss"]]
    for row in changed["losses"]:
        if row["cell"] == cells[0]:
            row["loss"] = float("nan")
        if row["cell"] == cells[1]:
            row["loss"] = None
    row = _rows(_fits(changed), "fits", fit="loss/tied/one/yardstick")[0]
    assert row["status"] == "refused" and "3 points, 4 parameters" in row["reason"]


def test_refused_law_gives_a_row_and_no_prediction(tables):
    changed = copy.deepcopy(tables)
    for row in changed["cells"]:
        row["fit_loss"] = row["fit_loss"] and "ratio=160" not in row["cell"]
        row["fit_error"] = row["fit_loss"]
    results = _fits(changed)
    rows = _rows(results, "fits", kind="loss")
    assert {row["status"] for row in rows} == {"refused"}
    assert all("one ray of M" in row["verdict"] and not row["converged"] for row in rows)
    assert results["predictions"].num_rows == 0
    assert not _rows(results, "fit_parameters", fit=rows[0]["fit"])
    assert _rows(results, "fits", fit="error/decay/one/average")[0]["status"] == "fitted"


def test_recipes_do_not_mix(tables):
    changed = copy.deepcopy(tables)
    ours = [row for row in changed["cells"] if row["dataset"] == "one"]
    next(row for row in ours if row["fit_loss"])["recipe"] = "hot"
    rows = _rows(_fits(changed), "fits", dataset="one")
    assert {row["reason"] for row in rows} == {
        "fit cells mix recipes (base, hot), one law needs one recipe"
    }


def test_cells_of_another_recipe_are_not_predicted(tables):
    changed = copy.deepcopy(tables)
    other = next(row for row in changed["cells"] if not row["fit_error"] and not row["target"])
    other["recipe"] = "hot"
    assert not _rows(_fits(changed), "predictions", cell=other["cell"])


def test_seeds_are_replicates(tables):
    changed = copy.deepcopy(tables)
    twins = [dict(row) for row in tables["cells"] if row["fit_loss"]]
    losses = {row["cell"]: row["loss"] for row in tables["losses"]}
    for row in twins:
        loss = losses[row["cell"]]
        row |= {"cell": row["cell"] + "/seed=1", "seed": 1, "fit_error": False}
        changed["losses"].append({"cell": row["cell"], "validation": "yardstick", "loss": loss})
    changed["cells"] += twins
    row = _rows(_fits(changed, per_task=False), "fits", fit="loss/tied/one/yardstick")[0]
    assert row["points"] == 10 and row["degrees_of_freedom"] == 6


def test_one_data_set_falls_back_to_its_own_held_out_cells_then_to_its_own_residuals(tables):
    alone = synthetic.tables(datasets=["one"])
    row = _rows(_fits(alone), "fits", fit="loss/tied/one/yardstick")[0]
    assert row["sigma_source"].startswith("this data set's own held-out cells")
    alone["cells"] = [r for r in alone["cells"] if r["fit_loss"] or r["target"]]
    results = _fits(alone)
    row = _rows(results, "fits", fit="loss/tied/one/yardstick")[0]
    assert "own residuals (Student t)" in row["sigma_source"] and "1 degrees" in row["sigma_source"]
    cells = {cell["cell"] for cell in alone["cells"] if cell["fit_loss"]}
    losses = [r["loss"] for r in alone["losses"] if r["cell"] in cells]
    # One degree of freedom: sigma^2 is the whole residual sum of squares, here relative to loss.
    assert row["sigma"] == pytest.approx(np.sqrt(5) * row["rmse"] / np.mean(losses), rel=0.2)
    for row in alone["cells"]:
        if row["cell"].endswith("size=400000/ratio=20"):
            row["status"] = "failed"
    results = _fits(alone, per_task=False)
    row = _rows(results, "predictions", kind="loss", role="target")[0]
    assert row["lower"] is None and row["covered"] is None and "no interval" in row["method"]
    assert row["relative_error"] is not None


def test_noise_free_study_is_predicted_exactly():
    results = _fits(synthetic.tables(sigma=0.0), per_task=False)
    for row in _rows(results, "predictions"):
        assert row["relative_error"] < 1e-6


def test_constant_losses_are_refused(tables):
    changed = copy.deepcopy(tables)
    for row in changed["losses"]:
        row["loss"] = 3.0
    reasons = {row["reason"] for row in _rows(_fits(changed), "fits", kind="loss")}
    assert reasons == {"constant loss: all 5 values are 3, nothing to fit"}


def test_study_without_a_finished_cell_is_refused_law_by_law(tables):
    changed = copy.deepcopy(tables)
    for row in changed["cells"]:
        row["status"] = "failed"
    changed["losses"] = changed["tasks"] = []
    results = _fits(changed)
    assert {row["status"] for row in _rows(results, "fits")} == {"refused"}
    assert results["draws"].num_rows == results["predictions"].num_rows == 0


def test_average_needs_all_of_its_tasks(tables):
    changed = copy.deepcopy(tables)
    lost = changed["tasks"].pop()
    runs = next(r for r in collect_runs(changed) if lost["cell"] in r.cells)
    place = runs.cells.index(lost["cell"])
    assert np.isnan(runs.errors["average"][place]) and np.isnan(runs.errors["order"][place])
    assert np.isfinite(runs.errors["cloze"][place])


@pytest.mark.parametrize(
    ("table", "change", "message"),
    [
        ("cells", lambda rows: rows.append(rows[0]), "table cells has two rows for"),
        ("losses", lambda rows: rows.append(rows[0]), "table losses has two rows for"),
        ("tasks", lambda rows: rows[0].update(task="average"), "a task is called 'average'"),
        (
            "cells",
            lambda rows: rows[0].update(dataset="all"),
            "a data set is called 'all', which stands for all data sets together",
        ),
        (
            "losses",
            lambda rows: [row.update(validation="else") for row in rows[::2]],
            "'yardstick' is not in the losses table",
        ),
    ],
)
def test_contradictory_tables_are_named(tables, table, change, message):
    changed = copy.deepcopy(tables)
    change(changed[table])
    with pytest.raises(ScalebedError, match=message):
        _fits(changed)


def _write(folder: Path, tables: synthetic.Tables) -> None:
    for name, rows in tables.items():
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), folder / f"{name}.parquet")


def test_verb_writes_four_tables_that_are_the_same_twice(tmp_path, tables, results):
    _write(tmp_path, tables)
    words = ["fit-laws", "--params", synthetic.params(losses=["other"]), "--tables", str(tmp_path)]
    for name in ("first", "second"):
        assert main([*words, "--out", str(tmp_path / name)]) == 0
    for name, table in results.items():
        first = (tmp_path / "first" / f"{name}.parquet").read_bytes()
        assert first == (tmp_path / "second" / f"{name}.parquet").read_bytes()
        read = pyarrow.parquet.read_table(tmp_path / "first" / f"{name}.parquet")
        assert read.equals(table)
        assert json.loads(read.schema.metadata[b"params"])["loss"] == "yardstick"


def test_verb_names_a_missing_table_and_writes_nothing(tmp_path, tables, capsys):
    _write(tmp_path, tables)
    (tmp_path / "losses.parquet").write_bytes(b"PAR1 cut short")
    words = ["fit-laws", "--params", synthetic.params(), "--tables", str(tmp_path)]
    assert main([*words, "--out", str(tmp_path / "out")]) == 2
    assert "losses.parquet" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_fit_result_reports_parameters_by_name(tables):
    runs = collect_runs(tables)[0]
    used = runs.fit_loss
    law = get_law("tied")
    fit = fit_law(law, (runs.params[used], runs.tokens[used]), runs.losses["yardstick"][used])
    assert tuple(fit.parameters) == names(law.parameters)
    assert fit.derived["eta"] == fit.parameters["alpha"] / 2


OPTIONS = {
    "huber": {"loss_options": {"objective": "huber_log"}},
    "log": {
        "loss_options": {"objective": "log_sse"},
        "error_options": {"objective": "log_sse"},
    },
    "fixed": {"loss_options": {"fixed": {"alpha": 0.3}}},
    "prior": {"loss_options": {"priors": {"alpha": [0.3, 0.05]}}},
    "weighted": {"weights": {"loss": "evaluation", "error": "evaluation"}},
    "sigmoid": {"error_law": "sigmoid_chance"},
    "chance": {"error_law": "decay_chance"},
    "direct": {"error_law": "neglog_compute"},
    "chinchilla": {
        "loss_law": "chinchilla",
        "loss_options": {"priors": {"alpha": [0.3, 0.05], "beta": [0.3, 0.05]}},
    },
}


@pytest.mark.parametrize("changes", OPTIONS.values(), ids=OPTIONS)
def test_laws_and_objectives_go_through_to_predictions(tables, changes):
    known = copy.deepcopy(tables)
    for row in known["tasks"]:
        row["chance_error"] = 0.87
    results = _fits(known, draws=200, **changes)
    wanted = {
        "loss": changes.get("loss_law", "tied"),
        "error": changes.get("error_law", "decay"),
    }
    for kind, law in wanted.items():
        response = "yardstick" if kind == "loss" else "average"
        fits = _rows(results, "fits", kind=kind, response=response)
        assert [row["status"] for row in fits] == ["fitted"] * 3
        assert {row["law"] for row in fits} == {law}
        rows = _rows(results, "predictions", kind=kind, response=response, role="target")
        assert len(rows) == 6
        for row in rows:
            assert row["lower"] < row["predicted"] < row["upper"]
            assert row["predicted"] == pytest.approx(row["measured"], rel=0.1)
            assert row["share_run"] > 0 and row["share_evaluation"] >= 0
            assert (row["predicted_from_measured_loss"] is None) == (
                kind == "loss" or law == "neglog_compute"
            )
    if "loss_options" in changes and "fixed" in changes["loss_options"]:
        row = _rows(results, "fit_parameters", fit="loss/tied/one/yardstick", parameter="alpha")[0]
        assert row["value"] == row["lower"] == row["upper"] == 0.3


def test_an_exponent_shared_by_all_data_sets(tables):
    results = _fits(tables, draws=200, pool={"parameters": ["alpha"], "spread": 0.0})
    rows = _rows(results, "pooled_parameters", parameter="alpha")
    assert len({row["value"] for row in rows}) == 1 and all(row["pooled"] for row in rows)
    assert not any(row["pooled"] for row in _rows(results, "pooled_parameters", parameter="A"))
    (ladder,) = _rows(results, "pooling")
    assert ladder["spread"] == 0.0 and ladder["chosen"] and ladder["verdict"] == "certified"
    rows = _rows(results, "pooled_predictions", role="target")
    assert len(rows) == 6
    for row in rows:
        assert row["lower"] < row["predicted"] < row["upper"]
    assert not _rows(_fits(tables, draws=200), "pooling")


def test_pooling_one_data_set_is_refused():
    alone = synthetic.tables(datasets=["one"])
    results = _fits(alone, draws=200, pool={"parameters": ["alpha"]})
    (row,) = _rows(results, "pooling")
    assert row["verdict"].startswith("refused: pooling needs two data sets or more")
    assert not row["chosen"] and not _rows(results, "pooled_predictions")


def test_every_cell_of_a_fit_has_its_influence(results):
    rows = _rows(results, "influence", fit="loss/tied/one/yardstick")
    assert len(rows) == 5
    assert sum(row["leverage"] for row in rows) == pytest.approx(4)
    row = _rows(results, "fits", fit="loss/tied/one/yardstick")[0]
    assert row["effective_parameters"] == pytest.approx(4) and row["gradient"] <= 1e-6
    assert row["condition"] > 1 and row["minima"] >= 1 and row["objective"] == "sse"


def test_the_verdict_stands_beside_every_prediction(results):
    fits = {row["fit"]: row for row in _rows(results, "fits")}
    for row in _rows(results, "predictions"):
        if row["kind"] == "loss":
            fit = fits[f"loss/tied/{row['dataset']}/{row['response']}"]
            assert row["numbers"] == fit["numbers"]
            verdict, _, rests = fit["evidence"].partition(": ")
            assert row["evidence"].startswith(verdict) and rests in row["evidence"]
            far = row["target_flops"] > 1.05 * _largest(results, row["dataset"])
            assert far == ("within the compute of the data" not in row["evidence"])
            assert (
                not far or " the compute" in row["evidence"] or " of the data, " in row["evidence"]
            )
        else:
            fit = fits[f"error/decay/{row['dataset']}/{row['response']}"]
            assert fit["numbers"] in row["numbers"]
            assert fit["evidence"] in row["evidence"]
        assert row["verdict"] == f"numbers: {row['numbers']}; evidence: {row['evidence']}"


def _largest(results, dataset):
    rows = _rows(results, "predictions", dataset=dataset, kind="loss", role="fit")
    return max(row["target_flops"] for row in rows)
