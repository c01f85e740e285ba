"""Times: columns of them in seconds of Unix time, whatever they are written as."""

from sidecar.data.files import DataError
from sidecar.data.kinds import Tally, Way

_LARGEST_SECONDS = 1e11
"""Numbers beyond this are Unix times in milliseconds, microseconds or nanoseconds: in seconds it is the year 5138."""


def way_of_time(column: str, tally: Tally) -> Way:
    """Decide how to read a column of times by what it holds; raises DataError for what is no time."""
    if tally.kind == "number":
        return "number"
    if tally.kind in ("time", "text"):
        return "time"
    raise DataError(f"column {column!r} holds {tally.kind} values, not times")


def unit_of(largest: float) -> float:
    """Return how many units of a Unix time are a second, by the largest one.

    >>> [unit_of(t) for t in (1.7e9, 1.7e12, 1.7e15, 1.7e18)]
    [1.0, 1000.0, 1000000.0, 1000000000.0]
    """
    unit = 1.0
    while largest / unit > _LARGEST_SECONDS:
        unit *= 1000
    return unit
