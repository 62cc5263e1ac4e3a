"""Which sizes and multipliers are proposed around data, against values worked out by hand."""

from types import SimpleNamespace

import numpy as np
import pytest

from scalebed.core.errors import ScalebedError
from scalebed.decide import decision, page, sources
from scalebed.decide.costs import Prices
from scalebed.decide.isoflop.budgets import budgets_found
from scalebed.decide.optimum import Caps
from scalebed.decide.question import Question
from scalebed.decide.suggest.designs import Run, _multipliers, _step, _with_larger, same, spread
from scalebed.laws import get_law


def curve(*multipliers):
    params = np.full(len(multipliers), 1e8)
    return SimpleNamespace(params=params, tokens=params * np.array(multipliers))


def test_multipliers_fill_gaps_and_go_a_step_beyond_the_largest():
    """From 20 to 320 is a factor of 16: four parts of a factor of 2; a step is at most 4."""
    found = _multipliers(curve(20.0, 320.0), [])
    assert found == pytest.approx((20, 320 / 2**3, 320 / 2**2, 320 / 2, 320, 1280))
    # A target below the data asks for one step below as well.
    below = _multipliers(curve(20.0, 320.0), [Run(1e8, 1e9, 1e9)])
    assert below == pytest.approx((5, 20, 40, 80, 160, 320, 1280))
    # A factor of 2.25 is no gap.
    assert _multipliers(curve(20.0, 45.0), []) == (20.0, 45.0, 101.2)


def test_a_step_is_the_usual_ratio_within_limits():
    assert _step(np.array([1.0, 2.0, 4.0, 40.0])) == pytest.approx(2.0)
    assert _step(np.array([1.0, 1.1])) == 1.25
    assert _step(np.array([1.0, 10.0])) == 4.0
    assert _step(np.array([7.0])) == 2.0
    assert _with_larger(np.array([1e8, 4e8])) == pytest.approx((1e8, 4e8, 8e8, 1.6e9))


def test_many_values_are_thinned_evenly_in_their_logarithm():
    values = np.geomspace(1.0, 2.0**22, 23)
    found = spread(np.concatenate([values[::-1], values]))
    assert found == pytest.approx(2.0 ** np.arange(0, 23, 2))
    assert spread(np.array([4.0, 1.0, 2.0, 1.0 + 1e-9])) == pytest.approx([1.0, 2.0, 4.0])


def test_runs_within_a_tenth_are_the_same():
    one = Run(1e8, 2e9, 2e9)
    others = [Run(1.09e8, 2e9, 2e9), Run(1e8, 1.85e9, 2e9), Run(1e8, 2e9, 2.3e9)]
    assert same(one, others).tolist() == [True, True, False]
    assert same(one, [Run(1.11e8, 2e9, 2e9)]).tolist() == [False]


def test_other_laws_are_asked_with_how_well_they_fit():
    """The tied law's own optimum is (A / B)^(1 / 2α) √(C / 6); residuals alternate by 1 %."""
    params, tokens = (grid.ravel() for grid in np.meshgrid([1e7, 3e7, 1e8, 3e8], [1e9, 4e9, 2e10]))
    loss = get_law("tied").value(np.array([1.7, 120.0, 160.0, 0.27]), (params, tokens))
    law = SimpleNamespace(inputs=("params", "tokens"))
    asked = Question(flops=6e20)
    curve = SimpleNamespace(params=params, tokens=tokens, loss=loss, law=law)
    found = {other.law: other for other in decision._laws(curve, asked)}
    assert list(found) == ["tied", "chinchilla", "kaplan"]
    best = (120 / 160) ** (1 / 0.54) * 1e10
    for name in ("tied", "chinchilla"):
        assert found[name].params == pytest.approx(best, rel=1e-3)
        assert found[name].rmse < 1e-6
    assert found["kaplan"].rmse > 1e-3
    curve.loss = loss * (1 + 0.01 * (-1.0) ** np.arange(12))
    (tied,) = [other for other in decision._laws(curve, asked) if other.law == "tied"]
    # Four parameters cannot follow twelve alternating signs.
    assert 0.007 < tied.rmse < 0.01
    law.inputs = ("params", "tokens", "unique_tokens")
    assert decision._laws(curve, asked) == []


