"""Contrasts of two data sets: the compute multiplier and who is better."""

import dataclasses

import numpy as np
import pyarrow
import pytest
import synthetic_study as synthetic
from extrapolation_study import open_tables
from synthetic_study import settings

from scalebed.checks.contrasts.compare import Target, _side, contrast, contrast_all
from scalebed.checks.contrasts.joint import joined
from scalebed.checks.contrasts.laws import study_tables
from scalebed.checks.contrasts.table import TABLE
from scalebed.checks.contrasts.text import lines
from scalebed.core.errors import ScalebedError
from scalebed.core.files import write_parquet
from scalebed.predict.study import fit_files
from scalebed.tables.arrow import read_table, write_rows

BASE = np.array([1.8, 60.0, 150.0, 0.27])
TARGET = Target(8e6, 3.2e8)


def scaled(factor):
    """The law that needs `factor` times the compute at every M."""
    # N and D both grow by the root of the factor.
    return BASE * np.array([1, factor ** (0.27 / 2), factor ** (0.27 / 2), 1])


@pytest.fixture
def laws(monkeypatch):
    """Data sets of which `two` needs 2 times, `three` 4 times the compute of `one`."""
    for name, factor in (("one", 1.0), ("two", 2.0), ("three", 4.0)):
        monkeypatch.setitem(synthetic.TRUTH, name, scaled(factor))


def study(sigma=0.0, seed=1, **changes):
    changes = {"per_task": False} | changes
    return open_tables(synthetic.tables(sigma=sigma, seed=seed), settings(**changes))


def contrasts_of_many(pairs, first):
    """Contrasts of losses of these data sets, a list for each of 70 studies."""
    for seed in range(first, first + 70):
        tables = synthetic.tables(sigma=0.004, seed=seed)
        # Without tasks no error law is fitted, which no contrast of losses needs.
        opened = open_tables(tables | {"tasks": []}, settings(per_task=False, draws=400))
        frames = study_tables(opened, ["yardstick"])
        yield [contrast(opened, a, b, TARGET, frames=frames) for a, b in pairs]


def test_a_known_multiplier_is_recovered(laws):
    opened = study()
    for a, b, factor in (("one", "two", 2.0), ("one", "three", 4.0), ("three", "two", 0.5)):
        row = contrast(opened, a, b, TARGET)
        assert row["multiplier"] == pytest.approx(factor, rel=1e-6)
        assert row["multiplier_lower"] <= row["multiplier"] * (1 + 1e-6)
        assert row["multiplier_upper"] >= row["multiplier"] * (1 - 1e-6)
        expected = [synthetic.TRUTH[name] for name in (a, b)]
        losses = [E + A * 8e6**-q + B * 3.2e8**-q for E, A, B, q in expected]
        assert [row["predicted_a"], row["predicted_b"]] == pytest.approx(losses, rel=1e-8)
        assert row["difference"] == pytest.approx(losses[1] - losses[0], rel=1e-6)


def test_the_same_multiplier_holds_for_errors_of_a_common_error_law(laws):
    row = contrast(study(), "one", "two", TARGET, "average")
    assert row["kind"] == "error"
    assert row["multiplier"] == pytest.approx(2.0, rel=1e-4)
    assert row["predicted_a"] < row["predicted_b"]


def test_the_interval_covers_the_multiplier(laws):
    covered, better = [], []
    factors = {("one", "two"): 2.0, ("one", "three"): 4.0, ("two", "three"): 2.0}
    for rows in contrasts_of_many(factors, 0):
        for row, factor in zip(rows, factors.values(), strict=True):
            covered.append(row["multiplier_lower"] <= factor <= row["multiplier_upper"])
            better.append(row["p_better"])
    # 210 contrasts of 70 studies: about 2.5 points of standard error.
    assert 0.84 <= np.mean(covered) <= 0.97
    assert 0.5 < np.mean(better) < 1.0


def test_equal_data_sets_are_told_apart_at_the_rate_promised(monkeypatch):
    for name in synthetic.TRUTH:
        monkeypatch.setitem(synthetic.TRUTH, name, BASE)
    outside = []
    for rows in contrasts_of_many([("one", "two"), ("one", "three"), ("two", "three")], 100):
        for row in rows:
            outside.append(not 0.05 <= row["p_better"] <= 0.95)
            told = "Which of the two is better is not established" in row["sentence"]
            assert told or outside[-1]
    assert 0.03 <= np.mean(outside) <= 0.16


