"""The times of rows: which column they are in, and what is asked of them and said about them."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from sidecar.data.kinds import Tally, Way
from sidecar.data.table import Table
from sidecar.data.times import YEAR_SECONDS, beyond, unit_of_most, way_of_time
from sidecar.reference.counting.by_clock import Span
from sidecar.reference.counting.counts import Counted
from sidecar.reference.counting.design_effects import LEAST_BLOCKS
from sidecar.reference.counting.rows import Column
from sidecar.reference.counting.stretches import LEAST_BLOCK_ROWS
from sidecar.reference.profile import ProfileError
from sidecar.statistics.bins import Floats
from sidecar.statistics.season import Cycle, Season, SeasonError, zone

WINDOW_SECONDS = 3600.0
"""The window that the design effect is for, where rows have times: the one that alerts read."""

LEAST_CYCLES = 2
"""Cycles below which a season cannot be distinguished from a single event."""

LEAST_SLOT_ROWS = 50
"""Rows below which a slot is compared with little more than the whole, towards which it is smoothed."""

_MOST_YEARS = 50
"""Between the first time and the last, beyond which one of them is likely to be wrong."""

Notice = Callable[[str], None]
"""Told, in one sentence, what was left out or looks odd."""

_CYCLES: Mapping[Cycle, tuple[str, str]] = {
    "hour-of-day": ("hours of the day", "two days"),
    "hour-of-week": ("hours of the week", "two weeks"),
}


@dataclass(frozen=True, slots=True)
class Clock:
    """The column of the times, the window that alerts read, and the season by which rows are counted too."""

    column: str
    window_seconds: float
    season: Season | None = None

    @classmethod
    def of(cls, timestamp: str | None, window_seconds: float, season: Season | None) -> "Clock | None":
        """Return that of these options, None where no column has times; raises ProfileError."""
        if season is not None:
            try:
                zone(season.time_zone)
            except SeasonError as error:
                raise ProfileError(str(error)) from error
        if not 1 <= window_seconds < math.inf:
            raise ProfileError(f"window_seconds is {window_seconds}, not a finite number of at least 1")
        if timestamp is not None:
            return cls(timestamp, window_seconds, season)
        if season is not None:
            raise ProfileError("a season needs the time of every row: say which column it is (--timestamp)")
        return None

    def check(self, columns: Sequence[str], features: Sequence[str]) -> None:
        """Refuse a column that is not there, or is a feature; raises ProfileError."""
        if self.column not in columns:
            raise ProfileError(f"no column named {self.column!r}; there are: {', '.join(columns)}")
        if self.column in features:
            raise ProfileError(f"column {self.column!r} is the time, so that it cannot be a feature")

    def way(self, table: Table, tallies: Mapping[str, Tally]) -> Way:
        """Return how the column is read; raises DataError."""
        return way_of_time(table, self.column, tallies[self.column])

    def times(self, columns: Mapping[str, Column]) -> Floats:
        """Return the times of a batch, in the unit that they are written in."""
        return np.asarray(columns[self.column], dtype=np.float64)

    def unit(self, way: Way, batches: Iterable[Mapping[str, Column]]) -> float:
        """Return how many units of the times are a second; numbers say it by their median, finite ones alone."""
        if way == "time":
            return 1.0
        times, larger = 0, beyond(np.empty(0))
        for columns in batches:
            found = self.times(columns)
            found = found[np.isfinite(found)]
            times += found.size
            larger += beyond(found)
        return unit_of_most(times, larger.tolist())

    def require_cycles(self, span: Span) -> None:
        """Refuse data that is too short for a season; raises ProfileError."""
        if self.season is not None and (sentence := self._too_short(self.season, span)):
            otherwise = (
                "take --season hour-of-day, or none"
                if self.season.cycle == "hour-of-week" and span.seconds >= LEAST_CYCLES * 86_400
                else "build without --season"
            )
            raise ProfileError(f"{sentence}: {otherwise}")

    def _too_short(self, season: Season, span: Span) -> str | None:
        if span.seconds >= LEAST_CYCLES * season.seconds:
            return None
        slots, least = _CYCLES[season.cycle]
        found = f"{span.seconds / 86_400:.1f} days" if span.seconds >= 172_800 else f"{span.seconds / 3600:.0f} hours"
        return f"the times in {self.column!r} span {found}, and a reference by {slots} needs {least}"

    def tell(self, counted: Counted, span: Span, notice: Notice) -> None:
        """Say which times look wrong, and what was too little to go by."""
        if (years := int(span.seconds / YEAR_SECONDS)) >= _MOST_YEARS:
            first, last = (datetime.fromtimestamp(time, UTC).date().isoformat() for time in (span.first, span.last))
            notice(
                f"the times in {self.column!r} are from {first} to {last}, {years} years: one that is wrong makes the "
                "data seem longer than it is"
            )
        if self.season is not None:
            self._tell_of_season(self.season, counted, span, notice)
        if counted.stretches < LEAST_BLOCKS:
            alike, more = "", "a longer --window"
            if self.season is not None:
                alike, more = " and have their like at other times", "longer data or a longer --window"
            notice(
                f"{counted.stretches} windows hold at least {LEAST_BLOCK_ROWS} rows{alike}, too few for a design "
                f"effect, which is left at 1: {more} may hold more"
            )

    def _tell_of_season(self, season: Season, counted: Counted, span: Span, notice: Notice) -> None:
        if sentence := self._too_short(season, span):
            notice(f"{sentence}: merge it with other parts")
        rows = np.array(counted.season_rows)
        if timeless := counted.rows - int(rows.sum()):
            notice(f"{timeless} of {counted.rows} rows have no time: they are in the whole and in no hour")
        none, few = int((rows == 0).sum()), int(((rows > 0) & (rows < LEAST_SLOT_ROWS)).sum())
        if none or few:
            notice(
                f"of the {season.slots} {_CYCLES[season.cycle][0]} {none} have no rows and {few} fewer than "
                f"{LEAST_SLOT_ROWS}: events of those are compared with little more than the whole"
            )