def test_a_page_ends_with_the_runs_to_make_next():
    def said(*steps, runs=3):
        found = SimpleNamespace(widths=np.array([0.02, 0.5]), steps=steps) if steps else None
        decided = SimpleNamespace(following=found, curve=SimpleNamespace(params=np.ones(runs)))
        return list(page._next(decided, Prices()))

    one, other = (
        SimpleNamespace(run=Run(1e8, d, d), cost=6e8 * d, widths=np.array([w, 0.4]))
        for d, w in ((2e9, 0.015), (4e9, 0.0125))
    )
    first, second = said(one, other)
    assert (
        first == "N 100M on D 2B: 1.2e+18 FLOPs; the law at the answer from +- 2.00% to +- 1.50%."
    )
    assert second.endswith("D 4B: 2.4e+18 FLOPs; the law at the answer from +- 1.50% to +- 1.25%.")
    nothing = "The run itself: no run of a tenth of its cost narrows what is known of it."
    assert said() == [nothing]
    found = SimpleNamespace(widths=np.array([0.02]), steps=())
    decided = SimpleNamespace(following=found, curve=SimpleNamespace(params=np.ones(3)))
    assert list(page._next(decided, Prices())) == [nothing]
    constants = "constants say nothing of how well they hold where you train"
    assert said(runs=0) == [f"Runs of your own: {constants}."]


def test_a_loss_is_written_with_its_interval_where_it_has_one():
    def written(*limits):
        predicted, lower, upper = limits
        return page._loss(SimpleNamespace(predicted=predicted, lower=lower, upper=upper))

    assert written(3.21, 3.1, 3.35678) == "3.2100 [3.1000, 3.3568]"
    assert written(3.21, None, None) == written(3.21, 3.1, None) == "3.2100"
    assert written(None, None, None) == "-"


def test_budgets_come_by_compute_whichever_is_densest():
    """Four runs of 1e19 are found first, three of 1e18 after them."""
    flops = np.array([1e19, 1e18, 1e19, 1e18, 1e19, 1e18, 1e19])
    params = np.array([1e8, 1e7, 2e8, 2e7, 4e8, 4e7, 8e8])
    first, second = budgets_found(flops, params)
    assert (first.flops, first.rows.tolist()) == (pytest.approx(1e18), [1, 3, 5])
    assert (second.flops, second.rows.tolist()) == (pytest.approx(1e19), [0, 2, 4, 6])


@pytest.mark.parametrize(
    ("question", "words"),
    [
        (Question(flops=1e21), "the best run of 1e+21 training FLOPs"),
        (Question(loss=2.5), "the cheapest run of loss 2.5"),
        (
            Question(flops=1e21, demand=2e12, lifetime=True, unique_tokens=5e9),
            "the best run whose training and serving cost 1e+21 FLOPs, 2T tokens served, "
            "5B unique tokens",
        ),
        (
            Question(flops=1e21, demand=3e9, caps=Caps(params=7e9, flops=1e20)),
            "the cheapest run, trained and served, of the loss that 1e+20 training FLOPs give at "
            "their best, 3B tokens served, N up to 7B, up to 1e+20 training FLOPs in the time "
            "there is",
        ),
    ],
)
def test_a_question_is_repeated(question, words):
    assert page.asked(question) == words


def test_a_study_has_a_curve_of_every_data_set_with_a_law(monkeypatch):
    every = np.ones(3)
    runs = SimpleNamespace(
        **{"params": every, "tokens": every, "column": lambda *given: every},
        **{"loss": lambda response: every, "groups": lambda used: None},
    )

    def found(**stages):
        each = [
            SimpleNamespace(dataset=name, response="val", used=slice(None), fit=fit, reason=reason)
            for name, (fit, reason) in stages.items()
        ]
        carried = [SimpleNamespace(runs=runs, stage=stage) for stage in each]
        laws = SimpleNamespace(carried=lambda *given, **more: carried)
        monkeypatch.setattr(sources, "StudyLaws", lambda study: laws)
        monkeypatch.setattr(sources, "_curve", lambda name, stage, *given: (name, stage.dataset))
        study = SimpleNamespace(name="s", settings=SimpleNamespace(loss="val"))
        return sources.study_curves(study)

    assert found(red=("a law", ""), blue=(None, "few points")) == [("study s", "red")]
    with pytest.raises(ScalebedError, match=r"no loss law \(red: few points; blue: no loss\)"):
        found(red=(None, "few points"), blue=(None, "no loss"))
