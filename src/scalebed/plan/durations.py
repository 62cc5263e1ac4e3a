"""Times for people."""


def duration(seconds: float | None, measured: bool) -> str:
    """Return a time for people: such as ``47 s`` or ``3.1 h``; ``~`` marks an extrapolation."""
    if seconds is None:
        return "?"
    mark = "" if measured else "~"
    if seconds < 120:
        return f"{mark}{seconds:.0f} s"
    if seconds < 2 * 3600:
        return f"{mark}{seconds / 60:.1f} min"
    if seconds < 72 * 3600:
        return f"{mark}{seconds / 3600:.1f} h"
    if seconds < 1000 * 86400:
        return f"{mark}{seconds / 86400:.0f} d"
    return f"{mark}{seconds / (365.25 * 86400):,.0f} years"
