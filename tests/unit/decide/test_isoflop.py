import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.linalg import block_diag

from scalebed.commands.cli import main
from scalebed.decide.isoflop.budgets import budgets_found, budgets_given, overlapping
from scalebed.decide.isoflop.isoflop import isoflop, limits
from scalebed.decide.isoflop.parabola import Line, parabola_of
from scalebed.decide.isoflop.scatter import RHO, drawn_vertices, scatter_of
from scalebed.decide.isoflop.text import lines
from scalebed.decide.sources import constant_curve

HOFFMANN = {"E": 1.69, "A": 406.4, "B": 410.7, "alpha": 0.34, "beta": 0.28}
SIZES = np.array([5e7, 1e8, 2e8, 4e8, 8e8])


def runs_at(budgets, sizes=SIZES):
    params = np.tile(sizes, len(budgets))
    return params, np.repeat(budgets, len(sizes)) / 6 / params


def curve_with(params, tokens, loss):
    curve = constant_curve("chinchilla", HOFFMANN)
    return replace(curve, params=params, tokens=tokens, loss=loss, unique_tokens=tokens)


def test_budgets_are_found_where_runs_agree():
    flops = np.array([1e18, 1.05e18, 0.95e18, 3e18, 1e19, 1.1e19, 1.2e19])
    params = np.array([1e8, 2e8, 4e8, 1e8, 1e8, 2e8, 4e8])
    first, second = budgets_found(flops, params, 0.1)
    assert first.rows.tolist() == [0, 1, 2]
    assert first.flops == pytest.approx(np.sqrt(0.95 * 1.05) * 1e18)
    assert second.rows.tolist() == [4, 5, 6]
    assert [one.rows.tolist() for one in budgets_found(flops, params, 0.09)] == [[0, 1, 2]]


def test_seeds_of_two_sizes_are_no_budget():
    assert budgets_found(np.full(4, 1e18), np.array([1e8, 1e8, 2e8, 2e8])) == []


def test_given_budgets_take_what_is_near_them():
    flops = np.array([0.9e18, 0.92e18, 1.1e18, 1.11e18])
    (only,) = budgets_given(flops, [1e18], 0.1)
    # 1 / 1.1 is 0.909: as far below as 1.1 is above.
    assert only.rows.tolist() == [1, 2]
    assert overlapping([1e18, 1.2e18], 0.1) == (1e18, 1.2e18)
    assert overlapping([1e18, 1.3e18], 0.1) is None


def test_a_parabola_gives_its_vertex():
    params = 1e8 * np.exp([-1.0, 0.0, 1.0])
    # 3 + (x - 0.25)^2 / 10 at x = -1, 0, 1.
    found = parabola_of(params, np.array([3.15625, 3.00625, 3.05625]))
    assert found.vertex == pytest.approx(np.log(1e8) + 0.25)
    assert scatter_of([found], np.arange(3)) is None


def test_quantiles_of_a_drawn_vertex_are_fiellers_limits():
    x = np.linspace(-1.5, 1.5, 7)
    off = 0.004 * np.array([1, -1, 0, 1, -1, 1, -1])
    found = parabola_of(np.exp(x), 3 * (1 + 0.02 * (x - 0.2) ** 2 + off))
    scatter = scatter_of([found], np.arange(7))
    assert scatter.freedom == 4
    assert scatter.value == pytest.approx(np.sqrt(found.rest @ found.rest / 4))
    draw = np.random.default_rng(0)
    vertices = [drawn_vertices([found], np.arange(7), scatter, draw)[0] for _ in range(20)]
    found_limits = limits(np.concatenate(vertices), 0.8)
    # (c1 + 2 c2 x)^2 = t^2 var(c1 + 2 c2 x), with Student's t(0.9; 4) = 1.5332.
    _, slope, bend = found.coefficients
    cov = (scatter.value * 1.5332) ** 2 * np.linalg.inv(found.design.T @ found.design)
    square = [4 * (bend**2 - cov[2, 2]), 4 * (slope * bend - cov[1, 2]), slope**2 - cov[1, 1]]
    assert sorted(np.roots(square) + found.centre) == pytest.approx(found_limits, abs=0.01)


