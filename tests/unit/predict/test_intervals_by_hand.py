"""Which quantiles and how wide draws are, against algebra and SciPy."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import chi2, t

from scalebed.commands.cli import main
from scalebed.fit import fit_law
from scalebed.fit.posterior.points import Points
from scalebed.laws import get_law
from scalebed.predict import dearer, forward, forward_fit
from scalebed.predict.foretold import inside
from scalebed.predict.large import draw_theta
from scalebed.predict.scatter import Sigma


def test_losses_inside_have_as_many_draws_on_either_side():
    """Of 0 to 100 the middle 80 % are 10 to 90, those two included."""
    drawn = np.random.default_rng(0).permutation(101)[:, None] * np.ones(4)
    losses = np.array([9.9, 10.1, 89.9, 90.1])
    assert inside(losses, drawn, 0.8).tolist() == [False, True, True, False]
    assert inside(losses, drawn, 0.85).all()


def test_drawn_scatter_has_the_quantiles_of_chi_squared():
    drawn = Sigma(0.02, 5.0, "own").sample(np.random.default_rng(3), 200_000)
    for share in (0.05, 0.5, 0.95):
        expected = 0.02 * np.sqrt(5 / chi2.ppf(1 - share, 5))
        assert np.mean(drawn < expected) == pytest.approx(share, abs=0.003)


@pytest.mark.parametrize("level", [0.5, 0.9, 0.98])
def test_an_interval_about_a_mean_is_student_s(level, tmp_path, monkeypatch):
    """With E alone free, of losses that are E but for 1e-9, a new run is y +- t s (1 + 1/n)^1/2."""
    monkeypatch.chdir(tmp_path)
    loss = 3 * (1 + 0.01 * np.array([0.3, -1.2, 0.8, 1.5, -0.4, -1.0]))
    sizes = [1e7, 2e7, 4e7] * 2
    rows = [f"{n:g},{20 * n:g},{y!r}\n" for n, y in zip(sizes, loss.tolist(), strict=True)]
    (tmp_path / "runs.csv").write_text("params,tokens,loss\n" + "".join(rows))
    words = ["--fix", "A=1e-7", "--fix", "B=1e-7", "--fix", "alpha=0.3", "--level", str(level)]
    words += ["--interval", "bootstrap", "--draws", "20000", "--target", "params=1B,tokens=20B"]
    assert main(["fit", "runs.csv", *words]) == 0
    (row,) = json.loads((tmp_path / "runs.fit.json").read_text())["predictions"]
    middle, spread = loss.mean(), loss.std(ddof=1) * np.sqrt(1 + 1 / 6)
    assert row["predicted"] == pytest.approx(middle, rel=1e-7)
    half = t.ppf((1 + level) / 2, 5) * spread
    # Of 20,000 draws the quantiles are known to 2 % of it at most.
    assert middle - row["lower"] == pytest.approx(half, rel=0.04)
    assert row["upper"] - middle == pytest.approx(half, rel=0.04)


@pytest.mark.parametrize(
    ("name", "theta"),
    [("tied", [1.84, 166.0, 287.0, 0.273]), ("chinchilla", [1.8, 160.0, 300.0, 0.27, 0.28])],
)
def test_draws_of_many_runs_have_the_sandwich_covariance(name, theta):
    """n / (n - p) (J'J)^-1 (J' diag(r^2) J) (J'J)^-1 of E, ln A, ln B and the exponents."""
    law, rng = get_law(name), np.random.default_rng(1)
    params = 10 ** rng.uniform(6, 10, 40)
    x = params, params * 10 ** rng.uniform(0.7, 2.7, 40)
    y = law.value(np.array(theta), x) * (1 + 1e-4 * rng.standard_normal(40))
    fit = fit_law(law, x, y)
    draws = draw_theta(fit, x, 40_000, 0, "by hand")

    def value(z):
        return law.value(np.array([z[0], *np.exp(z[1:3]), *z[3:]]), x)

    at, step = np.array([fit.theta[0], *np.log(fit.theta[1:3]), *fit.theta[3:]]), 1e-5
    jacobian = np.column_stack(
        [(value(at + step * e) - value(at - step * e)) / (2 * step) for e in np.eye(at.size)]
    )
    bread = np.linalg.inv(jacobian.T @ jacobian)
    meat = jacobian.T @ (jacobian * ((y - value(at)) ** 2)[:, None])
    expected = bread @ meat @ bread * 40 / (40 - at.size)
    drawn = np.column_stack([draws[:, 0], np.log(draws[:, 1:3]), draws[:, 3:]])
    # A standard deviation of 40,000 draws is known to 0.35 %.
    np.testing.assert_allclose(drawn.std(0), np.sqrt(np.diag(expected)), rtol=0.015)
    sd = np.sqrt(np.diag(expected))
    np.testing.assert_allclose(np.corrcoef(drawn.T), expected / np.outer(sd, sd), atol=0.01)


@pytest.mark.parametrize(("times", "held"), [(0.98, True), (1.02, False)])
@pytest.mark.parametrize("level", [0.8, 0.9])
def test_a_size_is_missed_beyond_student_s_interval(monkeypatch, times, held, level):
    """4 % of scatter by three degrees of freedom; sd 2 * 0.04 * (1/2 + 0.3^2 + 0.4^2)^1/2."""
    monkeypatch.setattr(
        forward_fit, "scatter_of", lambda *given: SimpleNamespace(dof=3, squares=3 * 0.04**2)
    )
    monkeypatch.setattr(
        forward_fit, "sensitivity", lambda *given: np.array([[0.1, 0.4], [0.5, 0.4]])
    )
    fit = SimpleNamespace(predict=lambda column: np.full(2, 2.0), law=SimpleNamespace(kind="loss"))
    off = times * t.ppf((1 + level) / 2, 3) * 2 * 0.04 * 0.75**0.5
    taken = SimpleNamespace(x=(np.ones(2),), y=2.0 + np.array([off - 0.1, off + 0.1]), apart=None)
    measured = SimpleNamespace(take=lambda use: taken)
    rung = forward_fit._rung(fit, measured, (None, None), np.array([1e8, 1e8]), (level, 2))
    assert rung.inside == held
    assert (rung.params, rung.rows, rung.deviation) == pytest.approx((1e8, 2, off / 2))


@pytest.mark.parametrize(("loss", "held"), [(2.097, False), (2.103, True), (2.903, False)])
def test_a_size_is_missed_outside_of_the_quantiles_of_its_draws(monkeypatch, loss, held):
    """Draws from 2 to 3, of which the middle 80 % are 2.1 to 2.9."""
    values = np.linspace(2.0, 3.0, forward._DRAWS)
    values = np.random.default_rng(0).permutation(values)[:, None] * np.ones(2)
    drawn = SimpleNamespace(
        **{"theta": None, "scatter": 0.0, "part": np.zeros(forward._DRAWS, dtype=int)},
        deviations=lambda new, normal: 0.0 * values,
        posterior=SimpleNamespace(parts=[SimpleNamespace(covariance=None)]),
    )
    monkeypatch.setattr(forward.Draws, "of", lambda *given: drawn)
    monkeypatch.setattr(forward, "fit_posterior", lambda *given: None)
    monkeypatch.setattr(forward, "_shared", lambda *given: 0.0)
    law = SimpleNamespace(value=lambda *given: values)
    monkeypatch.setattr(forward, "get_law", lambda name: law)
    params = np.array([1e7, 2e7, 1e9, 1e9])
    points = Points(params, 20 * params, np.array([4.0, 3.5, loss - 0.2, loss + 0.2]))
    new = params == 1e9
    rung = forward._rung(points, ~new, new, (None, None), 0.8)
    assert rung.inside == held
    assert (rung.rows, rung.deviation) == pytest.approx((2, loss / 2.5 - 1))


def dearer_of(monkeypatch, value):
    """The dearer two of four runs of loss 2, drawn so from the cheaper two."""
    monkeypatch.setattr(dearer, "enough", lambda known: True)
    monkeypatch.setattr(dearer, "foretold", lambda *given: value)
    params = np.array([1e7, 2e7, 1e8, 2e8])
    return dearer.dearer(Points(params, 20 * params, np.full(4, 2.0)), None, None, 0.9)


@pytest.mark.parametrize(("off", "missed"), [(0.00988, False), (0.00992, True), (-0.00992, True)])
def test_a_half_that_is_off_beyond_99_per_cent_of_its_draws_is_missed(monkeypatch, off, missed):
    """Both runs are drawn alike, 1 % to either side of what is off."""
    value = 2 * (1 + off + np.linspace(-0.01, 0.01, 1001))[:, None] * np.ones(2)
    found = dearer_of(monkeypatch, value)
    assert (found.rows, found.inside, found.missed) == (2, 0, missed)
    assert found.tried == pytest.approx(100)


@pytest.mark.parametrize(("both", "missed"), [(3, True), (5, False)])
def test_fewer_inside_than_in_99_per_cent_of_the_draws_are_a_miss(monkeypatch, both, missed):
    """No run is inside; of 400 draws 3 or 5 have both outside. In their mean nothing is off."""
    even = np.linspace(-0.01, 0.01, 400)
    out = np.abs(even) > 0.009
    # Of 40 draws that are outside for the one, so many are for the other.
    first, middle = np.flatnonzero(out), np.flatnonzero(~out)
    other = np.empty(400)
    other[[*first, *middle]] = even[[*first[:both], *middle, *first[both:]]]
    value = 2 * np.column_stack([1.03 + even, 0.97 + other])
    found = dearer_of(monkeypatch, value)
    assert (found.inside, found.missed) == (0, missed)
