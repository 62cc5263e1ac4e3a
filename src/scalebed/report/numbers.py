"""Numbers as people write them."""

import math

MINUS = "−"
_SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def superscript(exponent: int) -> str:
    """Return 10 to the power of `exponent` in typographic form."""
    return "10" + str(exponent).translate(_SUPERSCRIPTS)


def compact(value: float) -> str:
    """Return a count in three digits with k, M, B or T."""
    for limit, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= limit * 0.9995:
            return f"{value / limit:.3g}{letter}"
    return f"{value:.3g}"


def fixed(value: float | None, digits: int = 3) -> str:
    """Return a number with a fixed number of decimals, a dash if there is none."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:.{digits}f}".replace("-", MINUS)


def significant(value: float | None, digits: int = 4) -> str:
    """Return a number in `digits` significant digits, powers of ten spelt out."""
    if value is None or not math.isfinite(value):
        return "–" if value is None or math.isnan(value) else "∞"
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        return f"{value:.{digits}g}".replace("-", MINUS)
    return scientific(value, digits - 1)


def scientific(value: float, decimals: int = 2) -> str:
    """Return m × 10^k."""
    mantissa, exponent = f"{value:.{decimals}e}".split("e")
    return f"{mantissa.replace('-', MINUS)}×{superscript(int(exponent))}"


def percent(value: float | None, digits: int = 1, signed: bool = False) -> str:
    """Return a fraction as per cent."""
    if value is None or not math.isfinite(value):
        return "–"
    number = round(100 * value, digits) + 0.0
    return f"{number:{'+' if signed else ''}.{digits}f} %".replace("-", MINUS)


def times(value: float | None) -> str:
    """Return a ratio as ``12×``."""
    if value is None or not math.isfinite(value):
        return "–"
    return (
        f"{value:.0f}×" if value >= 9.95 else f"{value:.1f}×" if value >= 0.995 else f"{value:.2g}×"
    )


def duration(seconds: float | None) -> str:
    """Return a time in the unit a person would choose."""
    if seconds is None or not math.isfinite(seconds):
        return "–"
    for limit, unit, size in ((120, "s", 1.0), (7200, "min", 60.0), (172800, "h", 3600.0)):
        if seconds < limit:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 86400:.3g} d"


def count(value: float | None) -> str:
    """Return a large count with k, M, B or T."""
    return "–" if value is None else compact(float(value))


def grouped(value: float | None) -> str:
    """Return a whole number with its thousands apart."""
    return "–" if value is None else f"{round(value):,}"


def plural(number: int, noun: str, nouns: str | None = None) -> str:
    """Return ``1 cell`` or ``2 cells``."""
    return f"{number:,} {noun if number == 1 else nouns or noun + 's'}"
