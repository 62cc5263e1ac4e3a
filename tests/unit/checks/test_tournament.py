"""The tournament: its splits, its scores, its differences and what it says."""

import numpy as np
import pytest
from extrapolation_study import open_tables, study
from synthetic_study import BIG, ERROR, SIZES, TRUTH, settings, tables

from scalebed.checks.tournament.batch import fit_many
from scalebed.checks.tournament.differences import cluster_draws, differences
from scalebed.checks.tournament.entries import BASELINE, error_entries, loss_entries
from scalebed.checks.tournament.play import Rules, run_tournament
from scalebed.checks.tournament.scores import WORST
from scalebed.checks.tournament.splits import cell_numbers, make_splits, short
from scalebed.checks.tournament.table import BEST, EVEN, REFUSED, TABLE, WORSE
from scalebed.checks.tournament.text import table_lines
from scalebed.checks.tournament.verdict import asked, verdicts
from scalebed.core.errors import ScalebedError
from scalebed.fit import FitRefusedError, Options, fit_law
from scalebed.laws import get_law, names_of
from scalebed.tables.arrow import read_table, write_rows


@pytest.fixture(scope="module")
def noisy():
    return study(sigma=0.005)


LAWS = ("compute", "constrained", "chinchilla", "log_linear", "decay_chance", "log_compute")


@pytest.fixture(scope="module")
def rows(noisy):
    return run_tournament(noisy, Rules(draws=400, laws=LAWS))


def of(rows, **wanted):
    return [row for row in rows if all(row[key] == value for key, value in wanted.items())]


def test_splits_of_a_grid(noisy):
    splits = {split.name: split for split in make_splits(noisy.runs)}
    assert [split.family for split in splits.values()] == [
        *["N"] * 2,
        *["C"] * sum(split.family == "C" for split in splits.values()),
        *["M"] * 2,
        *["design"] * 2,
    ]
    runs = noisy.runs[0]
    by_size = splits["N<=800k"]
    assert by_size.label == "N up to 800k predict 1.6M and more"
    np.testing.assert_array_equal(by_size.train[0], runs.params <= SIZES[2])
    np.testing.assert_array_equal(by_size.test[0], runs.params > SIZES[2])
    narrow = splits["M<=40"]
    ratio = runs.tokens / runs.params
    np.testing.assert_array_equal(narrow.train[0], (ratio < 50) & (runs.params < BIG))
    np.testing.assert_array_equal(narrow.test[0], runs.params == BIG)
    kept = splits["M<=40, sizes kept"]
    np.testing.assert_array_equal(kept.test[0], (ratio > 50) & (runs.params < BIG))
    design = splits["design"]
    np.testing.assert_array_equal(design.train[0], runs.fit_loss)
    np.testing.assert_array_equal(design.test[0], ~runs.fit_loss)
    np.testing.assert_array_equal(splits["design, targets"].error_test[0], runs.target)
    for split in splits.values():
        for train, test in zip(split.train, split.test, strict=True):
            assert not (train & test).any()
            assert test.any()
        for train, test in zip(split.error_train, split.error_test, strict=True):
            assert not (train & test).any()
    for k in (15, 16):
        split = splits.get(f"C<=1e{k}")
        if split is not None:
            np.testing.assert_array_equal(split.train[0], runs.flops <= 10.0**k)
            np.testing.assert_array_equal(split.test[0], runs.flops > 10.0**k)
    assert any(split.family == "C" for split in splits.values())


def test_cells_outside_the_range_of_M_are_fitted_in_one_split_alone():
    found = tables(sigma=0.0)
    for row in found["cells"]:
        if row["params"] > SIZES[2]:
            row.update(fit_loss=False, fit_error=False)
        if row["tokens"] / row["params"] > 100:
            row.update(fit_loss=False, fit_error=False, target=False, scatter=False)
    opened = open_tables(found)
    splits = {split.name: split for split in make_splits(opened.runs)}
    runs = opened.runs[0]
    ratio = runs.tokens / runs.params
    whole = splits.pop("M all")
    assert (whole.train[0] & (ratio > 100)).sum() == 3
    np.testing.assert_array_equal(whole.test[0], (ratio < 100) & (runs.params > SIZES[2]))
    assert splits
    for split in splits.values():
        assert not ((split.train[0] | split.test[0]) & (ratio > 100)).any(), split.name


