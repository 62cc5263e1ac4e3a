"""Runs of several data sets that are alike, and how they deviate together."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from scalebed.fit.pooling.luck import NONE, Correlation
from scalebed.predict.luck import Cells, together
from scalebed.predict.pooled_noise import pooled_noise
from scalebed.predict.scatter import Sigma

COUNT, PARAMETERS, DRAWS = 16, 4, 4000


def pair(correlation, count, seed=0):
    normal = np.random.default_rng(seed).standard_normal((2, count))
    normal[1] = correlation * normal[0] + np.sqrt(1 - correlation**2) * normal[1]
    return normal


def cells(rest, seed=0, draws=1, covariance=None):
    """Runs about a linear law; the values of its draws are those of least squares."""
    columns = np.random.default_rng(9).standard_normal((COUNT, PARAMETERS))
    known = np.eye(COUNT) if covariance is None else covariance
    root = np.linalg.cholesky(known)
    basis = np.linalg.qr(np.linalg.solve(root, columns))[0]
    moved = np.random.default_rng(draws).standard_normal((DRAWS, PARAMETERS)) @ (root @ basis).T
    design = np.log(np.stack([np.geomspace(1e7, 1e9, COUNT), np.geomspace(1e9, 1e10, COUNT)], 1))
    return Cells(design, np.full(COUNT, seed), rest, moved, known, PARAMETERS)


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.9])
def test_many_runs_tell_the_correlation(correlation):
    found = Correlation.of(pair(correlation, 2000), 2000)
    assert found.mean == pytest.approx(correlation, abs=0.06)
    drawn = found.draw(np.random.default_rng(0), 2000)
    assert drawn.mean() == pytest.approx(found.mean, abs=0.02)


def test_two_data_sets_are_weighed_by_hotellings_density():
    rest, dof = pair(0.6, 8), 7.0
    found = Correlation.of(rest, dof)
    r = rest[0] @ rest[1] / np.sqrt((rest[0] @ rest[0]) * (rest[1] @ rest[1]))
    expected = (1 - found.at**2) ** (dof / 2) * (1 - found.at * r) ** (0.5 - dof)
    prior = np.full(found.at.size, (1 - NONE) / (found.at.size - 1))
    prior[0] = NONE
    expected *= prior
    assert found.mass == pytest.approx(expected / expected.sum(), rel=1e-9)


def test_three_data_sets_tell_more_than_two():
    common = np.random.default_rng(1).standard_normal(12)
    rest = 0.9 * common + 0.45 * np.random.default_rng(2).standard_normal((3, 12))
    assert Correlation.of(rest, 12).mass[0] < Correlation.of(rest[:2], 12).mass[0] < NONE


def test_runs_are_alike_in_size_tokens_and_seed():
    one, two = (cells(rest, draws=k) for k, rest in enumerate(pair(0.9, COUNT)))
    found = together([one, two])
    assert found.rows.tolist() == [list(range(COUNT))] * 2
    assert together([one, replace(two, seed=two.seed + 1)]) is None
    assert together([one, None]) is None
    rounded = replace(two, design=two.design + 0.01)
    assert together([one, rounded]).rows.shape == (2, COUNT)
    # Another order is found; of two that are the same run nothing tells which is meant.
    order = np.arange(COUNT)[::-1]
    turned = replace(two, design=two.design[order], rest=two.rest[order], moved=two.moved[:, order])
    assert together([one, turned]).rows[1].tolist() == order.tolist()
    twice = replace(two, design=two.design[[0, 0, *range(2, COUNT)]])
    assert together([one, twice]).rows[0].tolist() == list(range(2, COUNT))


def test_few_degrees_of_freedom_tell_nothing():
    one, two = (cells(rest, draws=k) for k, rest in enumerate(pair(0.9, COUNT)))
    # Four parameters of sixteen runs leave three quarters of each.
    assert together([c.take(np.arange(7)) for c in (one, two)]) is None
    assert together([c.take(np.arange(9)) for c in (one, two)]) is not None


@pytest.mark.parametrize("shared", [0.0, 0.7])
def test_predictions_from_one_design_have_all_of_the_correlation(shared):
    same = np.repeat(np.arange(4), 4)
    covariance = shared * (same[:, None] == same) + (1 - shared) * np.eye(COUNT)
    found = together(
        [cells(rest, draws=k, covariance=covariance) for k, rest in enumerate(pair(0.9, COUNT), 1)]
    )
    # What a prediction far away is made of, in terms of the runs.
    at = np.random.default_rng(3).standard_normal(COUNT)
    values = [cells(at, draws=k, covariance=covariance).moved @ at for k in (1, 2)]
    assert found.carried(values) == pytest.approx(1.0, abs=0.1)
    # Something that does not follow from the runs has none of it.
    alone = np.random.default_rng(4).standard_normal(DRAWS)
    assert found.carried([values[0], alone]) == pytest.approx(0.0, abs=0.1)


def test_pooled_draws_go_together_within_clusters_and_between_data_sets():
    """Residuals of two data sets that are nearly the same, in trunks of two branches each."""
    groups, count = np.repeat(np.arange(COUNT // 2), 2), 20_000
    inside = []
    for k, rest in enumerate(pair(0.98, COUNT)):
        law = SimpleNamespace(
            predict=lambda theta, x: 1 + 0.01 * theta @ np.ones((1, COUNT)),
            parameters=(0,),
            inputs=(),
            kind="loss",
        )
        runs = SimpleNamespace(
            dataset=f"set {k}",
            cells=tuple(f"{k}/{i}" for i in range(COUNT)),
            params=np.geomspace(1e7, 1e9, COUNT),
            tokens=np.geomspace(1e9, 1e10, COUNT),
            seed=np.zeros(COUNT, int),
            loss=lambda response, rest=rest: 1 + 0.01 * rest,
            groups=lambda used: groups,
        )
        stage = SimpleNamespace(
            used=np.ones(COUNT, bool),
            response="loss",
            sigma=Sigma(0.01, 10.0, "", shared=0.5),
            fit=SimpleNamespace(law=law, theta=np.zeros(1), options=None),
            theta=0.2 * np.random.default_rng(k).standard_normal((300, 1)),
        )
        inside.append((runs, stage))
    noise = pooled_noise(inside, 0, count)
    known = np.corrcoef(np.concatenate(noise, axis=1).T)
    assert np.std(noise) == pytest.approx(1.0, abs=0.01)
    np.testing.assert_allclose(known[0:COUNT:2, 1:COUNT:2].diagonal(), 0.5, atol=0.03)
    assert known[0, 2] == pytest.approx(0.0, abs=0.03)
    between = known[:COUNT, COUNT:].diagonal().mean()
    assert between > 0.8
    # Other seeds: nothing in common between the data sets.
    inside[1][0].seed = np.ones(COUNT, int)
    apart = np.corrcoef(np.concatenate(pooled_noise(inside, 0, count), axis=1).T)
    np.testing.assert_allclose(apart[:COUNT, COUNT:], 0.0, atol=0.04)
