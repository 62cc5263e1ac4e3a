"""Scatter of errors in groups, against numbers worked out by hand."""

from types import SimpleNamespace

import numpy as np
import pytest

from scalebed.fit.options import Options
from scalebed.laws import get_law
from scalebed.predict.clusters import clustered
from scalebed.predict.scatter import Sigma

ALONE = Sigma(0.02, 6.0, "this fit's own residuals, 6 degrees of freedom", own=True)


def fit(residuals):
    residuals = np.array(residuals)
    law = get_law("decay_chance")
    return SimpleNamespace(
        residuals=residuals, fitted=np.full(residuals.size, 0.5), law=law, options=Options()
    )


def test_the_part_that_groups_share_is_that_of_the_analysis_of_variance():
    # Groups of two: means .03, -.01, -.03, .01, halves of the differences .01 each.
    residuals = [0.04, 0.02, 0.0, -0.02, -0.02, -0.04, 0.02, 0.0]
    groups = np.array([0, 0, 1, 1, 2, 2, 3, 3])
    found = clustered(ALONE, fit(residuals), np.zeros(8), groups)
    # SSW = 8 * .01^2 over 8 - 4; SSB = 2 * (.0009 + .0001 + .0009 + .0001) over 4 - 2, two a group.
    own, over = 2e-4, 1e-3
    common = over - own / 2
    assert found.value == pytest.approx(np.sqrt(common + own))
    assert found.shared == pytest.approx(common / (common + own))
    assert found.dof == pytest.approx((common + own) ** 2 / (over**2 / 2 + (own / 2) ** 2 / 4))
    assert found.own
    assert "82% of their variance shared" in found.source


def test_measurement_is_no_part_of_what_is_shared():
    residuals = [0.04, 0.02, 0.0, -0.02, -0.02, -0.04, 0.02, 0.0]
    groups = np.array([0, 0, 1, 1, 2, 2, 3, 3])
    found = clustered(ALONE, fit(residuals), np.full(8, 0.01), groups)
    assert found.value == pytest.approx(np.sqrt(9e-4 + 2e-4 - 1e-4))
    assert found.shared == pytest.approx(0.9)


def test_groups_that_share_nothing_leave_the_scatter_as_it_is():
    groups = np.array([0, 0, 1, 1, 2, 2, 3, 3])
    assert clustered(ALONE, fit([0.01, -0.01] * 4), np.zeros(8), groups) is ALONE


@pytest.mark.parametrize("groups", [[0, 0, 0, 0, 1, 1, 1, 1], [0, 1, 2, 3, 4, 5, 6, 7]])
def test_nothing_is_said_where_groups_leave_no_degree_of_freedom(groups):
    residuals = [0.04, 0.02, 0.03, 0.01, -0.02, -0.04, -0.02, -0.02]
    assert clustered(ALONE, fit(residuals), np.zeros(8), np.array(groups)) is None
