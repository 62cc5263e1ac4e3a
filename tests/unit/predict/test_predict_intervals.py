from dataclasses import replace

import numpy as np
import pytest
import synthetic_study as synthetic

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
    inside, total = 0, 0
    for seed in range(250):
        tables = synthetic.tables(sigma=0.01, datasets=["one"], seed=1000 + seed)
        runs = collect_runs(tables)[0]
        stage = build_stage(runs, "yardstick", grids, settings, bootstrap)
        assert stage.draws is not None
        low, high = np.quantile(stage.draws, (0.05, 0.95), axis=0)
        new = ~stage.used
        measured = runs.losses["yardstick"][new]
        inside += int(np.sum((low[new] <= measured) & (measured <= high[new])))
        total += int(new.sum())
    assert 0.85 <= inside / total <= 0.95, inside / total


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
