"""Seasons: hours of the day or of the week, each of which may have traffic of its own kind."""

from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Literal, get_args
from zoneinfo import ZoneInfo

import msgspec
import numpy as np

from sidecar.bins import Floats, Indices

Cycle = Literal["hour-of-day", "hour-of-week"]
CYCLES: tuple[Cycle, ...] = get_args(Cycle)

SLOT_SECONDS = 3600
"""Length of a slot, the piece of a cycle that is compared with its like."""

OFFSETS_SECONDS = 900
"""Times of day change at whole quarters of an hour of UTC, in every zone since 1972."""


class SeasonError(Exception):
    """A time zone is not known here; the message says so in one sentence."""


class Season(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A cycle of slots of an hour each, by the clocks of a time zone.

    >>> Season(cycle="hour-of-week").slot(datetime(2026, 11, 23, 9, 30, tzinfo=UTC))  # a Monday
    9
    >>> Season(cycle="hour-of-week", time_zone="America/New_York").slot(datetime(2026, 11, 23, 4, 30, tzinfo=UTC))
    167
    """

    cycle: Cycle
    time_zone: str = "UTC"

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
        """Return the slot of each time, in seconds of Unix time; -1 where it is NaN."""
        known = np.isfinite(times)
        found = np.full(times.shape, -1, dtype=np.intp)
        quarters, which = np.unique(np.floor(times[known] / OFFSETS_SECONDS).astype(np.int64), return_inverse=True)
        slots = np.array([self.slot(_moment(q * OFFSETS_SECONDS)) for q in quarters.tolist()], dtype=np.intp)
        found[known] = slots[which]
        return found


@lru_cache(maxsize=64)
def zone(name: str) -> tzinfo:
    """Return a time zone of the IANA database by its name; raises SeasonError."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError) as error:  # KeyError: not found; others: not a name, or not a zone's file
        raise SeasonError(
            f"no time zone {name!r} is known here: give one such as Europe/Berlin, and see that tzdata is installed"
        ) from error


def _moment(seconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
