import subprocess
import sys

import numpy as np
import pytest

from scalebed.core.errors import ScalebedError
from scalebed.laws import KINDS, NAMES, get_law, names_of
from scalebed.laws.forms.base import names

RUN = {"params", "tokens", "flops"}
INPUTS = {
    "loss": RUN | {"unique_tokens"},
    "error": {"loss", "chance"},
    "direct": RUN | {"chance"},
}
THETA = np.array([1.83665, 166.211, 287.168, 0.272851])


def test_every_registered_law_describes_itself():
    for name in NAMES:
        law = get_law(name)
        assert law.name == name and law.kind in KINDS and name in KINDS[law.kind]
        assert law.formula and law.source and law.version >= 1
        assert set(law.inputs) <= INPUTS[law.kind] and len(set(law.inputs)) == len(law.inputs)
        assert law.weights == tuple(sorted(set(law.weights)))
        for at in law.weights:
            assert law.parameters[at].lower == 0
        assert len(set(names((*law.parameters, *law.derived)))) == len(law.parameters) + len(
            law.derived
        )
        for parameter in (*law.parameters, *law.derived):
            assert parameter.unit and parameter.meaning and parameter.lower < parameter.upper


def test_unknown_law_and_wrong_kind_are_named():
    with pytest.raises(ScalebedError, match="law 'chinchila' is unknown"):
        get_law("chinchila")
    with pytest.raises(ScalebedError, match="'tied' describes loss, expected a law of error"):
        get_law("tied", "error")
    with pytest.raises(ScalebedError, match="describes loss, expected a law of error or direct"):
        get_law("tied", ("error", "direct"))
    assert get_law("neglog", ("error", "direct")).kind == "direct"


def test_names_are_found_by_kind():
    assert names_of(("loss", "error", "direct")) == NAMES
    assert names_of("error")[0] == "decay" and "tied" not in names_of(("error", "direct"))
    with pytest.raises(ScalebedError, match="kind 'mistake' is unknown"):
        names_of("mistake")


def test_derived_parameters_give_equation_4():
    """The trap: a = A 6^eta AND b = B 6^eta; with them Eq. 4 in (C, M) equals Eq. 3 in (N, D)."""
    law = get_law("tied")
    eta, a, b, optimum = law.derive(THETA)
    params, tokens = np.array([1e7, 4e8, 7e9]), np.array([3e9, 8e9, 1e11])
    compute, ratio = 6 * params * tokens, tokens / params
    direct = THETA[0] + (a * ratio**eta + b * ratio**-eta) * compute**-eta
    np.testing.assert_allclose(law.predict(THETA, (params, tokens)), direct, rtol=1e-12)
    np.testing.assert_allclose([eta, a, b], [0.1364255, 212.236, 366.687], rtol=1e-5)
    assert optimum == pytest.approx(7.4191, rel=1e-4)
    assert optimum == pytest.approx((b / a) ** (1 / (2 * eta)), rel=1e-12)


def test_m_star_minimises_the_loss_at_fixed_compute():
    law = get_law("tied")
    optimum = law.derive(THETA)[3]
    ratios = optimum * np.array([0.9, 1.0, 1.1])
    params = np.sqrt(1e20 / (6 * ratios))
    losses = law.predict(THETA, (params, params * ratios))
    assert losses[1] < losses[0] and losses[1] < losses[2]


def test_m_star_at_a_bound_is_zero_or_infinite_without_warning():
    derived = get_law("tied").derive(np.array([[2.0, 0.0, 5.0, 0.3], [2.0, 5.0, 0.0, 0.3]]))
    assert derived[0, 3] == np.inf and derived[1, 3] == 0


def test_predictions_vectorise_over_draws():
    rng = np.random.default_rng(0)
    for name, x in (("tied", ([1e6, 2e6], [1e8, 9e8])), ("decay", ([2.5, 4.0],))):
        law = get_law(name)
        inputs = tuple(np.array(column) for column in x)
        theta = rng.uniform(0.1, 0.9, (7, len(law.parameters)))
        batch = law.predict(theta, inputs)
        assert batch.shape == (7, 2)
        for row, values in zip(theta, batch, strict=True):
            np.testing.assert_array_equal(law.predict(row, inputs), values)


def test_error_law_never_leaves_the_unit_interval():
    law = get_law("decay")
    loss = np.linspace(0.0, 20.0, 200)
    error = law.predict(np.array([0.9, 30.0, 1.5]), (loss,))
    assert error.min() == 0 and error.max() <= 0.9
    assert np.all(np.diff(error) >= 0)


def test_import_is_light():
    code = (
        "import sys; import scalebed.laws as l;"
        "assert not [m for m in sys.modules if m.startswith('scalebed.laws.tied')];"
        "[l.get_law(n) for n in l.NAMES];"
        "print(sorted({m.split('.')[0] for m in sys.modules} & "
        "{'torch', 'scipy', 'pandas', 'pyarrow', 'snakemake'}))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_names_are_those_of_the_paper():
    assert names(get_law("tied").parameters) == ("E", "A", "B", "alpha")
    assert names(get_law("tied").derived) == ("eta", "a", "b", "M_star")
    assert names(get_law("decay").parameters) == ("eps", "k", "gamma")
