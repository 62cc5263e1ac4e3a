"""Interval methods: what they say of themselves, and what they do."""

from dataclasses import replace

import numpy as np
import pytest

from scalebed.checks.intervals import NAMES, Design, Other, Problem, choose, get_method
from scalebed.core.errors import ScalebedError
from scalebed.fit.options import Options, Prior
from scalebed.fit.result import fit_law
from scalebed.laws import get_law
from scalebed.predict.scatter import Scatter, Sigma, choose_sigma, held_out

TIED, THETA = get_law("tied"), np.array([1.84, 166.0, 287.0, 0.273])
PAPER = Design(points=5, parameters=4)


def grid(sizes=5, ratios=5):
    N = np.repeat(np.geomspace(1.1e7, 4.1e8, sizes), ratios)
    return N, N * np.tile(np.geomspace(20, 320, ratios), sizes)


def paper():
    N = np.array([1.1e7, 7.9e7, 1.54e8, 4.1e8, 1.1e7])
    return N, N * np.array([20, 20, 20, 20, 320])


TARGETS = (np.array([1.4e9, 6.9e9, 2e8]), np.array([2.8e10, 1.4e11, 2e10]))


def noisy(x, seed=0, sigma=0.01):
    loss = TIED.predict(THETA, x)
    return loss * (1 + sigma * np.random.default_rng(seed).standard_normal(loss.size))


def problem(x=None, **changes):
    x = grid() if x is None else x
    return Problem(TIED, x, noisy(x), TARGETS, **{"draws": 300, **changes})


def others(x, count=2, new=None):
    new = grid() if new is None else new
    return tuple(Other(x, noisy(x, 10 + i), new, noisy(new, 50 + i)) for i in range(count))


