"""What priors and spreads cost, against integrals and values worked out by hand."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from scalebed.core.errors import ScalebedError
from scalebed.fit import Options, Prior
from scalebed.fit.solvers.general import cost_of_scatter, price

Y = np.array([3.0, 4.0])


def with_scatter(objective, scatter, delta=1e-3):
    return Options(objective, delta, scatter=scatter)


def test_a_sum_of_squares_counts_in_units_of_the_response():
    # 0.02² times the mean of 9 and 16.
    for cost in (price, cost_of_scatter):
        assert cost(with_scatter("sse", 0.02), Y) == pytest.approx(0.005)
        assert cost(with_scatter("log_sse", 0.02), Y) == pytest.approx(4e-4)


@pytest.mark.parametrize(("scatter", "delta"), [(0.01, 0.001), (0.01, 0.02), (0.002, 0.5)])
def test_of_hubers_loss_it_is_the_variance_of_the_slope_over_the_curvature(scatter, delta):
    normal = norm(scale=scatter).pdf
    inside = quad(lambda r: r**2 * normal(r), 0, min(delta, 12 * scatter))[0]
    square = 2 * (inside + delta**2 * norm(scale=scatter).sf(delta))
    curvature = 1 - 2 * norm(scale=scatter).sf(delta)
    found = price(with_scatter("huber_log", scatter, delta), Y)
    assert found == pytest.approx(square / curvature, rel=1e-6)


def test_a_residual_beyond_delta_costs_in_proportion():
    # Twice delta (s - delta / 2), and s² within delta.
    assert cost_of_scatter(with_scatter("huber_log", 0.01), Y) == pytest.approx(1.9e-5)
    assert cost_of_scatter(with_scatter("huber_log", 0.01, 0.02), Y) == pytest.approx(1e-4)


@pytest.mark.parametrize("prior", [(1.8, 0.0), (1.8, -0.1), (1.8, np.inf), (np.nan, 0.1)])
def test_a_prior_needs_a_mean_and_an_sd_above_0(prior):
    with pytest.raises(ScalebedError, match=r"prior of E is .*, expected an sd above 0"):
        Options(priors={"E": Prior(*prior)})
    assert Options(priors={"E": Prior(1.8, 0.1)}).priors["E"].sd == 0.1
