from dataclasses import replace

import numpy as np
import pytest
import synthetic_study as synthetic

from scalebed.fit import refit, robust
from scalebed.laws import get_law
from scalebed.predict.bootstrap import bootstrap
from scalebed.predict.build import build_stage
from scalebed.predict.draws import one_sigma
from scalebed.predict.runs import collect_runs
from scalebed.predict.scatter import Scatter, choose_sigma


@pytest.fixture(scope="module")
def tables():
    return synthetic.tables()


def test_sigma_is_pooled_with_degrees_of_freedom_and_without_sampling_error():
    grids = {
        "a": Scatter(0.40, 4, 8, 0.01),
        "b": Scatter(0.60, 6, 8, 0.03),
        "me": Scatter(9.0, 1, 5, 0.0),
        "refused": None,
    }
    found = choose_sigma("me", grids, Scatter(9.0, 1, 5, 0.0))
    assert found is not None and found.dof == 10
    assert found.value == pytest.approx(np.sqrt(1.0 / 10 - 0.02))


KNOWN: dict[str, Scatter | None] = {"elsewhere": Scatter(0.01**2 * 10**6, 10**6, 10**6, 0.0)}


@pytest.mark.parametrize("grids", [KNOWN, {}], ids=["known sigma", "own residuals"])
def test_ninety_per_cent_intervals_cover_nine_times_in_ten(grids):
    """250 studies of the paper's five cells with the true law: how many new cells are inside."""
    settings = synthetic.settings(draws=400)
    below, above = [], []
    for seed in range(250):
        tables = synthetic.tables(sigma=0.01, datasets=["one"], seed=1000 + seed)
        runs = collect_runs(tables)[0]
        stage = build_stage(runs, "yardstick", grids, settings, bootstrap)
        assert stage.draws is not None
        low, high = np.quantile(stage.draws, (0.05, 0.95), axis=0)
        new = ~stage.used
        measured = runs.losses["yardstick"][new]
        below.append(np.mean(measured < low[new]))
        above.append(np.mean(measured > high[new]))
    # Cells of a study go together: between studies the error of the share outside is 0.7 to 1.4 %.
    assert np.mean(below) + np.mean(above) == pytest.approx(0.1, abs=0.03)
    for share in (np.mean(below), np.mean(above)):
        assert 0.02 <= share <= 0.06


def test_error_law_varies_over_draws_as_it_does_over_studies():
    """Spread of the error law at one loss: within a study's draws and between 80 studies."""
    settings = synthetic.settings(draws=200)
    grids: dict[str, Scatter | None] = {"elsewhere": Scatter(0.01**2 * 10**6, 10**6, 10**6, 0.0)}
    error_grids: dict[str, Scatter | None] = {
        "elsewhere": Scatter(0.5 * 0.004**2 * 10**6, 10**6, 10**6, 0.0)
    }
    law, at = get_law("decay"), (np.array([3.4]),)
    within, between = [], []
    for seed in range(80):
        tables = synthetic.tables(sigma=0.01, datasets=["one"], seed=3000 + seed)
        runs = collect_runs(tables)[0]
        loss = build_stage(runs, "yardstick", grids, settings, bootstrap)
        stage = build_stage(runs, "average", error_grids, settings, bootstrap, loss)
        assert stage.theta is not None and stage.fit is not None
        within.append(law.predict(stage.theta, at).std())
        between.append(stage.fit.predict(*at)[0])
    assert np.mean(within) == pytest.approx(np.std(between), rel=0.25)


def test_drawn_losses_move_the_points_of_the_error_law(tables):
    runs = collect_runs(tables)[0]
    loss = build_stage(runs, "yardstick", KNOWN, synthetic.settings(), bootstrap)
    assert loss.fit is not None and loss.draws is not None
    joint = build_stage(runs, "average", KNOWN, synthetic.settings(), bootstrap, loss)
    still = replace(loss, factors=np.ones_like(loss.draws))
    apart = build_stage(runs, "average", KNOWN, synthetic.settings(), bootstrap, still)
    assert joint.theta is not None and apart.theta is not None
    assert not np.allclose(joint.theta, apart.theta)


def test_both_laws_are_refitted_to_the_same_drawn_losses(tables):
    """The losses that the error law is given are those that the loss law was refitted to."""
    runs = collect_runs(tables)[0]
    loss = build_stage(runs, "yardstick", KNOWN, synthetic.settings(), bootstrap)
    assert loss.factors is not None and loss.fit is not None
    used = loss.used
    given = (loss.factors * runs.losses["yardstick"])[:, used]
    assert np.mean(given, axis=0) == pytest.approx(loss.fit.fitted, rel=0.003)
    x = (runs.params[used], runs.tokens[used])
    again = refit(get_law("tied"), x, given, domain=loss.fit.domain)
    np.testing.assert_allclose(again.theta, loss.theta, rtol=1e-5)
    # Cells of the error law alone stay about what was measured.
    alone = runs.fit_error & ~used
    assert alone.any() and loss.factors[:, alone].mean() == pytest.approx(1, abs=0.003)


# With all else given the floor is known to scatter / sqrt(points).
FLOOR = {"fixed": {"A": 60.0, "B": 140.0, "alpha": 0.27}, "priors": {"E": [1.93, 0.01]}}


