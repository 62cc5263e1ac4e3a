"""Canonical parameters, digests and the record of a run."""

import json
import platform
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalebed.core.provenance import canonical_json, digest, run_record

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
SCALARS = SCALARS.filter(lambda value: value not in (float("inf"), float("-inf")))
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10
)


@given(VALUES)
def test_canonical_json_is_json_of_the_same_value(value):
    assert json.loads(canonical_json(value)) == value


@given(st.dictionaries(st.text(), st.integers(), min_size=2), st.randoms())
def test_the_order_of_keys_does_not_matter(value, random):
    items = list(value.items())
    random.shuffle(items)
    assert canonical_json(dict(items)) == canonical_json(value)
    assert digest(dict(items)) == digest(value)


@given(VALUES, VALUES)
def test_different_values_have_different_texts(one, other):
    if canonical_json(one) == canonical_json(other):
        assert one == other


def test_swapped_values_are_noticed():
    assert digest({"a": 1, "b": 2}) != digest({"a": 2, "b": 1})
    assert re.fullmatch(r"[0-9a-f]{16}", digest({"a": 1}))


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ({"lr": np.float64(0.1)}, r"value\.lr"),
        ({"a": {"steps": np.int64(3)}}, r"value\.a\.steps"),
        ([1, {2, 3}], r"value\[1\]"),
        ({"path": Path("x")}, r"value\.path"),
        ({"a": b"bytes"}, r"value\.a"),
        ({1: "x"}, r"key 1 is not a string"),
        ((1, object()), r"value\[1\]"),
    ],
)
def test_values_of_other_types_are_refused_and_located(value, where):
    with pytest.raises(TypeError, match=where):
        canonical_json(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_json_lacks_are_refused(value):
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical_json({"a": value})


def test_a_run_record_names_versions_but_no_machine():
    record = run_record()
    assert record["python"] == platform.python_version()
    assert record["versions"]["torch"].startswith("2.")
    assert record["git_commit"] is None or re.fullmatch(r"[0-9a-f]{40}\+?", record["git_commit"])
    assert platform.node() not in json.dumps(record)
