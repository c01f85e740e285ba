"""Times: columns of them in seconds of Unix time, whatever they are written as."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sidecar.data.files import DataError
from sidecar.data.kinds import Tally, Way

YEAR_SECONDS = 365.2425 * 86_400
"""The mean length of a year of the calendar."""

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


def beyond(times: NDArray[np.float64]) -> NDArray[np.int64]:
    """Count the Unix times that are larger than each of `LARGEST`, whatever their sign."""
    sizes = np.abs(times)
    return np.array([np.count_nonzero(sizes > largest) for largest in LARGEST])


def unit_of_most(times: int, larger: Sequence[int]) -> float:
    """Return how many units of so many Unix times are a second, by their median, so that no odd one decides.

    `larger` are how many of them are larger than each of `LARGEST`.

    >>> [unit_of_most(9, larger) for larger in ((1, 1, 1), (8, 1, 0), (9, 9, 5), (9, 9, 9))]
    [1.0, 1000.0, 1000000000.0, 1000000000.0]
    """
    return UNITS[sum(2 * number > times for number in larger)]
