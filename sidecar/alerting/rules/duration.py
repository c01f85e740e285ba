"""Durations in rules: texts, because they are also parts of the names of records (`…:increase5m`)."""

from typing import Annotated

from msgspec import Meta

from sidecar.base.duration import PATTERN, UNITS, milliseconds

Duration = Annotated[str, Meta(pattern=PATTERN, min_length=2)]
"""A Prometheus duration, as it stands."""


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
    for unit, length in list(UNITS.items())[2:]:
        count, rest = divmod(rest, length)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)
