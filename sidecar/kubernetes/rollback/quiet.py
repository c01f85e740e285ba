"""Quiet hours: when nothing is acted on."""

import re
from datetime import datetime, timedelta
from typing import Literal

import msgspec

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)|24:00")


class QuietHours(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A span of the day, `from` up to but not `to`, which may lie on the next day; `days` are those it begins on."""

    start: str = msgspec.field(name="from")
    end: str = msgspec.field(name="to")
    days: tuple[Day, ...] = DAYS

    def is_clock(self) -> bool:
        """Tell whether both ends are times of day."""
        return all(_CLOCK.fullmatch(text) for text in (self.start, self.end)) and self.start != "24:00"

    def hold(self, local: datetime) -> bool:
        """Tell whether a local time lies within.

        >>> nights = QuietHours(start="22:00", end="06:00", days=("fri",))
        >>> nights.hold(datetime(2026, 11, 20, 23, 0)), nights.hold(datetime(2026, 11, 21, 5, 59))
        (True, True)
        >>> nights.hold(datetime(2026, 11, 20, 5, 59)), nights.hold(datetime(2026, 11, 21, 6, 0))
        (False, False)
        """
        today, yesterday = DAYS[local.weekday()], DAYS[(local - timedelta(days=1)).weekday()]
        clock = f"{local:%H:%M}"
        if self.start < self.end:
            return today in self.days and self.start <= clock < self.end
        return (today in self.days and clock >= self.start) or (yesterday in self.days and clock < self.end)