def test_a_prior_is_weighed_against_the_scatter_of_the_other_data_sets(tables):
    """Five points cannot tell theirs; the spread of the floor is that of its posterior.

    The variance is 1 / (5 / s^2 + 1 / 0.01^2) with s = 0.4 % of the losses.
    """
    runs = collect_runs(tables)[0]
    grids: dict[str, Scatter | None] = {"elsewhere": Scatter(0.004**2 * 10**6, 10**6, 10**6, 0.0)}
    settings = synthetic.settings(draws=4000, loss_options=FLOOR)
    stage = build_stage(runs, "yardstick", grids, settings, bootstrap)
    assert stage.fit is not None and stage.theta is not None
    y = runs.losses["yardstick"][stage.used]
    noise = 0.004 * np.sqrt(np.mean(y**2))
    above = stage.fit.fitted - stage.fit.parameters["E"]
    precision = np.array([5 / noise**2, 1 / 0.01**2])
    mean = (precision * [np.mean(y - above), 1.93]).sum() / precision.sum()
    assert stage.fit.parameters["E"] == pytest.approx(mean, abs=1e-6)
    assert stage.theta[:, 0].mean() == pytest.approx(mean, abs=0.0005)
    assert stage.theta[:, 0].std() == pytest.approx(precision.sum() ** -0.5, rel=0.04)
    assert stage.fit.certificate.assumed is None


def test_the_scatter_of_a_table_with_a_prior_is_its_own(tables):
    """16 cells: scatter and spread are those of the residuals, whatever the prior assumes.

    With w the weight of the points the floor varies by the scatter of the points, drawn with its
    15 degrees of freedom, and by that of the prior: w^2 s^2 / 16 * 15 / 13 + (1 - w)^2 sd^2.
    """
    runs = collect_runs(tables)[0]
    runs = replace(runs, fit_loss=~runs.target)
    settings = synthetic.settings(draws=4000, loss_options=FLOOR)
    stage = build_stage(runs, "yardstick", KNOWN, settings, bootstrap)
    assert stage.fit is not None and stage.theta is not None and stage.sigma is not None
    assert stage.sigma.own and stage.sigma.dof == pytest.approx(15, abs=0.5)
    assert stage.fit.options.scatter == pytest.approx(stage.sigma.value, rel=0.1)
    noise = stage.sigma.value * np.sqrt(np.mean(stage.fit.fitted**2))
    w = stage.fit.certificate.effective_parameters
    assert w == pytest.approx((16 / noise**2) / (16 / noise**2 + 1 / 0.01**2), abs=0.02)
    expected = w**2 * noise**2 / 16 * 15 / 13 + (1 - w) ** 2 * 0.01**2
    assert stage.theta[:, 0].std() == pytest.approx(np.sqrt(expected), rel=0.05)


def test_outliers_do_not_widen_the_draws_of_hubers_fit(tables):
    runs = collect_runs(tables)[0]
    runs = replace(runs, fit_loss=~runs.target)
    settings = synthetic.settings(loss_options={"objective": "huber_log"})
    spoilt = runs.losses["yardstick"].copy()
    spoilt[np.flatnonzero(runs.fit_loss)[[3, 8]]] *= 1.12
    bad = replace(runs, losses={**runs.losses, "yardstick": spoilt})
    clean, dirty = (
        build_stage(each, "yardstick", KNOWN, settings, bootstrap) for each in (runs, bad)
    )
    assert clean.sigma is not None and dirty.sigma is not None
    assert clean.sigma.value == pytest.approx(0.005, rel=0.4)
    assert dirty.sigma.value < 1.3 * clean.sigma.value
    assert clean.sigma.dof == pytest.approx(12 * robust.EFFICIENCY)
    assert dirty.sigma.dof == pytest.approx(10 * robust.EFFICIENCY)
    widths = [one_sigma(stage.draws)[runs.target] for stage in (clean, dirty)]
    assert np.all(widths[1] < 1.5 * widths[0])


def test_parts_of_a_loss_add_up(tables):
    """The spread of a prediction is that of its parts, as independent ones to first order."""
    runs = collect_runs(tables)[0]
    settings = synthetic.settings(draws=4000)
    loss = build_stage(runs, "yardstick", KNOWN, settings, bootstrap)
    assert loss.draws is not None
    total = one_sigma(loss.draws)
    parts = np.sqrt(sum(part**2 for part in loss.parts.values()))
    np.testing.assert_allclose(parts, total, rtol=0.08)
    assert set(loss.parts) == {"loss_fit", "error_fit", "run", "evaluation"}
    assert not loss.parts["error_fit"].any()
    np.testing.assert_allclose(loss.parts["run"], 0.01 * loss.point, rtol=0.06)


def test_parts_of_an_error_follow_their_causes(tables):
    runs = collect_runs(tables)[0]
    settings = synthetic.settings(draws=2000)
    loss = build_stage(runs, "yardstick", KNOWN, settings, bootstrap)
    stage = build_stage(runs, "average", KNOWN, settings, bootstrap, loss)
    noisy = replace(runs, sampling={name: 0.02 + 0 * s for name, s in runs.sampling.items()})
    more = build_stage(noisy, "average", KNOWN, settings, bootstrap, loss)
    np.testing.assert_allclose(more.parts["evaluation"], 0.02)
    np.testing.assert_allclose(more.parts["run"], stage.parts["run"])
    assert np.all(more.parts["error_fit"] > stage.parts["error_fit"])
    still = replace(loss, fit_draws=0 * loss.draws + loss.point)
    apart = build_stage(runs, "average", KNOWN, settings, bootstrap, still)
    np.testing.assert_allclose(apart.parts["loss_fit"], 0, atol=1e-12)
