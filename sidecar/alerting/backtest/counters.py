"""Counters: the history counted in the bins of the sidecar, at the times when Prometheus would have scraped it.

One row of counts a scrape, in the order of time and without gaps. Columns are the bins of all features, as in
`sidecar.monitor.comparison`, and for a reference by season again, with what it expects; then events, errors, and
latencies up to each bound of the histogram, as `sidecar.monitor.traffic` counts them.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sidecar.alerting.backtest.history import Rows
from sidecar.monitor.comparison import Comparison
from sidecar.reference.seasonal import Seasonal
from sidecar.statistics.bins import CategoricalBins, Coded, Floats

Counts = Floats

_MOST_CELLS = 2_000_000


@dataclass(frozen=True, slots=True)
class Layout:
    """Where each count lies in a row: `bins` of the features, `events`, `errors`, and `latencies` by bound and +Inf.

    `expected` is empty but for a reference by season.
    """

    bins: slice
    expected: slice
    events: int
    errors: int
    latencies: slice
    bounds: tuple[float, ...]

    @classmethod
    def of(cls, comparison: Comparison, bounds: tuple[float, ...]) -> "Layout":
        """Lay out a row for the bins of a comparison and the bounds of the histogram in seconds."""
        bins = comparison.reference_counts.size
        end = bins if comparison.seasonal is None else 2 * bins
        return cls(slice(0, bins), slice(bins, end), end, end + 1, slice(end + 2, end + 3 + len(bounds)), bounds)

    @property
    def columns(self) -> int:
        """How many counts a row has."""
        return int(self.latencies.stop)


@dataclass(frozen=True, slots=True)
class Scrapes:
    """Events between scrapes: row `i` of `counts` is what came since scrape `first + i - 1`, up to `first + i`.

    Scrape `k` is at `k * scrape_seconds` of Unix time.
    """

    first: int
    counts: Counts


def scrape_of(times: NDArray[np.float64], scrape_seconds: float) -> NDArray[np.int64]:
    """Return the scrape that first sees an event of each time: the first one that is not before it."""
    return np.ceil(times / scrape_seconds).astype(np.int64)


def counted(
    batches: Iterable[Rows], comparison: Comparison, layout: Layout, *, scrape_seconds: float
) -> Iterator[Scrapes]:
    """Count rows, which come in the order of their times, in as many scrapes at a time as memory is meant for."""
    size = max(1, _MOST_CELLS // layout.columns)
    first: int | None = None
    counts = np.zeros((0, layout.columns))
    for rows in batches:
        scrapes = scrape_of(rows.times, scrape_seconds)
        at = 0
        while at < scrapes.size:
            if first is None:
                first, counts = int(scrapes[at]), np.zeros((size, layout.columns))
            upto = int(np.searchsorted(scrapes, first + size, side="left"))
            if upto > at:
                piece = slice(at, upto)
                _add(counts, scrapes[piece] - first, rows.picked(piece), comparison, layout)
                at = upto
            if at < scrapes.size:
                yield Scrapes(first, counts)
                first, counts = first + size, np.zeros_like(counts)
    if first is not None:
        used = int(np.flatnonzero(counts.any(axis=1)).max(initial=0)) + 1
        yield Scrapes(first, counts[:used])


def _add(counts: Counts, places: NDArray[np.int64], rows: Rows, comparison: Comparison, layout: Layout) -> None:
    low, high = int(places[0]), int(places[-1]) + 1
    number, columns = rows.times.size, layout.columns
    row_starts = (places - low) * columns
    cells = [row_starts + layout.events]
    for key, bins, start in zip(
        (*comparison.schema.numeric, *comparison.schema.categorical), comparison.bins, comparison.starts, strict=True
    ):
        column = rows.columns[key]
        if isinstance(column, Coded):
            assert isinstance(bins, CategoricalBins)
            index = bins.index(column)
        elif isinstance(bins, CategoricalBins):  # a column without any value, read as numbers
            index = np.full(number, bins.size - 1)
        else:
            index = bins.index(np.asarray(column))
        cells.append(row_starts + (index + start))
    if rows.errors is not None:
        cells.append(row_starts[rows.errors] + layout.errors)
    seconds = rows.latency_seconds
    if seconds is not None:
        there = ~np.isnan(seconds)
        bucket = np.searchsorted(layout.bounds, seconds[there], side="left")
        cells.append(row_starts[there] + bucket + layout.latencies.start)
    added = np.bincount(np.concatenate(cells), minlength=(high - low) * columns).reshape(-1, columns)
    added[:, layout.latencies] = np.cumsum(added[:, layout.latencies], axis=1)
    counts[low:high] += added
    if comparison.seasonal is not None:
        _expect(counts[:, layout.expected], places, rows.times, comparison.seasonal)


def _expect(expected: Floats, places: NDArray[np.int64], times: Floats, seasonal: Seasonal) -> None:
    """Add what the season expects of events in each place, shape `(places, bins)`."""
    slots = seasonal.season.slots
    pairs, events = np.unique(places * slots + seasonal.season.slots_of(times), return_counts=True)
    np.add.at(expected, pairs // slots, events[:, None] * seasonal.shares[pairs % slots])


def scrapes_between(first: float, last: float, scrape_seconds: float) -> tuple[int, int]:
    """Return the scrape before the first event, where every counter is 0, and the one that sees the last event."""
    return math.ceil(first / scrape_seconds) - 1, math.ceil(last / scrape_seconds)