def restricted(rho, budgets, groups):
    """Log of the restricted likelihood, from the textbook's determinants."""
    design = block_diag(*[one.design for one in budgets])
    rest = np.concatenate([one.rest for one in budgets])
    cov = (1 - rho) * np.eye(rest.size) + rho * np.equal.outer(groups, groups)
    inverse = np.linalg.inv(cov)
    inner = design.T @ inverse @ design
    project = inverse - inverse @ design @ np.linalg.inv(inner) @ design.T @ inverse
    square = rest @ project @ rest
    freedom = rest.size - design.shape[1]
    logs = [np.linalg.slogdet(one)[1] for one in (cov, inner)]
    return -0.5 * (sum(logs) + freedom * np.log(square)), square


def test_residuals_of_checkpoints_weigh_what_runs_share():
    draw = np.random.default_rng(3)
    sizes = 1e8 * np.exp(np.linspace(-1.5, 1.5, 6))
    run = draw.normal(0, 0.004, 6)
    bent = 3 + 0.1 * np.linspace(-1.5, 1.5, 6) ** 2
    budgets = [parabola_of(sizes, bent * (1 + run + draw.normal(0, 0.002, 6))) for _ in range(3)]
    groups = np.tile(np.arange(6), 3)
    found = scatter_of(budgets, groups)
    # Three of the six runs are taken up by the parabolas, which are the same at all budgets.
    assert (found.freedom, found.rows) == (3, 9)
    for k in (0, 20, 50, 90):
        log, square = restricted(RHO[k], budgets, groups)
        start, _ = restricted(0.0, budgets, groups)
        assert found.squares[k] == pytest.approx(square)
        assert np.log(found.weights[k] / found.weights[0]) == pytest.approx(log - start)


def test_draws_of_budgets_go_together_as_their_runs_do():
    x = np.linspace(-1.5, 1.5, 6)
    budgets = [parabola_of(np.exp(x), 3 + 0.1 * x**2 + 0.01 * (-1.0) ** np.arange(6))] * 2
    shared, apart = np.tile(np.arange(6), 2), np.arange(12)
    # Residuals that are equal at both budgets say that all of the scatter is shared.
    scatter = scatter_of(budgets, shared)
    assert scatter.weights @ RHO > 0.8
    for groups, together in ((shared, 0.95), (apart, 0.0)):
        scatter = scatter_of(budgets, groups)
        first, second = drawn_vertices(budgets, groups, scatter, np.random.default_rng(0))
        order = np.corrcoef(first.argsort().argsort(), second.argsort().argsort())[0, 1]
        assert order == pytest.approx(together, abs=0.05)


def test_checkpoints_of_three_runs_show_no_scatter():
    run = np.repeat(np.arange(3), 3)
    params = np.array([8e7, 2e8, 5e8])[run]
    tokens = 3e18 / 6 / params * np.tile([0.95, 1.0, 1.05], 3)
    loss = 1.69 + 406.4 * params**-0.34 + 410.7 * tokens**-0.28
    loss = loss * (1 + np.tile([0.001, -0.001, 0.0], 3))
    curve = replace(curve_with(params, tokens, loss), groups=run)
    found = isoflop(curve, budgets_found(6 * params * tokens, params), [])
    (budget,) = found.budgets
    assert (found.scatter, found.freedom, found.together) == (None, 0, 6)
    assert budget.parabola.params.lower is None
    text = "\n".join(lines(found, curve, 0.1))
    assert "without checkpoints and repeats its parabolas leave no run to show a scatter" in text


def test_a_tail_of_draws_without_a_minimum_leaves_no_interval():
    samples = np.arange(100.0)
    assert limits(samples, 0.9) == (4.0, 94.0)
    samples[:5] = np.nan
    assert limits(samples, 0.9) is None


def test_a_line_gives_its_exponent_and_weighs_its_budgets():
    flops = np.array([1e18, 1e19, 1e20])
    vertices = 2 + 0.45 * np.log(flops)
    line = Line.through(flops, np.array([1.0, 4.0, 9.0]))
    assert line.exponent(vertices) == pytest.approx(0.45)
    assert line.at(vertices, 1e24) == pytest.approx(2 + 0.45 * np.log(1e24))
    # A vertex of no weight moves nothing.
    vertices[1] += 1.0
    assert Line.through(flops, np.array([1, 1e12, 1])).exponent(vertices) == pytest.approx(0.45)


