"""Decisions under published constants, against numbers that others printed, to their last digit.

Sardana et al., arXiv 2401.00448 (`model_calculator.py` and `cost_calculator.py` of its repository);
Hoffmann et al., arXiv 2203.15556; Muennighoff et al., arXiv 2305.16264.
"""

from decimal import Decimal

import numpy as np
import pytest
from scipy.optimize import brentq, minimize_scalar

from scalebed.decide.inverse import compute_for_params, compute_for_tokens
from scalebed.decide.optimum import at_compute, at_loss, demand_of
from scalebed.decide.surface import Surface
from scalebed.laws import get_law

CHINCHILLA = get_law("chinchilla", "loss")
E, A, B, ALPHA, BETA = 1.69, 406.4, 410.7, 0.336, 0.283
SURFACE = Surface(CHINCHILLA, np.array([[E, A, B, ALPHA, BETA]]))
# ln A and ln B as the source of the paper has them; it prints 406.4 and 410.7.
HOFFMANN = np.exp([6.0073, 6.0179])
SECONDS = 3600


def is_printed(value, text):
    """Whether a number rounds to the printed digits."""
    printed = Decimal(text)
    half = 0.5 * 10.0 ** printed.as_tuple().exponent
    return abs(float(np.squeeze(value)) - float(printed)) <= half


def loss(params, tokens):
    return E + A * params**-ALPHA + B * tokens**-BETA


def test_the_optimum_of_a_compute():
    best = at_compute(SURFACE, 1e24)
    assert is_printed(best.params, "5.368e10")
    assert is_printed(best.tokens, "3.105e12")
    assert is_printed(best.loss, "1.9106149")


def test_the_optimum_of_a_compute_is_that_of_another_minimiser():
    found = minimize_scalar(
        lambda log_n: loss(np.exp(log_n), 1e24 / 6 / np.exp(log_n)),
        bounds=(np.log(1e9), np.log(1e12)),
        method="bounded",
        options={"xatol": 1e-10},
    )
    best = at_compute(SURFACE, 1e24)
    # A minimum is flat: its place is known to the root of the precision of its value.
    assert best.params[0] == pytest.approx(np.exp(found.x), rel=1e-6)
    assert best.loss[0] == pytest.approx(found.fun, rel=1e-14)


def test_the_compute_of_a_model():
    flops = compute_for_params(SURFACE, 7e10)
    tokens = flops / 6 / 7e10
    assert is_printed(flops, "1.787e24")
    assert is_printed(tokens, "4.255e12")
    assert is_printed(SURFACE.loss(np.array([7e10]), tokens), "1.8917925")
    assert is_printed(SURFACE.loss(np.array([7e10]), np.array([1e12])), "1.9472728")


# Tokens served, N, D, and the lifetime compute or its share of that of the run chosen without them.
SERVED = [
    (0.0, "3.4081e10", "1.8103e12", "3.7018e23", "100"),
    (1e12, "2.752e10", "2.276e12", None, "98.29"),
    (2e12, "2.4184e10", "2.6571e12", "4.8228e23", "95.22"),
    (1e13, "1.6113e10", "4.7979e12", None, "74.74"),
    (1e14, "9.093e9", "1.714e13", None, "38.32"),
]


@pytest.mark.parametrize(("demand", "params", "tokens", "total", "share"), SERVED)
def test_the_optimum_of_a_loss_with_demand(demand, params, tokens, total, share):
    best, blind = at_loss(SURFACE, 1.947, demand), at_loss(SURFACE, 1.947)
    lifetime = best.lifetime(demand)
    assert is_printed(best.params, params)
    assert is_printed(best.tokens, tokens)
    assert total is None or is_printed(lifetime, total)
    assert is_printed(100 * lifetime / blind.lifetime(demand), share)


@pytest.mark.parametrize("demand", [row[0] for row in SERVED])
def test_the_optimum_of_a_loss_is_the_root_of_its_condition(demand):
    def excess(log_d):
        d = np.exp(log_d)
        by_tokens = (BETA * B / ALPHA + B) * d**-BETA
        return by_tokens + demand * BETA * B / (3 * ALPHA) * d ** -(BETA + 1) + E - 1.947

    tokens = np.exp(brentq(excess, np.log(1e11), np.log(1e16), xtol=1e-13))
    params = (A / (1.947 - E - B * tokens**-BETA)) ** (1 / ALPHA)
    best = at_loss(SURFACE, 1.947, demand)
    assert best.tokens[0] == pytest.approx(tokens, rel=1e-6)
    assert best.params[0] == pytest.approx(params, rel=1e-6)


