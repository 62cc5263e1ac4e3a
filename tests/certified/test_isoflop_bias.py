"""Approach 2 on noise-free losses: its bias as published for 15 sizes about the optimum.

The numbers are those of Open-Athena/scaling-law-analysis (`extrapolation_error_data.csv`), in per
cent of D*: sizes equally apart in logarithms, from the optimum divided to the optimum times the
width.
"""

import numpy as np
import pytest

from scalebed.decide.isoflop.parabola import Line, parabola_of
from scalebed.laws import get_law

LAW = get_law("chinchilla", "loss")
WIDTHS = (2, 4, 8, 16)
PUBLISHED = [
    (0.34, 0.28, (-0.3269, -1.3011, -2.9029, -5.1002)),
    (0.465, 0.155, (-1.6747, -6.4978, -13.9104, -23.1163)),
    (0.31, 0.31, (0.0, 0.0, 0.0, 0.0)),
]
# Neither E, A and B nor the compute change it.
OTHERS = [(1.69, 406.4, 410.7), (0.0, 20.0, 5000.0)]


def vertex_and_best(theta, flops, width):
    best = LAW.compute_optimal(theta, np.array(flops))
    params = np.geomspace(best.params / width, best.params * width, 15)
    found = parabola_of(params, LAW.value(theta, (params, flops / 6 / params)))
    return found.vertex, float(np.log(best.params))


@pytest.mark.parametrize(("alpha", "beta", "published"), PUBLISHED)
@pytest.mark.parametrize("weights", OTHERS)
@pytest.mark.parametrize("flops", [1e18, 1e24])
def test_the_bias_of_a_budget(alpha, beta, published, weights, flops):
    theta = np.array([*weights, alpha, beta])
    for width, expected in zip(WIDTHS, published, strict=True):
        vertex, best = vertex_and_best(theta, flops, width)
        # D is C / (6 N), so it is as much too small as N is too large.
        assert 100 * np.expm1(best - vertex) == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize(("alpha", "beta", "published"), PUBLISHED)
def test_the_bias_of_the_line_far_beyond_the_budgets(alpha, beta, published):
    theta = np.array([1.69, 406.4, 410.7, alpha, beta])
    budgets = np.geomspace(1e17, 1e21, 5)
    for width, expected in zip(WIDTHS, published, strict=True):
        vertices = np.array([vertex_and_best(theta, flops, width)[0] for flops in budgets])
        line = Line.through(budgets, np.ones(5))
        best = np.log(LAW.compute_optimal(theta, np.array(1e24)).params)
        assert 100 * np.expm1(best - line.at(vertices, 1e24)) == pytest.approx(expected, abs=5e-5)
        assert line.exponent(vertices) == pytest.approx(beta / (alpha + beta), abs=1e-8)
