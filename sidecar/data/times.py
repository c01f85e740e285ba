"""Times: columns of them in seconds of Unix time, whatever they are written as."""

from collections.abc import Sequence

from sidecar.data.files import DataError
from sidecar.data.kinds import Tally, Way

_LARGEST_SECONDS = 1e11
"""Numbers beyond this are Unix times in milliseconds, microseconds or nanoseconds: in seconds it is the year 5138."""

UNITS = (1.0, 1e3, 1e6, 1e9)
"""How many seconds, milliseconds, microseconds and nanoseconds are a second."""

LARGEST = (_LARGEST_SECONDS, _LARGEST_SECONDS * 1e3, _LARGEST_SECONDS * 1e6)
"""The largest Unix times in seconds, milliseconds and microseconds."""


def way_of_time(column: str, tally: Tally) -> Way:
    """Decide how to read a column of times by what it holds; raises DataError for what is no time."""
    if tally.kind == "number":
        return "number"
    if tally.kind in ("time", "text"):
        return "time"
    raise DataError(f"column {column!r} holds {tally.kind} values, not times")


def unit_of_most(times: int, beyond: Sequence[int]) -> float:
    """Return how many units of so many Unix times are a second, by their median, so that no odd one decides.

    `beyond` are how many of them are larger than each of `LARGEST`.

    >>> [unit_of_most(9, beyond) for beyond in ((1, 1, 1), (8, 1, 0), (9, 9, 5), (9, 9, 9))]
    [1.0, 1000.0, 1000000000.0, 1000000000.0]
    """
    return UNITS[sum(2 * larger > times for larger in beyond)]
