"""Numbers of evaluations against values worked out by hand."""

import hashlib
import math
from types import SimpleNamespace

import numpy as np
import pytest

from scalebed.evaluate import losses
from scalebed.evaluate.bootstrap import interval, resample_sequences
from scalebed.evaluate.measures import measure
from scalebed.evaluate.suites.words import _draw


def test_limits_cut_off_the_same_share_on_both_sides() -> None:
    means = np.arange(1001.0)
    assert interval(means) == pytest.approx((25.0, 975.0))
    assert interval(means, 0.9) == pytest.approx((50.0, 950.0))
    assert interval(np.array([2.0, 0.0, 1.0]), 0.5) == pytest.approx((0.5, 1.5))


def test_each_text_has_random_numbers_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """They follow from the seed and from the first eight bytes of the SHA-256 of the name."""
    nats = np.random.default_rng(0).gamma(2.0, 1.0, (7, 5))
    text = SimpleNamespace(sequences=None, tokens=35, bytes_per_token=4.0)
    monkeypatch.setattr(losses, "read_json", lambda path: {"vocab": 10})
    monkeypatch.setattr(losses, "sequence_losses", lambda model, sequences: nats)
    monkeypatch.setattr("scalebed.data.sequences.validation_sequences", lambda *given: text)
    model = SimpleNamespace(config=SimpleNamespace(vocab=10, context=5))
    wanted = {"split": "val", "max_tokens": None}

    def limits(name: str, seed: int) -> tuple[float, float]:
        params = {"sets": {name: wanted}, "resamples": 50, "seed": seed}
        found = losses._one(model, name, None, params)
        return found["loss_sequences_lower"], found["loss_sequences_upper"]

    for name, seed in (("one", 7), ("one", 8), ("two", 7)):
        label = int(hashlib.sha256(name.encode()).hexdigest()[:16], 16)
        rng = np.random.default_rng([seed, label])
        means = resample_sequences(nats.sum(1), np.full(7, 5.0), 50, rng)
        assert limits(name, seed) == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])))


def test_bits_per_byte_count_all_tokens_and_bytes() -> None:
    # 4 tokens of log 2, 2, 4 and 2 nats in 8 bytes: 10 bits... of which 1 + 1 + 2 + 1 are log2.
    nats = np.log(np.array([[2.0, 2.0], [4.0, 2.0]]))
    found = losses.summarise(nats, 8.0, 10, np.random.default_rng(0))
    assert found["bits_per_byte"] == pytest.approx(5 / 8)
    assert found["loss"] == pytest.approx(5 / 4 * math.log(2))
    assert (found["sequences"], found["tokens"], found["bytes"]) == (2, 4, 8)


class Choices:
    """A task of multiple choice whose document is the number of choices; the first is right."""

    OUTPUT_TYPE = "multiple_choice"
    multiple_input = False

    def doc_to_choice(self, doc: int) -> list[str]:
        return [str(number) for number in range(doc)]

    def doc_to_target(self, doc: int) -> int:
        return 0


def answered(*items: list[float]) -> dict[int, list[SimpleNamespace]]:
    """Requests of items, given the probabilities of their choices."""
    return {
        number: [SimpleNamespace(doc=len(item), resps=[(math.log(p),)]) for p in item]
        for number, item in enumerate(items)
    }


def test_parts_of_a_group_weigh_by_their_items() -> None:
    """Three items of two choices and one of four: 2 of 3 right and 0 of 1."""
    grouped = {
        "a": answered([0.6, 0.4], [0.9, 0.1], [0.3, 0.7]),
        "b": answered([0.1, 0.2, 0.3, 0.4]),
    }
    tasks = {name: Choices() for name in grouped}
    found = measure("group", tasks, grouped, {"a": {"acc,none": 2 / 3}, "b": {"acc,none": 0.0}})
    assert found.items == 4
    assert found.error == pytest.approx(1 - 2 / 4)
    assert found.error_stderr == pytest.approx(math.sqrt(0.5 * 0.5 / 4))
    assert found.chance_error == pytest.approx((3 * 1 / 2 + 1 * 3 / 4) / 4)
    right = [0.6, 0.9, 0.3, 0.1]
    assert found.soft_error == pytest.approx(1 - sum(right) / 4)
    deviation = math.sqrt(sum((p - 0.475) ** 2 for p in right) / 4)
    assert found.soft_error_stderr == pytest.approx(deviation / 2)


def test_words_drawn_do_not_depend_on_the_order_in_which_they_were_counted() -> None:
    counts = {"elm": 5, "ash": 1, "oak": 3, "fir": 2, "yew": 8, "bay": 0}
    turned = dict(reversed(counts.items()))
    for seed in range(5):
        one, other = (_draw("oak", by, 2, np.random.default_rng(seed)) for by in (counts, turned))
        assert one == other
        assert set(one) <= {"elm", "ash", "fir", "yew"}
    assert _draw("oak", counts, 5, np.random.default_rng(0)) == []
