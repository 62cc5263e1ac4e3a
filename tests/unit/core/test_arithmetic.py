"""Parameters, FLOPs and steps against published figures and direct sums."""

import json
import math
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalebed.core import arithmetic
from scalebed.core.arithmetic import SIZE_TABLES, Shape, count_params

ROOT = Path(__file__).parents[3]
TESTBED = Path(os.environ.get("SCALEBED_TESTBED", ROOT.parent / "shared" / "testbed"))

# Table 3 of arXiv 2403.08540, the exact counts from its published data.
PUBLISHED = {
    "11m": 10_569_312,
    "79m": 78_914_048,
    "154m": 153_677_376,
    "411m": 411_616_256,
    "1400m": 1_439_795_200,
    "6900m": 6_889_410_560,
}
DATA_NAMES = {
    "d=96_l=8_h=4": "11m",
    "d=512_l=8_h=4": "79m",
    "d=576_l=24_h=8": "154m",
    "d=1024_l=24_h=8": "411m",
    "open_lm_1b": "1400m",
    "open_lm_7b": "6900m",
}
SHAPES = st.builds(
    Shape,
    width=st.integers(1, 64).map(lambda half: 2 * half),
    layers=st.integers(1, 6),
    heads=st.just(1),
    vocab=st.integers(1, 500),
    context=st.integers(1, 64),
    ffn_multiple=st.integers(1, 64),
)


@pytest.mark.parametrize(("size", "params"), PUBLISHED.items())
def test_the_papers_sizes_to_the_unit(size, params):
    shape = Shape(**SIZE_TABLES["gadre2024"][size])
    counts = count_params(shape)
    assert counts.total == params
    assert counts.no_input_embedding == params - shape.vocab * shape.width
    assert counts.no_embeddings == params - 2 * shape.vocab * shape.width


def test_the_published_files_of_the_testbed():
    folder = TESTBED / "exp_data" / "models"
    if not folder.is_dir():
        pytest.skip(f"the published testbed is not at {TESTBED} (set SCALEBED_TESTBED)")
    seen = set()
    for file in folder.glob("*.json"):
        values = json.loads(file.read_text(encoding="utf-8"))["hyperparameters"]
        name = DATA_NAMES.get(Path(values["model"]).stem)
        if name is None:
            continue
        counts = count_params(Shape(**SIZE_TABLES["gadre2024"][name]))
        assert counts.total == values["params"], file.name
        assert counts.no_input_embedding == values["params_no_embed"], file.name
        ratio = round(20 * values["chinchilla_multiplier"])
        assert values["tokens"] == ratio * counts.total, file.name
        seen.add(name)
    assert seen == set(PUBLISHED)


def direct_count(shape: Shape) -> int:
    """Return the parameters of a decoder, one tensor after the other."""
    d = shape.width
    h = arithmetic.ffn_width(d, shape.ffn_multiple)
    total = shape.vocab * d  # input embedding
    for _ in range(shape.layers):
        total += 2 * d  # two norm gains
        total += 3 * d * d + d * d  # queries, keys, values; output
        total += 2 * d * h + h * d  # gate and up; down
    return total + d + d * shape.vocab  # last norm, head


@given(SHAPES)
def test_counts_equal_the_sum_over_tensors(shape):
    counts = count_params(shape)
    assert counts.total == direct_count(shape)
    assert counts.total - counts.no_input_embedding == shape.vocab * shape.width
    assert counts.no_input_embedding - counts.no_embeddings == shape.vocab * shape.width


@given(st.integers(1, 10_000), st.integers(1, 512))
def test_the_ffn_width_is_the_next_multiple_of_eight_thirds(width, multiple):
    h = arithmetic.ffn_width(width, multiple)
    least = 8 * width // 3
    assert h % multiple == 0
    assert least <= h < least + multiple


def test_flops_of_the_largest_run_are_a_float():
    tokens = 640 * PUBLISHED["1400m"]
    C = arithmetic.flops(PUBLISHED["1400m"], tokens)
    assert isinstance(C, float)
    assert math.isclose(C, 7.9603e21, rel_tol=1e-4)
    assert C > 2**63


@given(SHAPES, st.integers(1, 10**9))
def test_exact_flops_against_a_sum_over_positions(shape, tokens):
    d, h = shape.width, arithmetic.ffn_width(shape.width, shape.ffn_multiple)
    sequence = 0
    for position in range(shape.context):
        visible = position + 1
        per_layer = 2 * (4 * d * d + 3 * d * h) + 2 * 2 * d * visible
        sequence += shape.layers * per_layer + 2 * d * shape.vocab
    expected = 3 * sequence / shape.context * tokens
    assert arithmetic.flops_exact(shape, tokens) == pytest.approx(expected, rel=1e-12)


@given(st.integers(1, 10**10), st.integers(1, 1000), st.integers(1, 10**7))
def test_steps_come_closest_to_the_tokens_wanted(params, ratio, batch_tokens):
    steps = arithmetic.steps_for(params, ratio, batch_tokens)
    assert steps >= 1
    wanted = ratio * params / batch_tokens
    assert abs(steps - wanted) <= 0.5 + 1e-6 or (steps == 1 and wanted < 1)


def test_memory_grows_with_batch_and_model():
    small, large = (Shape(**SIZE_TABLES["gadre2024"][name]) for name in ("11m", "79m"))
    assert arithmetic.training_bytes(small, 2) > arithmetic.training_bytes(small, 1)
    assert arithmetic.training_bytes(large, 1) > arithmetic.training_bytes(small, 1)
    assert arithmetic.training_bytes(small, 1) > 16 * PUBLISHED["11m"]
    assert math.isfinite(arithmetic.training_bytes(large, 512))
