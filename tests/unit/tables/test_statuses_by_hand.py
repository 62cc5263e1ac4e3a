from scalebed.tables.tabulate import _statuses


def test_statuses_are_named_once_and_in_order():
    names = ("running", "done", "failed", "absent", "done", "diverged", "planned", "stopped")
    found = _statuses([{"status": name} for name in names])
    assert found == ["absent", "diverged", "done", "failed", "planned", "running", "stopped"]
