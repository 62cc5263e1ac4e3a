"""Permission to repeat data touches only what repeats."""

from pathlib import Path
from typing import Any

import pytest

from scalebed.core.files import write_json
from scalebed.core.permission import NOT_ALLOWED, as_trained, is_recorded, plain, settled

SPEC: dict[str, Any] = {"tokens": 640, "recipe": {"lr": 0.1}}
ALLOWED = SPEC | {"allow_repeats": True}
OTHER = SPEC | {"tokens": 320}


def record(params: Any, **facts: Any) -> dict[str, Any]:
    return {"params": params, "status": "done", "reason": None, "epochs": 0.5} | facts


@pytest.mark.parametrize(
    ("spec", "found", "expected"),
    [
        (SPEC, None, SPEC),
        (ALLOWED, None, ALLOWED),
        (SPEC, record(SPEC), SPEC),
        (ALLOWED, record(ALLOWED), ALLOWED),
        # Allowed afterwards: what was trained stays what it is, what was refused is another run.
        (ALLOWED, record(SPEC), SPEC),
        (ALLOWED, record(SPEC, status="diverged", reason="loss is nan"), SPEC),
        (ALLOWED, record(SPEC, status="failed", reason="model.heads is 3"), SPEC),
        (ALLOWED, record(SPEC, status="failed", reason=f"too few and {NOT_ALLOWED}"), ALLOWED),
        # Forbidden afterwards: only what did repeat is another run.
        (SPEC, record(ALLOWED), ALLOWED),
        (SPEC, record(ALLOWED, epochs=1.6), SPEC),
        (SPEC, record(ALLOWED, epochs=None), SPEC),
        # Another recipe is another run, whatever the permission.
        (ALLOWED, record(OTHER), ALLOWED),
        (SPEC, record(OTHER | {"allow_repeats": True}), SPEC),
        (SPEC, "no record", SPEC),
        (SPEC, record(["no", "params"]), SPEC),
    ],
)
def test_parameters_are_those_of_the_run_where_only_permission_differs(
    spec: dict[str, Any], found: Any, expected: dict[str, Any]
) -> None:
    assert settled(spec, found) == expected


def test_a_record_on_disk_counts_and_a_broken_one_does_not(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    assert as_trained(ALLOWED, path) == ALLOWED
    assert not is_recorded(ALLOWED, path)
    write_json(path, record(SPEC))
    assert as_trained(ALLOWED, path) == SPEC
    assert is_recorded(ALLOWED, path)
    assert not is_recorded(OTHER, path)
    path.write_text("{")
    assert as_trained(ALLOWED, path) == ALLOWED
    assert not is_recorded(ALLOWED, path)


def test_plain_parameters_have_no_permission() -> None:
    assert plain(ALLOWED) == plain(SPEC) == SPEC