def test_noise_free_losses_of_the_law_differ_from_it_by_the_bias_alone():
    budgets = np.array([3e18, 6e18, 1.2e19])
    params, tokens = runs_at(budgets)
    loss = 1.69 + 406.4 * params**-0.34 + 410.7 * tokens**-0.28
    curve = curve_with(params, tokens, loss)
    found = isoflop(curve, budgets_found(6 * params * tokens, params), [1e21])
    assert not found.aside
    for one in (*found.budgets, *found.ahead):
        ratio = one.parabola.params.value / one.law.params.value
        assert one.bias.params == pytest.approx(ratio - 1, abs=1e-9)
        assert (1 + one.bias.params) * (1 + one.bias.tokens) == pytest.approx(1)
    assert found.exponents.law.value == pytest.approx(0.28 / 0.62)
    off = found.exponents.parabola.value - found.exponents.law.value
    assert found.exponents.bias == pytest.approx(off, abs=1e-9)
    assert found.exponents.law.lower is None


def test_budgets_that_count_for_nothing_are_named():
    budgets = np.array([1e16, 3e18, 1e21])
    params, tokens = runs_at(budgets)
    loss = 1.69 + 406.4 * params**-0.34 + 410.7 * tokens**-0.28
    loss[:5] = [3.0, 3.1, 3.15, 3.1, 3.0]
    curve = curve_with(params, tokens, loss)
    found = isoflop(curve, budgets_found(6 * params * tokens, params), [])
    assert [one.flops for one in found.budgets] == [pytest.approx(3e18)]
    assert [one.reason for one in found.aside] == [
        "the parabola through its runs has no minimum",
        "the minimum of its parabola lies outside the sizes that were trained",
    ]
    text = "\n".join(lines(found, curve, 0.1))
    assert "C 1e+21 is set aside: the minimum" in text
    assert "No exponent: it takes two budgets with a minimum." in text


def test_runs_that_scatter_too_much_show_no_minimum():
    params, tokens = runs_at(np.array([3e18]))
    loss = np.array([3.0, 2.9, 3.1, 2.9, 3.05])
    found = isoflop(
        curve_with(params, tokens, loss), budgets_found(6 * params * tokens, params), []
    )
    assert not found.budgets
    assert [one.reason for one in found.aside] == ["its runs scatter too much to show a minimum"]


def test_three_runs_a_budget_have_no_interval():
    params, tokens = runs_at(np.array([3e18, 1.2e19]), np.array([8e7, 2e8, 5e8]))
    loss = 1.69 + 406.4 * params**-0.34 + 410.7 * tokens**-0.28
    curve = curve_with(params, tokens, loss)
    found = isoflop(curve, budgets_found(6 * params * tokens, params), [])
    assert found.freedom == 0
    assert found.budgets[0].parabola.params.lower is None
    assert "three runs a budget fix their parabola exactly" in "\n".join(lines(found, curve, 0.1))


@pytest.fixture
def table(tmp_path):
    params, tokens = runs_at(np.array([3e18, 6e18, 1.2e19, 2.4e19]))
    draw = np.random.default_rng(0)
    loss = 1.69 + 406.4 * params**-0.34 + 410.7 * tokens**-0.28
    loss *= 1 + 0.002 * draw.standard_normal(loss.size)
    path = tmp_path / "runs.csv"
    columns, names = np.column_stack([params, tokens, loss]), "params,tokens,loss"
    np.savetxt(path, columns, "%.17g", ",", header=names, comments="")
    return path


def test_the_verb_prints_text_and_json(table, capsys):
    assert main(["isoflop", str(table), "--compute", "1e21", "--draws", "200"]) == 0
    text = capsys.readouterr().out
    assert "Exponent a of N* ~ C^a: approach 2 " in text
    assert "with 8 degrees of freedom" in text
    assert main(["isoflop", str(table), "--compute", "1e21", "--draws", "200", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["schema"] == "scalebed.isoflop"
    assert [one["runs"] for one in found["budgets"]] == [5, 5, 5, 5]
    ahead = found["ahead"][0]["parabola"]["params"]
    assert ahead["lower"] < ahead["value"] < ahead["upper"]
    assert found["freedom"] == 8


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--tolerance", "0"], "--tolerance is 0"),
        (["--budgets", "1e18,1.1e18"], "too close for a tolerance of 10 %"),
        (["--compute", "7"], "is a unit missing"),
    ],
)
def test_slips_are_one_sentence(table, capsys, words, said):
    assert main(["isoflop", str(table), "--draws", "200", *words]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_constants_have_no_runs(capsys):
    given = ",".join(f"{name}={value}" for name, value in HOFFMANN.items())
    assert main(["isoflop", "--law", "chinchilla", "--params", given]) == 2
    assert "constants have no runs" in capsys.readouterr().err
