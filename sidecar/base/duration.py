"""Durations as Prometheus writes them: `30s`, `5m`, `1h30m`, `1d`."""

import re

UNITS = {"y": 31_536_000_000, "w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
"""Milliseconds of each unit, in the order in which they are written."""

PATTERN = "^" + "".join(f"([0-9]+{unit})?" for unit in UNITS) + "$"

_PART = re.compile("([0-9]+)(ms|[ywdhms])")


def milliseconds(text: str) -> int:
    """Return the length of a duration in milliseconds; raises ValueError.

    >>> milliseconds("1h30m")
    5400000
    """
    if not text or not re.fullmatch(PATTERN, text):
        raise ValueError(f"{text!r} is not a duration such as 30s, 5m, 1h30m or 1d")
    return sum(int(number) * UNITS[unit] for number, unit in _PART.findall(text))


class Duration:
    """A duration that was read, with the text that it was read from."""

    __slots__ = ("seconds", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        try:
            self.seconds = milliseconds(text) / 1000
        except OverflowError:
            raise ValueError("it is too long a duration") from None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Duration) and self.seconds == other.seconds

    def __hash__(self) -> int:
        return hash(self.seconds)

    def __repr__(self) -> str:
        return f"Duration({self.text!r})"
