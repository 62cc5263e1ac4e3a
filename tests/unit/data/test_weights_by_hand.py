from fractions import Fraction

from scalebed.data.dataset import _weights


def test_sources_come_in_the_order_of_their_names_whatever_the_file_says():
    # 3 : 1 : 4 of 8.
    found = _weights("mixture", {"prose": 0.3, "code": 0.1, "manuals": 0.4})
    assert list(found.items()) == [
        ("code", Fraction(1, 8)),
        ("manuals", Fraction(1, 2)),
        ("prose", Fraction(3, 8)),
    ]