def test_a_study_of_fit_cells_alone_has_no_split():
    found = tables(sigma=0.0)
    keep = {row["cell"] for row in found["cells"] if row["fit_loss"]}
    found = {name: [row for row in found[name] if row["cell"] in keep] for name in found}
    assert make_splits(open_tables(found).runs) == ()
    assert run_tournament(open_tables(found)) == []
    assert verdicts([]) == []


def test_cells_that_differ_in_data_set_only_share_a_cluster(noisy):
    one, two, three = cell_numbers(noisy.runs)
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(one, three)
    assert len(set(one.tolist())) == one.size == 18


def test_the_true_law_predicts_noise_free_runs_exactly():
    exact = study(datasets=["one", "two"])
    found = run_tournament(exact, Rules(kinds=("loss",), laws=("log_linear",), draws=200))
    true = of(found, law="tied", objective="sse")
    assert true
    for row in true:
        assert row["error"] < 1e-6, row["split"]
        assert row["in_sample"] < 1e-6
        assert row["own"]
        assert row["difference"] == 0.0
    for row in of(found, law="log_linear", objective="sse", family="N"):
        assert row["error"] > 0.5
        # Two designs establish nothing, however clear their difference.
        assert row["standing"] == (WORSE if row["clusters"] > 2 else EVEN)
        assert row["difference"] == pytest.approx(row["error"], abs=1e-6)


def test_the_true_error_law_predicts_noise_free_errors_exactly():
    found = run_tournament(study(), Rules(kinds=("error",), laws=("linear",), draws=200))
    for response in ("average", "cloze", "order"):
        true = of(found, law="decay", response=response, scope="response")
        assert true
        assert max(row["error"] for row in true) < 1e-4
    assert {row["law"] for row in found} == {"decay", "linear", BASELINE}
    stacked = of(found, law=BASELINE, scope="tasks", split="design, targets")[0]
    single = [
        of(found, law=BASELINE, response=task, split="design, targets")[0]["error"]
        for task in ("cloze", "order")
    ]
    assert stacked["error"] == pytest.approx(np.mean(single))
    assert stacked["cells"] == 2 * 2 * len(TRUTH)


def test_the_baseline_is_the_error_of_the_largest_fitted_run(noisy, rows):
    row = of(rows, law=BASELINE, response="average", split="design, targets")[0]
    expected = []
    for runs in noisy.runs:
        used = np.flatnonzero(runs.fit_error)
        last = used[np.argmax(runs.flops[used])]
        errors = runs.errors["average"]
        expected += (100 * np.abs(errors[runs.target] - errors[last])).tolist()
    assert row["error"] == pytest.approx(np.mean(expected))
    assert row["in_sample"] is None


def test_means_and_differences_are_of_the_errors(noisy, rows):
    split = next(split for split in make_splits(noisy.runs) if split.name == "N<=800k")
    errors = {}
    for name, options in (("tied", Options()), ("compute", Options(objective="log_sse"))):
        law = get_law(name)
        errors[name] = []
        for runs, train, test in zip(noisy.runs, split.train, split.test, strict=True):
            x = [runs.column(key, "yardstick", "yardstick") for key in law.inputs]
            loss = runs.loss("yardstick")
            fit = fit_law(law, tuple(column[train] for column in x), loss[train], options)
            predicted = fit.predict(*(column[test] for column in x))
            errors[name] += (100 * np.abs(predicted / loss[test] - 1)).tolist()
    row = of(rows, law="compute", objective="log_sse", split="N<=800k")[0]
    assert row["error"] == pytest.approx(np.mean(errors["compute"]))
    rest = np.subtract(errors["compute"], errors["tied"])
    assert row["difference"] == pytest.approx(rest.mean())
    assert row["lower"] <= row["difference"] <= row["upper"]
    assert row["cells"] == rest.size == 3 * 6
    assert row["clusters"] == 6


