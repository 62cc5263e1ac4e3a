"""A trained decoder as a language model of lm-evaluation-harness, without transformers."""

import functools
import itertools
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

from scalebed.core.errors import ScalebedError
from scalebed.data.tokenizer import Tokenizer
from scalebed.evaluate.encoding import Encoder, encode_pairs
from scalebed.evaluate.scoring import Request, score_requests
from scalebed.model import Decoder

_GENERATED = 256
"""Tokens generated at the most when a task sets no limit, as in lm-eval."""


def check_vocabulary(model: Decoder, tokenizer: Tokenizer, where: str) -> None:
    """Raise ScalebedError if the tokenizer has ids the model has no rows for."""
    if tokenizer.vocab > model.config.vocab:
        raise ScalebedError(
            f"the tokenizer has {tokenizer.vocab} tokens, but the model of {where} has only "
            f"{model.config.vocab} rows: it was trained with another tokenizer"
        )


class CellLM(LM):
    """Scores requests of lm-eval with a decoder and its tokenizer.

    Text becomes tokens as in lm-eval's own models: context and continuation are encoded as one
    string and cut where the encoded context ends; the end-of-text token stands in for an empty
    context; what does not fit is cut from the left.

    Parameters
    ----------
    model
        The decoder, in evaluation mode.
    tokenizer
        The tokenizer it was trained with.
    encoder
        What turns (context, continuation) pairs into tokens; `encode_pairs` when left out.
    """

    def __init__(
        self, model: Decoder, tokenizer: Tokenizer, encoder: Encoder | None = None
    ) -> None:
        super().__init__()
        self._encode = encoder or functools.partial(encode_pairs, tokenizer)
        self.model = model
        self.tokenizer = tokenizer
        self.truncated = 0
        """Requests so far that lost tokens on the left."""
        self.scored = 0
        """Requests scored so far."""

    def loglikelihood(self, requests: list[Instance]) -> list[tuple[float, bool]]:
        """Return log-likelihood and greediness of each (context, continuation)."""
        answers: list[tuple[float, bool]] = [(0.0, False)] * len(requests)
        tasks: dict[str | None, list[int]] = defaultdict(list)
        for number, instance in enumerate(requests):
            tasks[instance.task_name].append(number)
        # Task by task, so that the last digits of a score do not depend on which tasks run with
        # it, as they would if their requests shared batches.
        for numbers in tasks.values():
            pairs = [requests[number].args[:2] for number in numbers]
            for number, answer in zip(numbers, self._score(pairs), strict=True):
                answers[number] = answer
        return answers

    def _score(self, pairs: list[tuple[str, str]]) -> list[tuple[float, bool]]:
        encoded = self._encode(pairs)
        longest = self.model.config.context
        for pair, request in zip(pairs, encoded, strict=True):
            if not 1 <= len(request.continuation) <= longest:
                raise ScalebedError(
                    f"the continuation {pair[1]!r:.60} has {len(request.continuation)} tokens, "
                    f"expected 1 to {longest}, the context of the model"
                )
            self.truncated += len(request.context) + len(request.continuation) > longest + 1
        self.scored += len(encoded)
        score = score_requests(self.model, encoded)
        return list(zip(score.loglikelihood.tolist(), score.greedy.tolist(), strict=True))

    def loglikelihood_rolling(self, requests: list[Instance]) -> list[float]:
        """Return the log-likelihood of whole texts, each token predicted once from the left."""
        windows: list[Request] = []
        owners: list[int] = []
        texts = self.tokenizer.encode_batch([instance.args[0] for instance in requests])
        for owner, ids in enumerate(texts):
            rolled = get_rolling_token_windows(
                ids.tolist(), self.tokenizer.eot, self.model.config.context, context_len=1
            )
            for context, continuation in map(make_disjoint_window, rolled):
                windows.append(Request(tuple(context), tuple(continuation)))
                owners.append(owner)
        score = score_requests(self.model, windows)
        return [float(x) for x in np.bincount(owners, score.loglikelihood, len(requests))]

    def generate_until(self, requests: list[Instance]) -> list[str]:
        """Return greedy continuations up to a stop string."""
        return [self._generate(*instance.args[:2]) for instance in requests]

    def _generate(self, context: str, settings: dict[str, Any]) -> str:
        if settings.get("do_sample"):
            raise ScalebedError("the task samples its answers; only greedy generation is offered")
        stops = settings.get("until") or []
        stops = [stops] if isinstance(stops, str) else stops
        limit = settings.get("max_gen_toks", settings.get("max_new_tokens", _GENERATED))
        tokens = [self.tokenizer.eot, *self.tokenizer.encode_batch([context])[0].tolist()]
        start = len(tokens)
        text = ""
        with torch.inference_mode():
            while len(tokens) - start < limit:
                window = torch.tensor([tokens[-self.model.config.context :]])
                logits = self.model(window.to(self.model.head.device))[0, -1]
                following = int(logits[: self.tokenizer.vocab].argmax())
                if following == self.tokenizer.eot:
                    break
                tokens.append(following)
                text = self.tokenizer.decode(tokens[start:])
                if any(stop and stop in text for stop in stops):
                    break
        for stop in filter(None, stops):
            text = text.partition(stop)[0]
        return text


def choices_of(instances: Sequence[Instance]) -> dict[int, list[Instance]]:
    """Return requests by the number of their document, each list in the order of its choices."""
    ordered = sorted(instances, key=lambda one: (one.doc_id, one.idx))
    grouped = itertools.groupby(ordered, key=lambda one: int(one.doc_id))
    return {number: list(group) for number, group in grouped}
