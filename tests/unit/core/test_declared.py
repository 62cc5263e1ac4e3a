import dataclasses
from collections.abc import Mapping
from typing import Annotated, Literal

import pytest

from scalebed.core.declared import Limits, check_limits, read_dataclass
from scalebed.core.errors import ScalebedError

Share = Annotated[float, Limits(gt=0, lt=1)]


@dataclasses.dataclass(frozen=True)
class Prior:
    mean: float
    sd: Annotated[float, Limits(gt=0)]


@dataclasses.dataclass(frozen=True)
class Values:
    count: Annotated[Annotated[int, Limits(ge=1)], Limits(le=9)]
    names: tuple[str, ...]
    share: Literal["auto"] | Share = "auto"
    kind: Literal["one", "two"] = "one"
    flag: bool = False
    groups: dict[str, list[str] | None] = dataclasses.field(default_factory=dict)
    priors: Mapping[str, Prior] = dataclasses.field(default_factory=dict)
    prior: Prior | None = None


WHOLE = {
    "count": 3,
    "names": ["a", "b"],
    "share": 0.5,
    "kind": "two",
    "flag": True,
    "groups": {"x": ["a"], "y": None},
    "priors": {"E": [1.7, 0.1]},
    "prior": {"mean": 1, "sd": 2.0},
}


def test_plain_values_become_the_dataclass_that_declares_them():
    assert read_dataclass(Values, WHOLE, "v.", whole=True) == Values(
        3,
        ("a", "b"),
        0.5,
        "two",
        True,
        {"x": ["a"], "y": None},
        {"E": Prior(1.7, 0.1)},
        Prior(1, 2.0),
    )
    assert read_dataclass(Values, {"count": 1, "names": []}, "v.") == Values(1, ())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"count": "3"}, "v.count is '3', expected integer"),
        ({"count": True}, "v.count is True, expected integer"),
        ({"count": 3.0}, "v.count is 3.0, expected integer"),
        ({"names": "ab"}, "v.names is 'ab', expected list"),
        ({"names": ["a", 1]}, "v.names holds 1, expected text"),
        ({"share": None}, "v.share is None, expected auto or number"),
        ({"kind": 1}, "v.kind is 1, expected one or two"),
        ({"flag": 0}, "v.flag is 0, expected true or false"),
        ({"groups": {"x": "a"}}, "v.groups.x is 'a', expected list or null"),
        ({"priors": {"E": [1.7]}}, "v.priors.E.sd is missing"),
        ({"priors": {"E": [1, 2, 3]}}, "v.priors.E is [1, 2, 3], expected mapping"),
        ({"priors": {"E": 1.7}}, "v.priors.E is 1.7, expected mapping"),
        ({"prior": {"mean": 1, "sd": 1, "n": 1}}, "v.prior.n is not a value that is known here"),
        ({"other": 1}, "v.other is not a value that is known here"),
    ],
)
def test_a_value_of_the_wrong_kind_is_named(change, message):
    with pytest.raises(ScalebedError) as error:
        read_dataclass(Values, WHOLE | change, "v.")
    assert str(error.value) == message


def test_what_is_missing_is_named():
    with pytest.raises(ScalebedError, match=r"^v\.count is missing$"):
        read_dataclass(Values, {"names": []}, "v.")
    rest = {name: value for name, value in WHOLE.items() if name != "kind"}
    with pytest.raises(ScalebedError, match=r"^v\.kind is missing$"):
        read_dataclass(Values, rest, "v.", whole=True)
    with pytest.raises(ScalebedError, match=r"^v is \[\], expected mapping$"):
        read_dataclass(Values, [], "v.")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"count": 0}, "v.count is 0, expected 1 .. 9"),
        ({"count": 10}, "v.count is 10, expected 1 .. 9"),
        ({"share": 1.0}, "v.share is 1.0, expected auto or a number above 0 and below 1"),
        ({"share": float("nan")}, "v.share is nan, expected auto or a number above 0 and below 1"),
        ({"share": "best"}, "v.share is 'best', expected auto or a number above 0 and below 1"),
        ({"kind": "three"}, "v.kind is 'three', expected one or two"),
    ],
)
def test_a_value_beyond_its_limits_is_named(change, message):
    check_limits(read_dataclass(Values, WHOLE, "v."), "v.", ValueError)
    with pytest.raises(ValueError) as error:
        check_limits(read_dataclass(Values, WHOLE | change, "v."), "v.", ValueError)
    assert str(error.value) == message
