"""The first sentence of the report: the best run of each data set, and what is open about it."""

from scalebed.checks.decisions.section import said


def _entry(dataset, choices):
    return {"dataset": dataset, "choices": [{"dataset": dataset} | row for row in choices]}


def test_a_best_size_is_not_given_without_its_interval():
    optimum = {
        "choice": "optimum",
        "params": 2e5,
        "tokens": 3.4e6,
        "params_text": "200k (80k .. 410k)",
    }
    served = optimum | {"choice": "served", "params_text": "100k"}
    compute = "With 10 times the compute of the largest fitted run"
    assert said([_entry("prose", [optimum, served]), _entry("code", [served])]) == (
        f"{compute}, in brackets what the draws leave open: prose N 200k (80k .. 410k), M* = 17."
    )
    assert said([_entry("code", [served])]) == f"{compute} no run is known to be best."
