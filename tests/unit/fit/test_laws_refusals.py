import numpy as np
import pytest
from law_truths import design, truth

from scalebed.fit import FitRefusedError, fit_law
from scalebed.laws import NAMES, get_law, names_of

SOME = [0.4] * 9


def data(name):
    law = get_law(name)
    x = design(law)
    return law, x, law.value(truth(name, SOME), x)


def response(law):
    return "loss" if law.kind == "loss" else "error"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_refused_by_place(name, value):
    law, x, y = data(name)
    for at in range(len(x) + 1):
        columns = [column.copy() for column in (*x, y)]
        columns[at][3] = value
        word = law.inputs[at] if at < len(x) else response(law)
        reason = law.refusal(tuple(columns[:-1]), columns[-1])
        assert reason.startswith(f"{word} of point 4 is {value}, expected ")


@pytest.mark.parametrize("name", names_of("loss"))
@pytest.mark.parametrize("value", [0.0, -2.5])
def test_losses_that_are_not_positive_are_refused(name, value):
    law, x, y = data(name)
    y[1] = value
    assert law.refusal(x, y) == f"loss of point 2 is {value:.6g}, expected above 0"


@pytest.mark.parametrize("name", NAMES)
def test_inputs_that_are_not_positive_are_refused(name):
    law, x, y = data(name)
    for at, word in enumerate(law.inputs):
        columns = [column.copy() for column in x]
        columns[at][5] = -1.0
        assert law.refusal(tuple(columns), y).startswith(f"{word} of point 6 is -1, expected above")


@pytest.mark.parametrize("name", names_of(("error", "direct")))
@pytest.mark.parametrize("value", [-0.01, 1.2])
def test_errors_outside_0_and_1_are_refused(name, value):
    law, x, y = data(name)
    y[0] = value
    assert law.refusal(x, y) == f"error of point 1 is {value}, expected within 0 .. 1"


@pytest.mark.parametrize("name", [n for n in NAMES if "chance" in get_law(n).inputs])
def test_a_chance_above_1_is_refused(name):
    law, x, y = data(name)
    x[-1][2] = 1.5
    assert law.refusal(x, y) == "chance of point 3 is 1.5, expected above 0 and at most 1"


@pytest.mark.parametrize("name", NAMES)
def test_constant_responses_are_refused(name):
    law, x, y = data(name)
    reason = law.refusal(x, np.full(y.size, 0.4))
    assert reason == f"constant {response(law)}: all 25 values are 0.4, nothing to fit"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("points", [1, 2, 3, 4])
def test_fewer_points_than_parameters_are_refused(name, points):
    law, x, y = data(name)
    # Points at different N and D.
    few = np.arange(points) * 6
    p = len(law.parameters)
    reason = law.refusal(tuple(column[few] for column in x), y[few])
    if points < p:
        assert reason == f"fewer points than parameters: {points} points, {p} parameters"
        with pytest.raises(FitRefusedError, match="fewer points than parameters"):
            fit_law(law, tuple(column[few] for column in x), y[few])
    else:
        assert reason is None or "points" not in reason.split(":")[0]


@pytest.mark.parametrize("name", NAMES)
def test_duplicates_do_not_count_as_points(name):
    law, x, y = data(name)
    p = len(law.parameters)
    copies = np.repeat(np.arange(p - 1) * 3, 4)
    reason = law.refusal(
        tuple(column[copies] for column in x),
        y[copies] + 1e-3 * np.arange(copies.size) / copies.size,
    )
    wanted = f"fewer distinct points than parameters: {p - 1} distinct, {p} parameters"
    assert reason == wanted


@pytest.mark.parametrize("name", NAMES)
def test_a_few_duplicates_are_fitted(name):
    law, x, y = data(name)
    twice = np.append(np.arange(25), [0, 7, 7, 24])
    fit = fit_law(law, tuple(column[twice] for column in x), y[twice])
    np.testing.assert_allclose(fit.theta, truth(name, SOME), rtol=1e-6)


@pytest.mark.parametrize("name", [n for n in NAMES if get_law(n).inputs[0] == "params"])
def test_designs_that_cannot_tell_n_from_d_are_refused(name):
    law, x, y = data(name)
    rest = x[2:]
    ray = law.refusal((x[0] * np.linspace(1, 2, 25), x[0] * np.linspace(1, 2, 25) * 20, *rest), y)
    assert ray.startswith("one ray of M: every point has about 20 tokens per parameter")
    one = law.refusal((np.full(25, 1e8), np.linspace(1, 9, 25) * 1e9, *rest), y)
    assert one == "no spread in N: every point has about 1e+08 parameters"
    one = law.refusal((np.linspace(1, 9, 25) * 1e7, np.full(25, 2e9), *rest), y)
    assert one == "no spread in D: every point has about 2e+09 tokens"


@pytest.mark.parametrize("name", [n for n in NAMES if get_law(n).inputs[0] in ("flops", "loss")])
def test_one_value_of_the_input_is_refused(name):
    law, x, y = data(name)
    # Distinct, but not by more than rounding of a record.
    same = x[0][0] * (1 + 1e-9 * np.arange(25))
    word = "C" if law.inputs[0] == "flops" else "loss"
    assert law.refusal((same, *x[1:]), y).startswith(f"no spread in {word}: every point has about")


def test_constrained_law_without_repetition_is_refused():
    law, (params, tokens, _), y = data("constrained")
    for unique in (tokens, 3 * tokens):
        reason = law.refusal((params, tokens, unique), y)
        assert reason.startswith("no repetition: the most any run sees its data is ")
        assert reason.endswith("fit the law tied")


def test_farseer_needs_three_sizes_and_three_amounts_of_data():
    law, _, _ = data("farseer")
    params, ratio = (a.ravel() for a in np.meshgrid([1e8, 4e8], [5, 10, 20, 40, 80]))
    y = 2 + 50 * params**-0.3 + 90 * (params * ratio) ** -0.3
    assert law.refusal((params, params * ratio), y).startswith("2 distinct N, at least 3 needed")
    params, tokens = (a.ravel() for a in np.meshgrid([1e8, 2e8, 4e8, 8e8, 9e9], [1e10, 5e10]))
    y = 2 + 50 * params**-0.3 + 90 * tokens**-0.3
    assert law.refusal((params, tokens), y).startswith("2 distinct D, at least 3 needed")
