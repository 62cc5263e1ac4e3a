import pytest
import synthetic_study as synthetic

from scalebed.core.errors import ScalebedError
from scalebed.predict.settings import parse_settings


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"draws": 10}, "draws is 10, expected 100"),
        ({"draws": "many"}, "draws is 'many', expected int"),
        ({"level": 1.5}, "level is 1.5"),
        ({"loss_law": "decay"}, "'decay' describes error"),
        ({"loss_law": "guess"}, "'guess' is unknown"),
        ({"error_law": "tied"}, "'tied' describes loss"),
        ({"loss_options": {"objective": "l1"}}, "objective 'l1' is unknown"),
        ({"loss_options": {"fixed": {"gamma": 1.0}}}, "law tied has no parameter 'gamma'"),
        ({"loss_options": {"fixed": {"E": -1.0}}}, "E of law tied is fixed at -1.0"),
        ({"weights": {"loss": "equal", "error": "some"}}, "weights of error is 'some'"),
        ({"losses": [3]}, "losses holds 3"),
        ({"extra": 1}, "--params has keys"),
    ],
)
def test_bad_settings_are_named(change, message):
    with pytest.raises(ScalebedError, match=message):
        parse_settings(synthetic.params(**change))
    with pytest.raises(ScalebedError, match="not JSON"):
        parse_settings("{")
