"""Targets as they are typed."""

import pytest

from scalebed.commands.targets import read_target
from scalebed.core.errors import ScalebedError


@pytest.mark.parametrize("text", ["params=1M,speed=3", "params=1M,tokens=", "params=1M,=3", "1M"])
def test_what_is_no_key_with_a_value_cannot_be_read(text):
    with pytest.raises(ScalebedError, match=r"cannot read '.*', expected params=N,tokens=D"):
        read_target(text)


def test_each_is_given_once():
    with pytest.raises(ScalebedError, match="tokens is missing"):
        read_target("params=1M")
    with pytest.raises(ScalebedError, match="params is given twice"):
        read_target("params=1M,params=2M,tokens=3M")
    found = read_target("params=64M, tokens=1.28B")
    assert (found.params, found.tokens) == (64e6, 1.28e9)