def test_a_floor_that_is_never_reached_has_no_finite_multiplier(monkeypatch):
    monkeypatch.setitem(synthetic.TRUTH, "two", BASE + np.array([2.0, 0, 0, 0]))
    monkeypatch.setitem(synthetic.TRUTH, "one", BASE)
    row = contrast(study(), "one", "two", TARGET)
    assert row["multiplier"] == np.inf
    assert "needs more than 1e10 x the compute" in row["sentence"]
    assert row["p_better"] == 1.0
    assert "a probability of 0 or 1 means less than 1 in 300 draws" in row["notes"]
    assert f"P(one better) > {1 - 1 / 300:.6g}" in row["sentence"]
    back = contrast(study(), "two", "one", TARGET)
    assert 0 < back["multiplier"] < 0.01
    assert back["p_better"] == 0.0


def test_single_runs_differ_more_than_laws(laws):
    row = contrast(study(sigma=0.01), "one", "two", TARGET)
    assert 0.5 < row["p_better_run"] < row["p_better"]


def test_designs_and_reach_are_said(laws):
    opened = study(sigma=0.004)
    row = contrast(opened, "one", "two", TARGET)
    assert "different designs" not in row["notes"]
    assert "degrees of freedom: 1" in row["notes"]
    largest = max(
        row["flops"]
        for row in opened.tables["cells"]
        if row["dataset"] == "one" and row["fit_loss"]
    )
    assert row["reach"] == pytest.approx(6 * 8e6 * 3.2e8 / largest)
    tables = synthetic.tables(sigma=0.004)
    for cell in tables["cells"]:
        if cell["dataset"] == "two" and cell["params"] == 4e5 and cell["tokens"] == 80 * 4e5:
            cell["fit_loss"] = True
    row = contrast(open_tables(tables, settings(per_task=False)), "one", "two", TARGET)
    assert "different designs" in row["notes"]


