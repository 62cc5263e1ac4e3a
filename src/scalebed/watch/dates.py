"""Moments, as seals and judgements write them."""

from __future__ import annotations

import datetime

from scalebed.core.errors import ScalebedError


def moment(given: str | None = None) -> str:
    """Return a moment in UTC, now if None is given, as ISO 8601 to the second.

    Raises
    ------
    ScalebedError
        If it is no date.
    """
    if given is None:
        return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    try:
        found = datetime.datetime.fromisoformat(given)
    except ValueError:
        raise ScalebedError(f"--date is {given!r}, expected ISO 8601 as in 2026-01-31") from None
    if found.tzinfo is None:
        found = found.replace(tzinfo=datetime.UTC)
    return found.astimezone(datetime.UTC).isoformat(timespec="seconds")
