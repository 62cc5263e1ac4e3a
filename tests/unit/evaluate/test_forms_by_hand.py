from scalebed.evaluate.suites.forms import _forms
from scalebed.evaluate.suites.pool import Pool, Sentence


def test_forms_are_found_around_each_of_them():
    pool = Pool([Sentence(("The", "use", "uses", "used", "walk", "walks", "walked."), "")])
    use, walk = ("use", "uses", "used"), ("walk", "walks", "walked")
    for number in range(3):
        assert _forms(use[number], pool) == (use, number)
        assert _forms(walk[number], pool) == (walk, number)
