import math
from pathlib import Path

import numpy as np
import pytest
import torch
from evaluation_cells import CONTEXT, World
from lm_eval.api.instance import Instance

from scalebed.core.errors import ScalebedError
from scalebed.core.files import read_json
from scalebed.data.tokenizer import Tokenizer, load_tokenizer
from scalebed.evaluate.encoding import Encoder, encode_pairs
from scalebed.evaluate.lm_eval_model import CellLM
from scalebed.evaluate.loading import read_items
from scalebed.evaluate.scoring import Request, score_requests
from scalebed.model import Decoder, load_model


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"), items=40)


@pytest.fixture(scope="module")
def tokenizer(world: World) -> Tokenizer:
    return load_tokenizer(world.tokenizer)


@pytest.fixture(scope="module")
def model(world: World) -> Decoder:
    return load_model(world.trained.parent)[0]


def pairs_of(world: World, task: str) -> list[tuple[str, str]]:
    items, _ = read_items(world.suite, task)
    return [(item["query"], " " + choice) for item in items for choice in item["choices"]]


def instances(kind: str, arguments: list[tuple], task: str = "t") -> list[Instance]:
    return [Instance(kind, {}, args, 0, (task, i, 1)) for i, args in enumerate(arguments)]


def naive(model: Decoder, context: list[int], continuation: list[int]) -> tuple[float, bool]:
    """Score one request by one forward pass over its last context + 1 tokens."""
    whole = (context + continuation)[-(CONTEXT + 1) :]
    with torch.inference_mode():
        logs = torch.log_softmax(model(torch.tensor([whole[:-1]]))[0].double(), dim=-1)
    logs = logs[-len(continuation) :]
    targets = torch.tensor(whole[-len(continuation) :])
    return float(logs.gather(1, targets[:, None]).sum()), bool((logs.argmax(1) == targets).all())


@pytest.mark.parametrize("task", ["function5", "order4", "lastword5"])
def test_scores_equal_one_forward_pass_a_request(
    world: World, tokenizer: Tokenizer, model: Decoder, task: str
) -> None:
    requests = encode_pairs(tokenizer, pairs_of(world, task))
    lengths = [len(r.context) + len(r.continuation) for r in requests]
    assert min(lengths) <= CONTEXT < max(lengths) - 1  # some are cut, some are not
    score = score_requests(model, requests)
    expected = [naive(model, list(r.context), list(r.continuation)) for r in requests]
    np.testing.assert_allclose(score.loglikelihood, [e[0] for e in expected], atol=2e-4)
    assert score.greedy.tolist() == [e[1] for e in expected]


def test_greedy_continuations_are_recognised(model: Decoder) -> None:
    context = (5, 17, 30)
    tokens = list(context)
    with torch.inference_mode():
        for _ in range(4):
            tokens.append(int(model(torch.tensor([tokens]))[0, -1].argmax()))
    right = tuple(tokens[3:])
    wrong = (*right[:-1], (right[-1] + 1) % 400)
    score = score_requests(model, [Request(context, right), Request(context, wrong)])
    assert score.greedy.tolist() == [True, False]


def test_the_longest_continuation_and_the_shortest_context_are_scored(model: Decoder) -> None:
    rng = np.random.default_rng(0)
    long = tuple(rng.integers(400, size=CONTEXT).tolist())
    requests = [Request((7,), long), Request((7, 8, 9), long), Request((7,), (3,))]
    score = score_requests(model, requests)
    expected = [naive(model, list(r.context), list(r.continuation))[0] for r in requests]
    np.testing.assert_allclose(score.loglikelihood, expected, atol=2e-4)


def test_scores_do_not_depend_on_the_order_of_requests(
    world: World, tokenizer: Tokenizer, model: Decoder
) -> None:
    requests = encode_pairs(tokenizer, pairs_of(world, "content5"))
    order = np.random.default_rng(0).permutation(len(requests))
    score = score_requests(model, requests)
    shuffled = score_requests(model, [requests[i] for i in order])
    np.testing.assert_allclose(shuffled.loglikelihood, score.loglikelihood[order], atol=1e-5)


def test_tokens_are_those_of_the_whole_text(world: World, tokenizer: Tokenizer) -> None:
    for context, continuation in pairs_of(world, "phrase4")[:20]:
        (request,) = encode_pairs(tokenizer, [(context, continuation)])
        whole = tokenizer.encode_batch([context + continuation])[0].tolist()
        assert [*request.context, *request.continuation] == whole
        assert tokenizer.decode(request.continuation) == continuation