def test_every_law_takes_part_by_being_registered(rows):
    assert {entry.law for entry in loss_entries()} == set(names_of("loss"))
    assert len(loss_entries()) == 3 * len(names_of("loss")) + 2
    named = {"tied", "compute", "constrained", "chinchilla", "log_linear"}
    assert {row["law"] for row in of(rows, kind="loss")} == named
    assert {entry.law for entry in error_entries()} == {
        *names_of("error"),
        *names_of("direct"),
        BASELINE,
    }
    for row in of(rows, kind="loss", law="tied", split="design"):
        assert row["own"] == (row["objective"] == "sse")


def test_a_law_without_its_data_is_shown_as_refused(rows):
    refused = of(rows, law="constrained")
    assert refused
    for row in refused:
        assert row["standing"] == REFUSED
        assert row["error"] is None
        assert row["refused"] == row["fits"]
        assert "repetition" in row["reason"] or "fewer points" in row["reason"]


def test_the_means_over_a_family_weigh_its_splits_alike(rows):
    for family in ("N", "C"):
        single = of(rows, law="tied", objective="log_sse", family=family)
        mean = of(single, split=f"mean, {family}")
        parts = [row for row in single if row not in mean]
        if len(parts) < 2:
            assert not mean
            continue
        assert mean[0]["error"] == pytest.approx(np.mean([row["error"] for row in parts]))
        assert mean[0]["cells"] == sum(row["cells"] for row in parts)


def test_columns_and_parquet(tmp_path, rows):
    assert all(sorted(row) == sorted(TABLE.names) for row in rows)
    write_rows(TABLE, rows, tmp_path / "t" / "tournament.parquet")
    read = read_table(TABLE, tmp_path / "t" / "tournament.parquet").to_pylist()
    assert len(read) == len(rows)
    for row in rows:
        assert {name: row[name] for name in TABLE.names} in read


def test_the_result_does_not_depend_on_workers(noisy):
    rules = {"kinds": ("error",), "laws": ("linear",), "draws": 200}
    one = run_tournament(noisy, Rules(**rules))
    assert run_tournament(noisy, Rules(workers=2, **rules)) == one


def test_an_unknown_validation_set_or_law_is_an_error(noisy):
    with pytest.raises(ScalebedError, match="law 'newton' is unknown"):
        run_tournament(noisy, Rules(laws=("newton",)))
    with pytest.raises(ScalebedError, match="'elsewhere' was measured nowhere, there is other, y"):
        run_tournament(noisy, Rules(losses=("elsewhere",)))


def test_the_study_s_own_options_take_part():
    plain = study(sigma=0.005, datasets=["one"])
    own = settings(per_task=False, loss_options={"fixed": {"E": 1.8}})
    found = run_tournament(
        open_tables(plain.tables, own), Rules(kinds=("loss",), laws=("compute",), draws=200)
    )
    mine = of(found, own=True, split="design")
    assert [row["objective"] for row in mine] == ["sse, the study's options"]
    assert len(of(found, split="design")) == 7


def test_many_tasks_at_once_are_fitted_as_one_by_one(noisy):
    runs = noisy.runs[0]
    rng = np.random.default_rng(5)
    loss = runs.loss("yardstick")
    curve = get_law("decay").predict(ERROR, (loss,))
    ys = {str(i): np.clip(curve + 0.02 * rng.standard_normal(loss.size), 0, 1) for i in range(5)}
    ys["flat"] = np.full(loss.size, 0.5)
    for name in ("sigmoid", "logistic", "sigmoid_tied", "decay"):
        law = get_law(name)
        x = tuple(runs.column(key, "cloze", "yardstick") for key in law.inputs)
        together = fit_many(law, x, ys, Options())
        assert list(together) == list(ys)
        for key, y in ys.items():
            try:
                alone = fit_law(law, x, y)
            except FitRefusedError as refused:
                assert str(together[key]) == str(refused)
                continue
            cost = (together[key].residuals ** 2).sum(), (alone.residuals**2).sum()
            assert cost[0] == pytest.approx(cost[1], rel=1e-8)
            fitted = law.value(together[key].theta, x)
            np.testing.assert_allclose(fitted, alone.fitted, atol=1e-5)


