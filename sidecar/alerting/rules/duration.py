"""Durations as Prometheus writes them: `30s`, `5m`, `1h30m`, `24h`."""

import re
from typing import Annotated

from msgspec import Meta

_UNITS = {
    "y": 365 * 86_400_000,
    "w": 7 * 86_400_000,
    "d": 86_400_000,
    "h": 3_600_000,
    "m": 60_000,
    "s": 1_000,
    "ms": 1,
}
_PATTERN = "^" + "".join(f"([0-9]+{unit})?" for unit in _UNITS) + "$"

Duration = Annotated[str, Meta(pattern=_PATTERN, min_length=2)]
"""A Prometheus duration; also used as it stands in the names of records (`…:increase5m`)."""


def milliseconds(duration: str) -> int:
    """Return the length of a duration in milliseconds.

    >>> milliseconds("1h30m")
    5400000
    """
    return sum(int(number) * _UNITS[unit] for number, unit in re.findall(r"([0-9]+)(ms|[ywdhms])", duration))


def just_under(duration: str) -> str:
    """Return a duration one millisecond shorter, as Prometheus writes it.

    >>> just_under("1h")
    '59m59s999ms'
    """
    return _written(milliseconds(duration) - 1)


def longer(duration: str, *, by: str) -> str:
    """Return the sum of two durations.

    >>> longer("30m", by="1m")
    '31m'
    """
    return _written(milliseconds(duration) + milliseconds(by))


def _written(rest: int) -> str:
    parts = []
    for unit, length in list(_UNITS.items())[2:]:
        count, rest = divmod(rest, length)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)