@pytest.mark.parametrize("name", NAMES)
def test_every_method_says_what_it_contains_and_gives_limits(name):
    x = grid()
    case = problem(
        x,
        clusters=np.arange(25) // 2,
        evaluation=np.full(25, 1e-3),
        others=others(x),
    )
    method = get_method(name)
    assert method.name == name
    assert method.title
    assert "." not in method.contains
    found = method.interval(case)
    assert found.lower.shape == found.upper.shape == (3,)
    assert np.all(found.lower < case.point * 1.05)
    assert np.all(found.lower < found.upper)
    assert method.status(case.design).partition(":")[0] in ("valid", "conservative", "not valid")


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_and_nothing_else_decides(name):
    x = grid()
    make = {"clusters": np.arange(25) // 2, "evaluation": np.full(25, 1e-3), "others": others(x)}
    first = get_method(name).interval(problem(x, **make))
    again = get_method(name).interval(problem(x, **make))
    np.testing.assert_array_equal(first.lower, again.lower)
    np.testing.assert_array_equal(first.upper, again.upper)
    if first.draws is not None:
        other = get_method(name).interval(problem(x, seed=1, **make))
        assert not np.array_equal(first.lower, other.lower)


def test_limits_of_one_target_do_not_depend_on_the_other_targets():
    for name in ("delta", "profile", "cv_plus"):
        both = get_method(name).interval(problem())
        one = get_method(name).interval(
            replace(problem(), targets=tuple(column[1:2] for column in TARGETS))
        )
        assert one.lower[0] == pytest.approx(both.lower[1], rel=1e-6), name
        assert one.upper[0] == pytest.approx(both.upper[1], rel=1e-6), name


def test_unknown_names_are_refused():
    with pytest.raises(ScalebedError, match="'jackknife' is unknown, expected one of parametric"):
        get_method("jackknife")


@pytest.mark.parametrize(
    ("name", "design", "said"),
    [
        ("residual", PAPER, "not valid: the residual bootstrap needs"),
        ("wild", PAPER, "not valid: the wild bootstrap needs"),
        ("case", PAPER, "not valid: resamples of 5 different points"),
        ("cv_plus", PAPER, "not valid: 5 points, 9 are needed"),
        ("conformal", PAPER, "not valid: there is no other data set"),
        ("conformal", replace(PAPER, others=2, scores=8), "not valid: 8 runs of other data sets"),
        ("conformal", replace(PAPER, others=2, scores=37), "valid"),
        ("conformal", replace(PAPER, others=2, scores=37, beyond=True), "not valid: a target"),
        ("delta", PAPER, "valid"),
        ("delta", Design(points=4, parameters=4), "not valid: the delta method needs 1"),
        ("profile", PAPER, "valid"),
        ("parametric", PAPER, "valid"),
        ("parametric", Design(points=4, parameters=4), "not valid: without other data sets"),
        ("parametric", Design(points=4, parameters=4, others=2, others_dof=9), "valid"),
        ("residual", Design(points=60, parameters=4), "valid"),
        ("residual", Design(points=60, parameters=4, clusters=10), "not valid: points of one run"),
        ("wild", Design(points=60, parameters=4), "valid"),
        ("case", Design(points=60, parameters=4), "valid"),
        ("case", Design(points=60, parameters=4, distinct=9), "not valid: resamples of 9"),
        ("cluster", Design(points=60, parameters=4), "not valid: it was not said"),
        ("cluster", Design(points=60, parameters=4, clusters=60), "not valid: each point is a run"),
        ("cluster", Design(points=60, parameters=4, clusters=30), "valid"),
        ("cluster", Design(points=60, parameters=4, clusters=10), "not valid: 10 runs are too few"),
        ("cv_plus", Design(points=24, parameters=4, sizes=5), "conservative: "),
        ("cv_plus", Design(points=24, parameters=4, sizes=2), "not valid: 2 model sizes"),
    ],
)
def test_status(name, design, said):
    status = get_method(name).status(design)
    assert status == said if said == "valid" else status.startswith(said)


@pytest.mark.parametrize("points", [5, 24, 10_000])
def test_evaluation_error_is_never_a_prediction_interval(points):
    method = get_method("evaluation")
    assert not method.prediction
    assert method.status(Design(points, 4, evaluation=True)).startswith("not valid")
    assert choose(Design(points, 4, evaluation=True))[0] != "evaluation"
    with pytest.raises(ScalebedError, match="not known"):
        method.interval(problem())


@pytest.mark.parametrize(
    ("design", "name", "said"),
    [
        (replace(PAPER, others=2, others_dof=10.2), "parametric", "2 other data sets (10.2"),
        (PAPER, "parametric", "wide tails of Student's t"),
        (Design(24, 4), "parametric", "the fit leaves 20 degrees of freedom"),
        (Design(24, 4, others=2, others_dof=40), "parametric", "the fit leaves 20"),
        (Design(501, 4), "delta", "501 points"),
        (Design(220, 5, clusters=22), "cluster", "220 points come from 22 runs"),
        (Design(220, 5, clusters=4), None, "points of one run are not independent"),
        (Design(4, 4), None, "no degree of freedom anywhere"),
    ],
)
def test_the_default_and_its_reason(design, name, said):
    chosen, reason = choose(design)
    assert chosen == name
    assert said in reason
    if chosen is not None:
        assert get_method(chosen).status(design) == "valid"


def test_case_resamples_with_too_few_points_are_redrawn_or_refused():
    from scalebed.checks.intervals.case import draw_counts

    x = paper()
    counts = draw_counts(np.random.default_rng(0), problem(x), np.arange(5))
    assert counts.shape == (300, 5)
    assert np.all(counts.sum(1) == 5)
    assert np.all((counts > 0).sum(1) >= 4)
    # Six parameters, six points: one sample in 65 has them all.
    six = tuple(column[:6] for column in grid())
    few = Problem(get_law("gamma"), six, noisy(six), TARGETS, draws=300)
    with pytest.raises(ScalebedError, match=r"of 6000 resamples only .* have 6 different points"):
        draw_counts(np.random.default_rng(0), few, np.arange(6))


def test_clusters_that_share_noise_widen_the_interval():
    """22 runs of 10 checkpoints whose noise is the run's: an iid bootstrap is far too narrow."""
    rng = np.random.default_rng(3)
    N = np.repeat(rng.choice(np.geomspace(1e7, 4e8, 8), 22), 10)
    D = N * np.tile(np.geomspace(20, 320, 10), 22)
    run = np.repeat(np.arange(22), 10)
    loss = TIED.predict(THETA, (N, D)) * (1 + 0.01 * rng.standard_normal(22)[run])
    case = Problem(TIED, (N, D), loss, TARGETS, clusters=run, draws=400)
    spread = {}
    for name in ("case", "cluster"):
        theta = get_method(name).interval(case).theta
        spread[name] = TIED.predict(theta, TARGETS).std(0)
    assert np.all(spread["cluster"] > 1.5 * spread["case"])
    assert get_method("case").status(case.design).startswith("not valid: points of one run")


def test_prediction_intervals_contain_the_scatter_of_the_new_run():
    """With 400 points the fit is certain: what is left is the scatter, 3.29 sigma wide."""
    x = grid(20, 20)
    case = Problem(TIED, x, noisy(x), tuple(c[:30] for c in x), others=others(x, 3), draws=1000)
    for name in NAMES:
        if not get_method(name).prediction or name in ("cluster", "cv_plus", "conformal"):
            continue
        found = get_method(name).interval(case)
        width = np.mean((found.upper - found.lower) / case.point)
        # The 5 % quantile of 400 residuals is known to 6.4 %, the distance of two to 4.6 %.
        assert width == pytest.approx(3.29 * case.own.value, rel=0.14), name


def test_profile_and_delta_agree_where_the_law_is_straight():
    x = grid(20, 20)
    case = Problem(TIED, x, noisy(x, sigma=0.001), tuple(c[::50] for c in x))
    one, two = (get_method(name).interval(case) for name in ("profile", "delta"))
    np.testing.assert_allclose(one.upper - one.lower, two.upper - two.lower, rtol=0.01)


def test_a_prior_counts_as_a_point_of_the_profile():
    """Twelve runs, so that the prior says about as much of the exponent as they do."""
    x = grid(4, 3)
    options = Options("log_sse", priors={"alpha": Prior(0.273, 0.001)})
    case = Problem(TIED, x, noisy(x, sigma=0.001), TARGETS, options=options)
    free = replace(case, options=Options("log_sse"))
    known, first, without = (
        limits.upper - limits.lower
        for limits in (
            get_method("profile").interval(case),
            get_method("delta").interval(case),
            get_method("profile").interval(free),
        )
    )
    np.testing.assert_allclose(known, first, rtol=0.005)
    assert known[1] < 0.75 * without[1]


def test_outliers_do_not_widen_intervals_of_hubers_fit():
    """Two of 25 runs 12 % off: intervals stay about as wide as those of the other runs."""
    x = grid()
    spoilt = noisy(x, sigma=0.003)
    spoilt[[4, 17]] *= 1.12
    keep = np.delete(np.arange(25), [4, 17])
    options = Options("huber_log")
    bad = Problem(TIED, x, spoilt, TARGETS, options=options, draws=300)
    inner = tuple(column[keep] for column in x)
    clean = Problem(TIED, inner, spoilt[keep], TARGETS, options=options, draws=300)
    for name in ("parametric", "delta", "profile"):
        found = [get_method(name).interval(each) for each in (bad, clean)]
        widths = [limits.upper - limits.lower for limits in found]
        assert np.all(widths[0] < 1.5 * widths[1]), name
        assert np.all(widths[0] > 0.6 * widths[1]), name


def test_priors_are_redrawn_about_what_the_samples_are_drawn_about():
    """With the floor alone unknown its draws have the mean and the spread of its posterior."""
    x = grid()
    given, prior = {"A": THETA[1], "B": THETA[2], "alpha": THETA[3]}, {"E": Prior(1.86, 0.005)}
    options = Options("log_sse", fixed=given, priors=prior)
    case = Problem(TIED, x, noisy(x), TARGETS, options=options, draws=4000)
    scatter = case.fit.options.scatter
    assert scatter is not None
    expected = (np.sum((scatter * case.fit.fitted) ** -2.0) + 0.005**-2) ** -0.5
    for name in ("parametric", "case"):
        theta = get_method(name).interval(case).theta
        assert theta is not None
        assert theta[:, 0].mean() == pytest.approx(case.fit.parameters["E"], abs=0.0006), name
        assert theta[:, 0].std() == pytest.approx(expected, rel=0.1), name


def test_error_intervals_stay_within_zero_and_one():
    decay = get_law("decay")
    loss = np.linspace(2.0, 5.0, 20)
    truth = decay.predict(np.array([0.98, 3.0, 0.9]), (loss,))
    error = np.clip(truth + 0.02 * np.random.default_rng(0).standard_normal(20), 0, 1)
    case = Problem(decay, (loss,), error, (np.array([1.2, 8.0]),), draws=300, sizes=loss.round())
    for name in ("parametric", "delta", "profile", "residual", "wild", "case", "cv_plus"):
        found = get_method(name).interval(case)
        assert np.all((found.lower >= 0) & (found.upper <= 1)), name


def test_held_out_errors_give_back_the_scatter_and_count_as_fewer():
    """Mean of sigma squared over 300 data sets, and its spread, are those the scatter claims."""
    x, new = paper(), grid()
    values, dofs = [], []
    for seed in range(300):
        fit = fit_law(TIED, x, noisy(x, seed))
        found = held_out(fit, x, new, noisy(new, 1000 + seed), np.zeros(1))
        values.append(found.squares / found.dof)
        dofs.append(found.dof)
    assert np.mean(values) == pytest.approx(1e-4, rel=0.1)
    # Variance of chi2(dof) / dof is 2 / dof.
    assert np.var(values) / np.mean(values) ** 2 == pytest.approx(2 / np.mean(dofs), rel=0.35)
    assert np.mean(dofs) < 0.5 * new[0].size


def test_one_rule_for_the_scatter():
    many, few = Scatter(6e-4, 6, 10, 0.0), Scatter(1e-4, 1, 5, 0.0)
    out = Scatter(5e-4, 5.0, 18, 0.0, held_out=True)
    grids = {"me": out, "a": out, "b": out}
    assert choose_sigma("me", grids, many) == Sigma(
        pytest.approx(0.01), 6, "this fit's own residuals, 6 degrees of freedom", own=True
    )
    found = choose_sigma("me", grids, few)
    assert found is not None and found.dof == 10 and not found.own
    assert found.source.startswith(
        "errors on held-out cells pooled over the other data sets (a, b)"
    )
    alone = choose_sigma("me", {"me": out}, few)
    assert alone is not None and "own held-out cells" in alone.source
    last = choose_sigma("me", {"me": None}, few)
    assert last is not None and last.own and "Student t" in last.source
    assert choose_sigma("me", {}, Scatter(0.0, 0, 4, 0.0)) is None