def test_a_prediction_that_is_far_off_counts_as_useless_and_no_more(rows):
    errors = [row["error"] for row in rows if row["error"] is not None]
    assert max(errors) <= WORST


@pytest.mark.parametrize("clusters", [5, 12, 40])
def test_differences_are_found_at_the_rate_promised(clusters):
    # No difference in truth: an established one is a false alarm, 10 % of the time.
    rng = np.random.default_rng(7)
    draws = cluster_draws(clusters, 1000, rng)
    members = np.repeat(np.arange(clusters), 3)
    rest = rng.standard_normal((800, clusters))[:, members]
    rest = rest + 0.5 * rng.standard_normal(rest.shape)
    weights = np.full(members.size, 1 / members.size)
    found = differences(rest, np.zeros(members.size), weights, members, draws, 0.9)
    assert 0.06 <= found.established.mean() <= 0.135
    np.testing.assert_allclose(found.mean, rest.mean(1))
    shifted = differences(rest + 5, np.zeros(members.size), weights, members, draws, 0.9)
    assert shifted.established.mean() > 0.98


def test_a_missing_prediction_leaves_its_target_out():
    draws = cluster_draws(3, 500, np.random.default_rng(0))
    errors = np.array([[1.0, 2.0, 3.0], [1.0, np.nan, 5.0], [np.nan] * 3])
    weights = np.full(3, 1 / 3)
    found = differences(errors, np.ones(3), weights, np.arange(3), draws, 0.9)
    np.testing.assert_allclose(found.mean[:2], [1.0, 2.0])
    assert np.isnan(found.mean[2])
    assert np.isnan(found.lower[2])
    assert not found.established[2]


def test_one_cluster_establishes_nothing():
    draws = cluster_draws(1, 100, np.random.default_rng(0))
    found = differences(
        np.full((1, 4), 9.0), np.zeros(4), np.full(4, 0.25), np.zeros(4, int), draws, 0.9
    )
    assert found.mean[0] == 9.0
    assert not found.established[0]


def test_the_verdict_is_a_sentence_about_the_extrapolation_asked(noisy, rows):
    assert asked(noisy) == "N"
    loss, average = verdicts(rows, "N")
    assert loss.startswith("yardstick (loss), mean, N: believe ")
    assert average.startswith("average (error), mean, N: believe ")
    best = of(rows, kind="loss", split="mean, N", standing=BEST)[0]
    assert f"believe {best['law']} ({best['objective']}), mean error {best['error']:.2f} %" in loss
    mine = of(rows, kind="loss", split="mean, N", own=True)[0]
    if mine["standing"] == EVEN:
        assert "that it is worse is not established" in loss
    assert loss.endswith(f"{mine['cells']} predictions of {mine['clusters']} designs.")


def test_nothing_is_recommended_where_nothing_was_fitted(rows):
    refused = of(rows, law="constrained", split="design")
    assert verdicts(refused, "design") == [
        "yardstick (loss), design: no law could be fitted everywhere, so none can be recommended."
    ]


def test_the_text_has_every_law_and_split_once(rows):
    lines = table_lines(rows)
    start = lines.index("yardstick: mean absolute error of the loss, %")
    table = lines[start + 1 : lines.index("", start)]
    assert len(table) == 3 * 5 + 2 + 2
    assert "refused!" in next(line for line in table if line.startswith(" constrained sse"))
    assert sum(line.startswith("=") for line in table) == 1
    splits = {row["split"] for row in of(rows, kind="loss")}
    assert sum(line.count("*") for line in table) == len(splits)
    hidden = {line.split(":")[0] for line in lines if ": mean absolute error" in line}
    assert hidden == {"yardstick", "average", "each task of average"}


def test_counts_as_people_say_them():
    assert [short(value) for value in (154e6, 1.44e9, 9.5e5, 12.0, 9.997e8)] == [
        "154M",
        "1.4B",
        "950k",
        "12",
        "1B",
    ]
