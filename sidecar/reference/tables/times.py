"""The times of rows in a table of an engine: windows and slots, by arithmetic that all engines share."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import ibis
import numpy as np
from numpy.typing import NDArray

from sidecar.data.times import LARGEST, unit_of_most
from sidecar.reference.counting.by_clock import Span, counted_by_clock
from sidecar.reference.counting.counts import Counted, FeatureSpec, Total, first_bins
from sidecar.reference.counting.stretches import Stretches
from sidecar.reference.counting.times import Clock, Notice
from sidecar.reference.profile import ProfileError
from sidecar.reference.tables.counts import Read, counts_of, marked
from sidecar.statistics.season import FIRST, LAST, SLOT_SECONDS, Season

_SAMPLES = (datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 7, 1, tzinfo=UTC))

_MOST_YEARS = 100
"""Between the first time and the last, where clocks are put forward and back: a query names every such change."""


def count_by_clock(
    table: ibis.Table,
    reads: Sequence[Read],
    specs: Sequence[FeatureSpec],
    total: Total,
    clock: Clock,
    notice: Notice,
) -> Counted:
    """Count by stretches of the clock and slots of the season; raises ProfileError."""
    window, season = int(clock.window_seconds), clock.season
    if window != clock.window_seconds:
        raise ProfileError(f"window_seconds is {clock.window_seconds}, not a whole number")
    every = table.select(at=_seconds(table, clock.column), **{f"v{i}": read.values for i, read in enumerate(reads)})
    timed = every.filter(every["at"].notnull())
    [ends] = timed.aggregate(first=timed["at"].min(), last=timed["at"].max()).execute().to_dict("records")
    if ends["first"] is None or ends["first"] != ends["first"]:
        raise ProfileError(f"column {clock.column!r} holds no times")
    first, last = int(ends["first"]), int(ends["last"])
    span = Span(first, last)
    clock.require_cycles(span)
    slot = ibis.literal(0, "int64") if season is None else _slot_start(timed["at"], season, first, last)
    placed = timed.mutate(slot=slot, window=_window_start(timed["at"], window)).drop("at")
    slots = 0 if season is None else season.slots
    by_slot = np.zeros((slots, total.counts.size), dtype=np.int64)
    if season is not None:
        found = placed.group_by("slot").aggregate(rows=placed.count(), **marked(placed, reads, specs)).execute()
        by_slot[_numbers(found, "slot", SLOT_SECONDS)] = counts_of(found, specs)
    stretches = Stretches(first_bins(specs), total.counts.size, slots=max(slots, 1))
    _fill(stretches, placed, reads, specs, window)
    counted = counted_by_clock(stretches, total, by_slot, specs=specs, season=season)
    clock.tell(counted, span, notice)
    return counted


def _fill(
    stretches: Stretches, placed: ibis.Table, reads: Sequence[Read], specs: Sequence[FeatureSpec], window: int
) -> None:
    pieces = placed.select("window", "slot").distinct().execute()
    numbers = _numbers(pieces, "window", window)
    if stretches.thin(numbers):
        kept = [number * window for number in stretches.kept(numbers)]
        placed = placed.filter(placed["window"].isin(kept))
    by_piece = placed.group_by(["window", "slot"])
    found = by_piece.aggregate(rows=placed.count(), **marked(placed, reads, specs)).execute()
    keys = zip(_numbers(found, "window", window).tolist(), _numbers(found, "slot", SLOT_SECONDS).tolist(), strict=True)
    for (number, slot), counts in zip(keys, counts_of(found, specs), strict=True):
        stretches.put(number, slot, counts)


def _numbers(found: Any, name: str, length: int) -> NDArray[np.int64]:
    return np.asarray(found[name].to_numpy(dtype=np.int64) // length)


def _seconds(table: ibis.Table, column: str) -> Any:
    """Return whole seconds of Unix time, int64, NULL where there is none; raises ProfileError for what is no time."""
    values = table[column]
    kind = values.type()
    if kind.is_timestamp():
        if kind.timezone is not None:
            _require_utc(table, kind)
        return _in_range(values.truncate("s").epoch_seconds().cast("int64"), "int64")
    if kind.is_numeric() and not kind.is_boolean():
        number = values.cast("float64")
        number = ibis.cases((number.abs() <= 1e30, number), else_=ibis.null("float64"))  # neither NaN nor infinite
        seconds = _in_range(number / ibis.literal(_unit(table, number), "float64"), "float64")
        return seconds.floor().cast("int64")  # of those in range, as larger ones may not fit
    raise ProfileError(f"column {column!r} is of type {kind}, not of times: cast it to a timestamp")


def _in_range(seconds: Any, kind: str) -> Any:
    there = (seconds >= int(FIRST)) & (seconds < int(LAST))
    return ibis.cases((there, seconds), else_=ibis.null(kind))


def _unit(table: ibis.Table, number: Any) -> float:
    """Return how many units of the times are a second."""
    beyond = [ibis.cases((number.abs() > largest, 1), else_=0).sum() for largest in LARGEST]
    [found] = table.aggregate(times=number.count(), **{f"n{i}": n for i, n in enumerate(beyond)}).execute().to_numpy()
    times, *counts = (0 if count is None or count != count else int(count) for count in found.tolist())
    return unit_of_most(times, counts)


def _require_utc(table: ibis.Table, kind: Any) -> None:
    """Refuse a session whose clocks are not those of UTC: in some engines they are then added to times with a zone."""
    for moment in _SAMPLES:
        told = ibis.literal(moment, kind).epoch_seconds()
        [found] = table.limit(1).select(s=told).execute()["s"].tolist()
        if found != moment.timestamp():
            raise ProfileError(
                "this engine gives times by the clocks of its session: set the session's time zone to UTC"
            )


def _window_start(seconds: Any, window_seconds: int) -> Any:
    """Return when the window of each time begins, in seconds of Unix time."""
    return seconds - _remainder(seconds, window_seconds)


def _slot_start(seconds: Any, season: Season, first: int, last: int) -> Any:
    """Return when the slot of each time, from `first` to `last`, begins, in seconds since its cycle did."""
    if season.time_zone != "UTC" and last - first > _MOST_YEARS * 366 * 86_400:
        raise ProfileError(
            f"the first and the last time are more than {_MOST_YEARS} years apart: leave out what is wrong"
        )
    changes = season.changes(first, last)
    branches = [(seconds < before, ibis.literal(offset, "int64")) for before, offset in changes[:-1]]
    offset = ibis.literal(changes[-1][1], "int64")
    local = seconds + (ibis.cases(*branches, else_=offset) if branches else offset)
    within = _remainder(local + season.epoch_slot * SLOT_SECONDS, season.seconds)
    return within - within % SLOT_SECONDS


def _remainder(value: Any, by: int) -> Any:
    # Twice, as the remainder of a negative number is negative in some engines.
    return (value % by + by) % by