def test_the_quality_of_a_13b_served_two_trillion_tokens():
    flops = compute_for_params(SURFACE, 1.3e10)
    tokens = flops / 6 / 1.3e10
    wanted = SURFACE.loss(np.array([1.3e10]), tokens)[:, 0]
    assert is_printed(tokens, "5.765e11")
    assert is_printed(wanted, "2.0452818")
    best, blind = at_loss(SURFACE, wanted, 2e12), at_loss(SURFACE, wanted)
    assert is_printed(best.params, "6.969e9")
    assert is_printed(best.tokens, "1.248e12")
    assert is_printed(best.lifetime(2e12), "8.005e22")
    assert is_printed(blind.lifetime(2e12), "9.697e22")
    assert is_printed(100 * best.lifetime(2e12) / blind.lifetime(2e12), "82.55")


def test_money_in_place_of_flops():
    # bf16 on A100-80 GB at 312e12 FLOPs a second, int8 on A100-40 GB at 624e12; $ a FLOP.
    train = 1.40 / SECONDS / (312e12 * 0.5)
    read, write = (0.60 / SECONDS / (624e12 * share) for share in (0.4, 0.2))
    requests = 1e10
    demand = requests * (1000 * read + 250 * write) / train
    best, blind = at_loss(SURFACE, 1.947, demand), at_loss(SURFACE, 1.947)
    ours, theirs = (train * run.lifetime(demand) for run in (best, blind))
    assert is_printed(best.params, "2.053e10")
    assert is_printed(best.tokens, "3.302e12")
    assert is_printed(ours, "1425059.70")
    assert is_printed(theirs, "1605531.94")
    assert is_printed(100 * ours / theirs, "88.76")


@pytest.mark.parametrize(
    ("constants", "params", "ratio"),
    [((1.69, 0.34, 0.28), "32.2", "92.7"), ((1.6934, 0.3392, 0.2849), "40.3", "59.1")],
    ids=["printed", "source of the paper"],
)
def test_two_roundings_of_one_law_are_two_models(constants, params, ratio):
    floor, alpha, beta = constants
    surface = Surface(CHINCHILLA, np.array([[floor, *HOFFMANN, alpha, beta]]))
    best = at_compute(surface, 5.76e23)
    assert is_printed(best.params / 1e9, params)
    assert is_printed(best.tokens / best.params, ratio)


@pytest.mark.parametrize(
    ("run", "printed"),
    [((6.34e9, 242e9, 25e9), "2.2256440890"), ((8.67e9, 178e9, 25e9), "2.2269634075")],
)
def test_the_law_of_repeated_data(run, printed):
    # The paper's App. B and Eq. 16, 17: e, a, b, alpha, R_D* and R_N*.
    floor, size, data = np.exp([0.6254804, 6.255414, 7.3049974])
    theta = np.array([floor, size, data, 0.3526596, 15.387756, 5.309743])
    law = get_law("constrained", "loss")
    assert is_printed(law.value(theta, tuple(np.array([x]) for x in run)), printed)


@pytest.mark.parametrize("demand", [row[0] for row in SERVED])
def test_the_demand_turned_round(demand):
    best = at_loss(SURFACE, 1.947, demand)
    found = demand_of(SURFACE, best.params[0], best.tokens[0])[0]
    theta = ALPHA * A * best.params[0] ** -ALPHA / (BETA * B * best.tokens[0] ** -BETA)
    assert found == pytest.approx(3 * best.tokens[0] * (theta - 1), rel=1e-6, abs=1e6)
    assert found == pytest.approx(demand, rel=1e-5, abs=1e-5 * best.tokens[0])


def test_the_tokens_of_a_compute_lead_back_to_it():
    best = at_compute(SURFACE, 1e24)
    share = ALPHA / (ALPHA + BETA)
    balance = (ALPHA * A / (BETA * B)) ** (1 / (ALPHA + BETA))
    flops = compute_for_tokens(SURFACE, best.tokens)[0]
    assert flops == pytest.approx(1e24, rel=1e-6)
    assert flops == pytest.approx(6 * (best.tokens[0] * balance) ** (1 / share), rel=1e-6)
    assert compute_for_params(SURFACE, best.params)[0] == pytest.approx(1e24, rel=1e-6)
    # The 6 under the exponent is an error of beyond-chinchilla (`chinchilla_compute_from_tokens`).
    assert is_printed((6 * best.tokens[0] * balance) ** (1 / share), "4.52e24")