def test_spaces_and_empty_contexts_are_handled_as_in_lm_eval(tokenizer: Tokenizer) -> None:
    spaced, plain, empty = encode_pairs(tokenizer, [("The ", "end"), ("The", " end"), ("", "The")])
    assert spaced == plain
    assert empty.context == (tokenizer.eot,)
    assert tokenizer.decode(empty.continuation) == "The"


def test_scores_of_a_task_do_not_depend_on_other_tasks(
    world: World, tokenizer: Tokenizer, model: Decoder
) -> None:
    lm = CellLM(model, tokenizer)
    one = instances("loglikelihood", pairs_of(world, "swap2"), "swap2")
    other = instances("loglikelihood", pairs_of(world, "agree2"), "agree2")
    alone = lm.loglikelihood(one)
    assert lm.loglikelihood(other + one)[len(other) :] == alone
    assert 0 < lm.truncated < lm.scored == 2 * len(one) + len(other)


def test_a_continuation_longer_than_the_context_is_refused(
    tokenizer: Tokenizer, model: Decoder
) -> None:
    lm = CellLM(model, tokenizer)
    with pytest.raises(ScalebedError, match="tokens, expected 1 to 64, the context of the model"):
        lm.loglikelihood(instances("loglikelihood", [("The", " the end" * 60)]))


def test_rolling_loglikelihood_predicts_every_token_once(
    world: World, tokenizer: Tokenizer, model: Decoder
) -> None:
    text = " ".join(query for query, _ in pairs_of(world, "swap2")[:10])
    ids = tokenizer.encode_batch([text])[0].tolist()
    assert len(ids) > 3 * CONTEXT
    lm = CellLM(model, tokenizer)
    total, short = lm.loglikelihood_rolling(instances("loglikelihood_rolling", [(text,), ("It",)]))
    expected = 0.0
    whole = [tokenizer.eot, *ids]
    for start in range(0, len(ids), CONTEXT):
        part = whole[1 + start : 1 + start + CONTEXT]
        before = whole[max(0, 1 + start + len(part) - CONTEXT - 1) : 1 + start]
        expected += naive(model, before, part)[0]
    assert total == pytest.approx(expected, abs=2e-3)
    assert short == pytest.approx(
        naive(model, [tokenizer.eot], tokenizer.encode_batch(["It"])[0].tolist())[0], abs=1e-4
    )


def test_generation_is_greedy_and_stops(tokenizer: Tokenizer, model: Decoder) -> None:
    tokens = [tokenizer.eot, *tokenizer.encode_batch(["The"])[0].tolist()]
    start = len(tokens)
    with torch.inference_mode():
        for _ in range(12):
            tokens.append(int(model(torch.tensor([tokens]))[0, -1].argmax()))
    expected = tokenizer.decode(tokens[start:])
    lm = CellLM(model, tokenizer)

    def generate(**settings: object) -> str:
        return lm.generate_until(instances("generate_until", [("The", settings)]))[0]

    assert generate(max_gen_toks=12) == expected
    stop = expected[3:5]
    assert generate(max_gen_toks=12, until=[stop]) == expected.partition(stop)[0]
    with pytest.raises(ScalebedError, match="only greedy generation"):
        generate(do_sample=True)


def test_kept_tokens_are_used_and_rebuilt_when_broken(
    world: World, tokenizer: Tokenizer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pairs = pairs_of(world, "inflect3")
    identity = read_json(world.tokenizer)["file"]["sha256"]
    encoder = Encoder(tokenizer, identity, tmp_path)
    expected = encode_pairs(tokenizer, pairs)
    assert encoder(pairs) == expected
    (file,) = tmp_path.glob("*.npz")
    assert Encoder(tokenizer, identity, tmp_path)(pairs) == expected
    assert not caplog.records
    file.write_bytes(file.read_bytes()[:200])
    assert encoder(pairs) == expected
    assert "ignoring the kept tokens" in caplog.text
    assert encoder([("The", " end")]) != expected
    assert len(list(tmp_path.glob("*.npz"))) == 2


def test_log_likelihoods_are_those_of_probabilities(model: Decoder) -> None:
    requests = [Request((11, 12), (token,)) for token in range(400)]
    score = score_requests(model, requests)
    assert math.fsum(np.exp(score.loglikelihood)) == pytest.approx(1, abs=1e-5)
    assert score.greedy.sum() == 1