def test_runs_that_are_alike_draw_two_data_sets_together(laws):
    """Every run of two data sets is off by the same; then their seeds differ."""
    tables = synthetic.tables(sigma=0.0, datasets=("one", "two")) | {"tasks": []}
    off = np.random.default_rng(3).normal(1, 0.01, 18)
    for cell in tables["cells"]:
        cell["fit_loss"] = not cell["target"]
    for k, loss in enumerate(tables["losses"]):
        loss["loss"] *= off[k // 2 % 18]
    opened = open_tables(tables, settings(per_task=False))
    row = contrast(opened, "one", "two", TARGET)
    assert row["matched"] == 16 and row["correlation"] > 0.85
    assert "16 runs are alike in N, D and seed" in row["notes"]
    for cell in tables["cells"]:
        cell["seed"] = int(cell["dataset"] == "two")
    apart = contrast(open_tables(tables, settings(per_task=False)), "one", "two", TARGET)
    assert apart["matched"] == 0 and apart["correlation"] == 0
    width, wide = (r["difference_upper"] - r["difference_lower"] for r in (row, apart))
    assert width < 0.5 * wide
    assert [row[key] for key in ("predicted_a", "predicted_b", "multiplier")] == pytest.approx(
        [apart[key] for key in ("predicted_a", "predicted_b", "multiplier")]
    )
    frames = study_tables(opened, ["yardstick"])
    one, two = (_side(opened, frames, r, "loss", "yardstick") for r in opened.runs)
    values = [side.values(np.full(301, 1e16), 20.0)[1:] for side in (one, two)]
    pair = joined(one, two, tuple(values), 0)
    assert pair.one is one
    # No interval of a data set alone changes: its draws are the same ones in another order.
    np.testing.assert_array_equal(np.sort(pair.two.loss.theta, 0), np.sort(two.loss.theta, 0))
    np.testing.assert_array_equal(pair.two.loss.theta[0], two.loss.theta[0])
    drawn = pair.two.values(np.full(301, 1e16), 20.0)[1:]
    assert np.corrcoef(values[0], drawn)[0, 1] > 0.8 > np.corrcoef(*values)[0, 1]
    assert np.std(values[0] + drawn) > 1.2 * np.std(values[0] + values[1])


def test_a_refused_law_gives_no_comparison():
    tables = synthetic.tables()
    for cell in tables["cells"]:
        if cell["dataset"] == "two" and cell["params"] > 2e5:
            cell["fit_loss"] = False
    row = contrast(open_tables(tables, settings(per_task=False)), "one", "two", TARGET)
    assert row["status"] == "refused"
    assert row["multiplier"] is None
    assert row["sentence"].startswith("one and two cannot be compared: the loss law of two is ref")


def test_a_name_that_looks_like_two_notes_makes_one():
    tables = synthetic.tables()
    for cell in tables["cells"]:
        if cell["dataset"] == "two":
            cell["dataset"] = "two; all is well"
            cell["fit_loss"] &= cell["params"] <= 2e5
    opened = open_tables(tables, settings(per_task=False))
    row = contrast(opened, "one", "two; all is well", TARGET)
    _, note = lines("x", [row])
    assert note.startswith("note: the loss law of two, all is well is refused (")


def test_every_pair_at_every_target(tmp_path, laws):
    rows = contrast_all(study(sigma=0.004))
    found = {(row["a"], row["b"], row["params"], row["tokens"], row["response"]) for row in rows}
    assert len(found) == len(rows) == 3 * 2 * 2
    assert {(row["params"], row["tokens"]) for row in rows} == {(8e6, 1.6e8), (8e6, 1.28e9)}
    assert all(list(row) == TABLE.names for row in rows)
    write_rows(TABLE, rows, tmp_path / "contrasts.parquet")
    read = read_table(TABLE, tmp_path / "contrasts.parquet").to_pylist()
    for row in rows:
        assert {key: None if value == np.inf else value for key, value in row.items()} in read


def test_stored_draws_give_what_a_new_fit_gives(tmp_path, laws):
    opened = study(sigma=0.004)
    for name, rows in opened.tables.items():
        write_parquet(tmp_path / "tables" / f"{name}.parquet", pyarrow.Table.from_pylist(rows))
    fit_files(tmp_path / "tables", tmp_path / "fits", synthetic.params(per_task=False))
    stored = dataclasses.replace(opened, folder=tmp_path)
    for response in ("yardstick", "average", "cloze"):
        assert contrast(stored, "one", "two", TARGET, response) == contrast(
            opened, "one", "two", TARGET, response
        )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("one", "one", TARGET), "with itself"),
        (("one", "four", TARGET), "no data set 'four', expected one of one, three, two"),
        (("one", "two", Target(0.0, 1e9)), "above 0"),
        (("one", "two", TARGET, "nothing"), "no validation set, task or average 'nothing'"),
    ],
)
def test_what_cannot_be_compared_is_named(words, message):
    with pytest.raises(ScalebedError, match=message):
        contrast(study(), *words)


def test_recipes_with_a_study_each_are_compared(monkeypatch):
    """The other study's runs reach the same with half the compute."""
    monkeypatch.setitem(synthetic.TRUTH, "one", scaled(1.0))
    plain = study(sigma=0.0005)
    monkeypatch.setitem(synthetic.TRUTH, "one", scaled(0.5))
    better = dataclasses.replace(study(sigma=0.0005, seed=2), name="hot")
    monkeypatch.undo()
    plain = dataclasses.replace(plain, name="base")
    row = contrast(plain, "one", "one", TARGET, other=better)
    assert (row["a"], row["b"]) == ("one (base)", "one (hot)")
    assert row["difference_lower"] < row["difference"] < row["difference_upper"] < 0
    assert row["multiplier"] == pytest.approx(0.5, rel=0.1) and row["p_better"] < 0.05
    # The same data set in the same study is the same; in another study its draws are others'.
    same = contrast(plain, "one", "one", TARGET, other=plain)
    assert same["difference"] == 0 and same["multiplier"] == pytest.approx(1)
    assert same["difference_lower"] < 0 < same["difference_upper"]
    assert same["p_better"] == pytest.approx(0.5, abs=0.12)
    rows = contrast_all(plain, targets=[TARGET], responses=["yardstick"], other=better)
    assert {row["a"] for row in rows} == {f"{name} (base)" for name in synthetic.TRUTH}
