import logging

import pytest

from scalebed.train.progress import Progress


@pytest.mark.parametrize("seen", [7, 8])
def test_a_resumed_training_tells_before_it_has_taken_a_step(seen, monkeypatch, caplog):
    """The events of open_lm may at first say no more, or less, than its last checkpoint."""
    clock = iter([0.0, 20.0, 40.0])
    monkeypatch.setattr("scalebed.train.progress.time.monotonic", lambda: next(clock))
    with caplog.at_level(logging.INFO):
        progress = Progress("cell", steps=10, step_tokens=100, done=8)
        progress.update(seen, 2.5, 60.0)
        progress.update(9, 2.25, 80.0)
    assert caplog.messages == [
        f"cell: step {seen}/10, loss 2.5000, 0 tokens/s, ? s left, 60 s spent",
        "cell: step 9/10, loss 2.2500, 2 tokens/s, 40 s left, 80 s spent",
    ]


def test_a_training_that_was_done_already_has_nothing_left(caplog):
    with caplog.at_level(logging.INFO):
        Progress("cell", steps=10, step_tokens=100, done=10).update(10, 2.5, 60.0)
    assert caplog.messages == ["cell: step 10/10, loss 2.5000, 0 tokens/s, 0 s left, 60 s spent"]
