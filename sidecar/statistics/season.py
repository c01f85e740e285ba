"""Seasons: hours of the day or of the week, each of which may have traffic of its own kind."""

from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Literal, get_args

import msgspec
import numpy as np
from numpy.typing import NDArray

from sidecar.statistics.bins import Floats, Indices

Cycle = Literal["hour-of-day", "hour-of-week"]
CYCLES: tuple[Cycle, ...] = get_args(Cycle)

SLOT_SECONDS = 3600
"""Length of a slot, the piece of a cycle that is compared with its like."""

OFFSETS_SECONDS = 900
"""Times of day change at whole quarters of an hour of UTC, in every zone since 1972."""

_QUARTERS_A_DAY = 96
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_SLOT = 72
"""Hours from a Monday 0:00 to the beginning of Unix time, a Thursday."""

FIRST, LAST = datetime(1, 1, 3, tzinfo=UTC).timestamp(), datetime(9999, 12, 29, tzinfo=UTC).timestamp()
"""Times outside of which there is no slot, in seconds of Unix time."""

_MIDDLE, _REACH = (FIRST + LAST) / 2, (LAST - FIRST) / 2


_NOT_EVERYWHERE = ("Factory", "localtime", "posix", "posixrules", "right")
"""What lies beside the zones in the folder of some hosts: their own zone, and copies of all, some with leap seconds."""


class SeasonError(Exception):
    """A time zone cannot be used; the message says why in one sentence."""


class Season(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A cycle of slots of an hour each, by the clocks of a time zone.

    >>> Season(cycle="hour-of-week").slot(datetime(2026, 11, 23, 9, 30, tzinfo=UTC))  # a Monday
    9
    >>> Season(cycle="hour-of-week", time_zone="America/New_York").slot(datetime(2026, 11, 23, 4, 30, tzinfo=UTC))
    167
    """

    cycle: Cycle
    time_zone: str = "UTC"

    def __str__(self) -> str:
        """Name it for people.

        >>> print(Season(cycle="hour-of-week", time_zone="Europe/Berlin"))
        hour of week in Europe/Berlin
        """
        return f"{self.cycle.replace('-', ' ')} in {self.time_zone}"

    @property
    def slots(self) -> int:
        """How many slots a cycle has."""
        return 24 if self.cycle == "hour-of-day" else 168

    @property
    def seconds(self) -> int:
        """How long a cycle is."""
        return self.slots * SLOT_SECONDS

    def slot(self, moment: datetime) -> int:
        """Return the slot that a moment is in: hours since midnight, or since Monday 0:00."""
        local = moment.astimezone(zone(self.time_zone))
        return local.hour if self.cycle == "hour-of-day" else local.weekday() * 24 + local.hour

    def slots_of(self, times: Floats) -> Indices:
        """Return the slot of each time, in seconds of Unix time; -1 where it is NaN, or of no year from 1 to 9999."""
        with np.errstate(invalid="ignore"):
            known = np.abs(times - _MIDDLE) < _REACH
        quarters = np.floor(times[known] / OFFSETS_SECONDS).astype(np.int64)
        local = quarters * OFFSETS_SECONDS + self._offsets(quarters)
        found = np.full(times.shape, -1, dtype=np.intp)
        found[known] = (local // SLOT_SECONDS + _EPOCH_SLOT) % self.slots
        return found

    @property
    def epoch_slot(self) -> int:
        """The slot in which Unix time began, by the clocks of UTC."""
        return _EPOCH_SLOT % self.slots

    def changes(self, first: int, last: int) -> list[tuple[int, int]]:
        """Return how far the clocks are before UTC, in seconds, from `first` to `last`, in seconds of Unix time.

        As pairs of a time and what holds before it, from the change before; the time of the last pair is after `last`.

        >>> summer = int(datetime(2026, 7, 1, tzinfo=UTC).timestamp())
        >>> Season(cycle="hour-of-day", time_zone="Europe/Berlin").changes(summer, summer + 150 * 86_400)
        [(1792890000, 7200), (1795824001, 3600)]
        """
        if self.time_zone == "UTC":
            return [(last + 1, 0)]
        quarters = np.arange(first // OFFSETS_SECONDS, last // OFFSETS_SECONDS + 1, dtype=np.int64)
        offsets = self._offsets(quarters)
        after = np.flatnonzero(np.diff(offsets)) + 1
        ends = [*(quarters[after] * OFFSETS_SECONDS).tolist(), last + 1]
        return list(zip(ends, offsets[[*(after - 1).tolist(), -1]].tolist(), strict=True))

    def _offsets(self, quarters: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return how far the clocks are before UTC, in seconds, in each quarter of an hour of Unix time."""
        if self.time_zone == "UTC" or not quarters.size:
            return np.zeros_like(quarters)
        days = quarters // _QUARTERS_A_DAY
        first = int(days.min())
        days -= first
        present = np.flatnonzero(np.bincount(days))
        by_day = np.zeros((2, int(present[-1]) + 1), dtype=np.int64)
        for i in (0, 1):  # a day and the next
            by_day[i, present] = _each_offset(self.time_zone, (present + first + i) * _QUARTERS_A_DAY)
        offsets: NDArray[np.int64] = by_day[0, days]
        changing = (by_day[0] != by_day[1])[days]  # clocks are put forward or back
        within, which = np.unique(quarters[changing], return_inverse=True)
        offsets[changing] = _each_offset(self.time_zone, within)[which]
        return offsets


@lru_cache(maxsize=64)
def zone(name: str) -> tzinfo:
    """Return a time zone of the IANA database by its name, from the host's files or those of PyPI's tzdata.

    Raises SeasonError.
    """
    if name == "UTC":
        return UTC
    if name.partition("/")[0] in _NOT_EVERYWHERE:
        raise SeasonError(f"time zone {name!r} is not the same on every host: give one such as Europe/Berlin")
    from zoneinfo import ZoneInfo  # here, because few references are by season

    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError) as error:  # KeyError: not found; others: not a name, or not a zone's file
        raise SeasonError(
            f"no time zone {name!r} is known here: it is no name such as Europe/Berlin, or tzdata is missing or too old"
        ) from error


def _each_offset(time_zone: str, quarters: NDArray[np.int64]) -> NDArray[np.int64]:
    clocks = zone(time_zone)
    moments = [(_EPOCH + timedelta(seconds=q * OFFSETS_SECONDS)).astimezone(clocks) for q in quarters.tolist()]
    offsets = [offset.total_seconds() for m in moments if (offset := m.utcoffset()) is not None]
    return np.array(offsets, dtype=np.int64)
