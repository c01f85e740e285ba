"""Times: columns of any notation in seconds of Unix time."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sidecar.data.files import DataError
from sidecar.data.kinds import Tally, Way
from sidecar.data.table import Table

YEAR_SECONDS = 365.2425 * 86_400
"""The mean length of a year of the calendar."""

_LARGEST_SECONDS = 1e11
"""Numbers beyond this are Unix times in milliseconds, microseconds or nanoseconds: in seconds it is the year 5138."""

UNITS = (1.0, 1e3, 1e6, 1e9)
"""How many seconds, milliseconds, microseconds and nanoseconds are a second."""

LARGEST = (_LARGEST_SECONDS, _LARGEST_SECONDS * 1e3, _LARGEST_SECONDS * 1e6)
"""The largest Unix times in seconds, milliseconds and microseconds."""


_DAYS = tuple(day.replace("/", mark) for day in ("%d/%m/%Y", "%m/%d/%Y", "%d/%m/%y", "%m/%d/%y") for mark in "/.-")
FORMATS = tuple(day + clock for day in (*_DAYS, "%Y%m%d", "%Y.%m.%d") for clock in ("", " %H:%M", " %H:%M:%S"))
"""Formats that are proposed where times are not as in ISO 8601, if one of them fits all values of a column."""


def way_of_time(table: Table, column: str, tally: Tally) -> Way:
    """Decide how to read a column of times by what all of its values hold.

    Raises DataError if one of them is no time. Day and month are never guessed: where times are not as in ISO 8601, the
    user names their format.
    """
    named = table.writing.times
    if named is None and tally.kind in ("number", "time"):
        return "number" if tally.kind == "number" else "time"
    if not tally.values:
        raise DataError(f"column {column!r} holds no times: all of its values are missing")
    way: Way = "number" if named is None and tally.numbers > tally.times else "time"
    wrong, example = table.misfits(column, way)
    if not wrong:
        return way
    told = f"column {column!r} holds values that are no times, such as {example!r} ({wrong} of {tally.values})"
    if named is not None:
        raise DataError(f"{told}: they are not written as {named!r} (--timestamp-format)")
    found = [form for form in FORMATS if not table.misformed(column, form)]
    if len(found) == 1:
        raise DataError(f"{told}: all fit --timestamp-format {found[0]!r}")
    if found:
        raise DataError(
            f"{told}: say which of day and month comes first, by --timestamp-format {' or '.join(map(repr, found))}"
        )
    raise DataError(f"{told}: say how times are written (--timestamp-format), or which texts mean missing (--null)")


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
