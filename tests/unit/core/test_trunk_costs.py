"""What cells cost as branches of trunks, against published numbers."""

from typing import Any

import pytest

from scalebed.core.trunks import branch_step, legs, marginal, total

# Hägele et al., arXiv 2405.18392, flops.ipynb of epfml/schedules-and-scaling: thousands of steps of
# each model, a batch of 200 sequences of 512 tokens, and the share of FLOPs it prints.
NOTEBOOK = [
    ((3.0, 7.0, 10.0), 0.6),
    ((3.75, 7.5, 11.25), 0.6),
    ((7.5, 12.5, 17.5), 0.5733333333333334),
    ((10.0, 17.5, 25.0), 0.5809523809523809),
    ((15.0, 25.0, 35.0), 0.5733333333333334),
    ((25.0, 37.5, 50.0), 0.5555555555555556),
    ((25.0, 37.5, 50.0), 0.5555555555555556),
    ((37.5, 50.0, 62.5), 0.5333333333333333),
    ((25.0, 37.5, 50.0), 0.5555555555555556),
]
# Hoffmann et al., arXiv 2203.15556, table A9: millions of parameters, width, width of a head, heads
# and layers.
CHINCHILLA = [
    *((44, 512, 64, 8, 8), (57, 576, 64, 9, 9), (74, 640, 64, 10, 10)),
    *((90, 640, 64, 10, 13), (106, 640, 64, 10, 16), (117, 768, 64, 12, 12)),
    *((140, 768, 64, 12, 15), (163, 768, 64, 12, 18), (175, 896, 64, 14, 14)),
    *((196, 896, 64, 14, 16), (217, 896, 64, 14, 18), (251, 1024, 64, 16, 16)),
    *((278, 1024, 64, 16, 18), (306, 1024, 64, 16, 20), (425, 1280, 128, 10, 18)),
    *((489, 1280, 128, 10, 21), (509, 1408, 128, 11, 18), (552, 1280, 128, 10, 24)),
    *((587, 1408, 128, 11, 21), (632, 1536, 128, 12, 19), (664, 1408, 128, 11, 24)),
    *((724, 1536, 128, 12, 22), (816, 1536, 128, 12, 25), (893, 1792, 128, 14, 20)),
    *((1018, 1792, 128, 14, 23), (1143, 1792, 128, 14, 26), (1266, 2048, 128, 16, 22)),
    *((1424, 2176, 128, 17, 22), (1429, 2048, 128, 16, 25), (1593, 2048, 128, 16, 28)),
    *((1609, 2176, 128, 17, 25), (1731, 2304, 128, 18, 24), (1794, 2176, 128, 17, 28)),
    *((2007, 2304, 128, 18, 28), (2283, 2304, 128, 18, 32), (2298, 2560, 128, 20, 26)),
    *((2639, 2560, 128, 20, 30), (2980, 2560, 128, 20, 34), (3530, 2688, 128, 22, 36)),
    *((3802, 2816, 128, 22, 36), (4084, 2944, 128, 22, 36), (4516, 3072, 128, 24, 36)),
    *((6796, 3584, 128, 28, 40), (9293, 4096, 128, 32, 42), (11452, 4352, 128, 32, 47)),
    *((12295, 4608, 128, 36, 44), (12569, 4608, 128, 32, 47), (13735, 4864, 128, 32, 47)),
    *((14940, 4992, 128, 32, 49), (16183, 5120, 128, 40, 47)),
]


def cell(size: str, steps: int, cooldown: float, batch: int = 200, seed: int = 0, **model: int):
    """Return what trunks look at in the parameters of a cell."""
    model = {"context": 512} | model
    names = {"dataset": "one", "size": size, "ratio": steps, "recipe": "wsd", "seed": seed}
    recipe = {"schedule": "wsd", "cooldown": cooldown, "lr": 1e-3, "batch_sequences": batch}
    return {
        **{"cell": names, "model": model, "recipe": recipe, "numerics": 1},
        **{"steps": steps, "tokens": steps * batch * model["context"]},
    }


def tokens_of(spec: dict[str, Any]) -> float:
    return float(spec["tokens"])


def share(cells: list[dict[str, Any]]) -> float:
    """Return what cells cost as branches over what they cost from their first step."""
    return total(cells, tokens_of) / sum(map(tokens_of, cells))


@pytest.mark.parametrize(("thousands", "printed"), NOTEBOOK)
def test_shares_of_the_published_notebook(thousands, printed):
    cells = [cell("one", round(1000 * steps), 0.2) for steps in thousands]
    assert share(cells) == pytest.approx(printed, abs=1e-12)


@pytest.mark.parametrize(("cooldown", "printed"), [(0.2, 0.6016), (0.1, 0.5518)])
def test_share_of_eight_multipliers(cooldown, printed):
    cells = [cell("one", 1000 * ratio, cooldown) for ratio in (5, 10, 20, 40, 80, 160, 320, 640)]
    assert share(cells) == pytest.approx(printed, abs=5e-5)


def test_the_chinchilla_suite_costs_what_was_published():
    """M = 10, 15, 20 and 25, cool-downs of 10 %, 0.5M tokens a step, 1024 tokens a sequence."""

    def flops(spec: dict[str, Any]) -> float:
        """Count as appendix F of Hoffmann et al. does, with a vocabulary of 32,000."""
        model = spec["model"]
        width, inner = model["width"], model["head"] * model["heads"]
        products = 8 * width * inner + 16 * width**2  # q, k, v, output and both feed-forward layers
        attention = (4 * inner + 3 * model["heads"]) * model["context"]
        forward = model["layers"] * (products + attention) + 2 * 2 * 32_000 * width
        return 3.0 * forward * spec["tokens"]

    names = ("width", "head", "heads", "layers")
    cells = [
        cell(
            *(f"{millions}m", round(ratio * millions * 1e6 / (512 * 1024)), 0.1),
            batch=512,
            context=1024,
            **dict(zip(names, shape, strict=True)),
        )
        for millions, *shape in CHINCHILLA
        for ratio in (10, 15, 20, 25)
    ]
    assert len(cells) == len(legs(cells)) == 200
    assert f"{sum(map(flops, cells)):.3g}" == "5.59e+23"
    assert f"{total(cells, flops):.3g}" == "2.36e+23"


def test_what_shares_no_trunk_saves_nothing():
    cells = [cell("one", 1000, 0.2), cell("two", 2000, 0.2), cell("one", 4000, 0.2, seed=1)]
    assert share(cells) == 1.0
    cosine = cell("one", 3000, 0.2)
    cosine["recipe"] = {"lr": 1e-3, "batch_sequences": 200}
    assert marginal(cosine) == cosine
    assert total([cosine], tokens_of) == tokens_of(cosine)
    assert share([*cells, cosine, cell("one", 8000, 0.2)]) < 1.0


def test_recipes_that_cool_down_otherwise_share_a_trunk():
    """Both leave a trunk of 900 steps, and cool down over 200 and 100."""
    cells = [cell("one", 1000, 0.2), cell("one", 1000, 0.1)]
    assert total(cells, lambda spec: spec["steps"]) == 900 + 200 + 100


@pytest.mark.parametrize(
    ("steps", "cooldown", "begin"),
    # A tenth of 1004 and 1006 steps is 100.4 and 100.6; the least is one step.
    [(1000, 0.2, 800), (1004, 0.1, 904), (1006, 0.1, 905), (4, 0.1, 3), (1, 0.5, 0)],
)
def test_a_cool_down_begins_at_a_whole_step(steps, cooldown, begin):
    found = branch_step(steps, cooldown)
    assert (found, type(found)) == (begin, int)
