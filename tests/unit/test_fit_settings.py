import pytest
import synthetic_study as synthetic

from scalebed.errors import ScalebedError
from scalebed.fit.settings import parse_settings


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"draws": 10}, "draws is 10, expected 100"),
        ({"draws": "many"}, "draws is 'many', expected int"),
        ({"level": 1.5}, "level is 1.5"),
        ({"loss_law": "decay"}, "'decay' describes error"),
        ({"loss_law": "kaplan"}, "'kaplan' is unknown"),
        ({"losses": [3]}, "losses holds 3"),
        ({"extra": 1}, "--params has keys"),
    ],
)
def test_bad_settings_are_named(change, message):
    with pytest.raises(ScalebedError, match=message):
        parse_settings(synthetic.params(**change))
    with pytest.raises(ScalebedError, match="not JSON"):
        parse_settings("{")
