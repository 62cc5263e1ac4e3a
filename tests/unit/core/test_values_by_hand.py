from scalebed.core.values import Objective


def test_hubers_loss_turns_at_a_thousandth_of_the_logarithm():
    # Hoffmann et al., arXiv 2203.15556, Sec. 3.3.
    assert Objective().delta == 0.001
