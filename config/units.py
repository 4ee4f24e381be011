"""Quantities as operators write them ("4 MiB", "10s", "1.2 Gbit/s"), and back."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

# IEC and SI prefixes both occur in the field: disks are sold in TB, blocks are counted in MiB.
_BYTES = {
    "": 1, "B": 1,
    "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "PB": 10**15,
    "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40, "PiB": 2**50,
}  # fmt: skip
_BITS_PER_SECOND = {"bit/s": 1, "kbit/s": 10**3, "Mbit/s": 10**6, "Gbit/s": 10**9, "Tbit/s": 10**12}
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
# A float holds so many decimal digits for certain (IEEE 754).
_DIGITS = 15
_PART = re.compile(r"\s*\d+(?:\.\d+)?\s*[a-z]+\s*")
_QUANTITY = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z/]*)\s*")


def _quantity(text: str, units: dict[str, float] | dict[str, int]) -> float:
    match = _QUANTITY.fullmatch(text)
    if match is None or match[2] not in units:
        raise ValueError(f"{text!r} is not a number with one of the units {', '.join(filter(None, units))}")
    return float(match[1]) * units[match[2]]


def parse_bytes(text: str) -> int:
    """Bytes in "512", "4 MiB" or "120 TB". Raises ValueError."""
    return round(_quantity(text, _BYTES))


def parse_rate(text: str) -> int:
    """Bits a second in "1.2 Gbit/s". Raises ValueError; a bare number is refused, for its unit is unknown."""
    return round(_quantity(text, _BITS_PER_SECOND))


def parse_duration(text: str) -> float:
    """Seconds in "250ms", "10s", "1h 30m" or "7d". Raises ValueError."""
    parts = _PART.findall(text)
    if not parts or "".join(parts) != text:
        raise ValueError(f"{text!r} is not a duration")
    return sum(_quantity(part, _SECONDS) for part in parts)


def write_bytes(value: int) -> str:
    """As an operator would write it in a setting, to be read again as it was: "200 GB"."""
    return _shortest(value, _BYTES, parse_bytes, "B")


def write_rate(value: int) -> str:
    """The same of a rate: "1.2 Gbit/s"."""
    return _shortest(value, _BITS_PER_SECOND, parse_rate, "bit/s")


def write_duration(seconds: float) -> str:
    """The same of a duration: "3.84s", "30d"."""
    return _shortest(seconds, _SECONDS, parse_duration, "s").replace(" ", "")


def _shortest(value: float, units: Mapping[str, float], parse: Callable[[str], float], base: str) -> str:
    """The shortest of the texts that `parse` reads as exactly this value; in the unit `base` if there is no better."""
    likely = (
        f"{value / size:.{_DIGITS}g} {unit}"
        for unit, size in units.items()
        if unit and size <= value < size * 10**_DIGITS
    )
    exact = [text for text in likely if parse(text) == value]
    return min(exact, key=len, default=f"{value:g} {base}" if value == 0 else f"{value!r} {base}")


def _largest(value: float, units: list[tuple[str, float]]) -> str:
    """The value in the largest unit of which it holds at least one, with three significant digits."""
    for unit, size in units:
        if value >= size:
            return f"{value / size:.0f} {unit}" if value / size >= 100 else f"{value / size:.3g} {unit}"
    return f"{value:.3g} {units[-1][0]}" if value else f"0 {units[-1][0]}"


def show_bytes(value: float) -> str:
    return _largest(value, [("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10), ("B", 1)])


def show_rate(value: float) -> str:
    return _largest(value, [("Tbit/s", 1e12), ("Gbit/s", 1e9), ("Mbit/s", 1e6), ("kbit/s", 1e3), ("bit/s", 1)])


def show_duration(seconds: float) -> str:
    """As in "1h 02m", "3m 20s", "12.0s" or "250ms": what a person reads in a progress line."""
    if seconds >= 3600:
        return f"{int(seconds // 3600)}h {int(seconds % 3600 // 60):02d}m"
    if seconds >= 60:
        return f"{int(seconds // 60)}m {int(seconds % 60):02d}s"
    return f"{seconds:.1f}s" if seconds >= 1 or seconds == 0 else f"{seconds * 1000:.0f}ms"
