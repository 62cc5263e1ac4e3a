import json

import pytest

from scalebed.commands.cli import main

LAW = ["--law", "chinchilla", "--params", "E=1.69,A=406.4,B=410.7,alpha=.34,beta=.28"]


def test_requests_are_served_with_what_they_read_and_write(capsys):
    words = ["decide", *LAW, "--compute", "1e22", "--requests", "1e9", "--json"]
    sizes = []
    for length in (["--input-tokens", "100", "--output-tokens", "900"], ["--output-tokens", "1e6"]):
        assert main([*words, *length]) == 0
        sizes.append(json.loads(capsys.readouterr().out)["answer"]["params"])
    # What is asked for more is served by a smaller model.
    assert sizes[1] < sizes[0]


def test_days_and_accelerators_cap_the_compute(tmp_path, capsys):
    assert main(["decide", *LAW, "--compute", "1e22", "--max-days", "0"]) == 2
    assert "--max-days and --gpus have to be above 0" in capsys.readouterr().err
    # Days that are above 0 are taken: what is missing is what a day is worth.
    assert main(["decide", *LAW, "--compute", "1e22", "--max-days", "3"]) == 2
    assert "--max-days needs --hardware" in capsys.readouterr().err


@pytest.mark.parametrize(("percent", "status"), [("50", 0), ("50.5", 2), ("0", 2)])
def test_a_run_is_at_most_half_a_budget_away_from_it(percent, status, tmp_path, capsys):
    rows = ["params,tokens,loss"]
    for budget in (1e19, 1e20):
        for k, params in enumerate((1e8, 2e8, 4e8, 8e8, 1.6e9)):
            rows.append(f"{params},{budget / 6 / params},{3 - budget / 1e21 + 0.05 * (k - 2) ** 2}")
    path = tmp_path / "runs.csv"
    path.write_text("\n".join(rows) + "\n")
    assert main(["isoflop", str(path), "--tolerance", percent]) == status
    said = capsys.readouterr()
    assert ("expected a percentage up to 50" in said.err) == bool(status)
