"""Our adapter against lm-eval's own HFLM around the same model: the same result for every item."""

import pytest
from evaluation_cells import TASKS, World

pytest.importorskip("transformers", reason="HFLM needs transformers, which is not installed")
pytest.importorskip("accelerate", reason="HFLM needs accelerate, which is not installed")

import numpy as np
from hflm import hflm
from lm_eval.evaluator import evaluate

from scalebed.data.tokenizer import load_tokenizer
from scalebed.evaluate.lm_eval_model import CellLM
from scalebed.evaluate.loading import load_local, read_items
from scalebed.model import load_model


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return World(tmp_path_factory.mktemp("world"), items=40)


def samples(lm, world, names):
    """Return lm-eval's record of every item of some tasks."""
    items = {name: read_items(world.suite, name)[0] for name in names}
    tasks = load_local(items, None)
    return evaluate(lm, {"tasks": tasks}, bootstrap_iters=0, log_samples=True)["samples"]


@pytest.fixture(scope="module", params=["fresh", "trained"])
def scored(request, world):
    """Return a model and our record of every item."""
    model, _ = load_model(getattr(world, request.param).parent)
    return model, samples(CellLM(model, load_tokenizer(world.tokenizer)), world, TASKS)


@pytest.mark.filterwarnings("default")  # transformers' own
@pytest.mark.parametrize("batch_size", [1, 16])
def test_every_item_scores_as_with_the_wrapper_of_lm_eval(scored, batch_size, world):
    model, ours = scored
    theirs = samples(hflm(model, world.tokenizer, batch_size), world, TASKS)
    cut = 0
    for name in TASKS:
        assert len(ours[name]) == len(theirs[name]) == 40
        for mine, other in zip(ours[name], theirs[name], strict=True):
            assert mine["doc_id"] == other["doc_id"]
            a, b = (np.array([float(r[0][0]) for r in one["resps"]]) for one in (mine, other))
            np.testing.assert_allclose(a, b, atol=1e-4, rtol=0)
            assert [r[0][1] for r in mine["resps"]] == [r[0][1] for r in other["resps"]]
            # The best two choices further apart than rounding: else either may win.
            close = np.diff(np.sort(a)[-2:])[0] < 2e-4
            assert close or mine["acc"] == other["acc"]
            cut += close
    assert cut <= 2
