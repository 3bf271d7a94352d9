"""Numbers and times as a report writes them."""

from __future__ import annotations

import math

from markupsafe import Markup

Cell = str | Markup

DASH = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
MULTIPLIED = "\N{MULTIPLICATION SIGN}"
THIN_SPACE = "\N{THIN SPACE}"
SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def plain(value: float, digits: int = 4) -> str:
    """A number to some digits, with a power of ten as typeset; a dash for NaN."""
    if not math.isfinite(value):
        return DASH if math.isnan(value) else f"{value}".replace("-", MINUS)
    mantissa, _, exponent = f"{value:.{digits}g}".partition("e")
    mantissa = mantissa.replace("-", MINUS)
    if not exponent:
        return mantissa
    return f"{mantissa}{MULTIPLIED}10{str(int(exponent)).translate(SUPERSCRIPTS)}"


def number(value: float, unit: str = "") -> Cell:
    """A number to four digits, an integer to all of them; <data> holds all digits of either."""
    whole = isinstance(value, int)
    shown = f"{value:,}".replace(",", THIN_SPACE) if whole else plain(value)
    if not math.isfinite(value):
        return shown
    after = f" {unit}" if unit else ""
    return Markup('<data value="{}">{}</data>{}').format(repr(value), shown, after)


def with_error(value: float, error: float) -> Cell:
    """A number and its standard error; a number alone where it is exact."""
    return Markup("{} ± {}").format(number(value), number(error)) if error else number(value)


def duration(seconds: float) -> str:
    """A time in the two largest of its units."""
    whole = round(seconds)
    for size, unit, smaller, below in ((86400, "d", 3600, "h"), (3600, "h", 60, "min")):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // smaller} {below}"
    return f"{whole // 60} min {whole % 60} s" if whole >= 60 else f"{seconds:.3g} s"
