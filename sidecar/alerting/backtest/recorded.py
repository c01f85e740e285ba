"""What the recording rules make of counters, with the arithmetic of Prometheus.

A base window is the `increase` of the counters, stretched to the edges of the window as Prometheus does it; a longer
window is the sum of the base windows that overlap in it, divided by how many of them each event is in. Times are whole
milliseconds.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sidecar.statistics.bins import Floats

PROMETHEUS = 3
"""Major version whose arithmetic is used: before 3, a range holds the sample at its left end too."""

_STRETCH = 1.1
"""Times the usual distance of samples: how far from the edge of a range a sample may be to be stretched to it."""


@dataclass(frozen=True, slots=True)
class Evaluations:
    """When a group of rules is evaluated: at `first`, then every `interval`, `number` times; in milliseconds."""

    first: int
    interval: int
    number: int

    def times(self) -> NDArray[np.int64]:
        """Return the time of each evaluation."""
        return self.first + self.interval * np.arange(self.number, dtype=np.int64)

    def at(self, time: float) -> int:
        """Return the first evaluation at or after a time, which may be beyond the last."""
        return int(np.ceil((time - self.first) / self.interval))


def evaluations(begin: int, end: int, *, scrape: int, interval: int, phase: int = 0) -> Evaluations:
    """Return the evaluations from scrape `begin` until scrape `end`, at multiples of the interval after `phase`."""
    first = -(-(begin * scrape - phase) // interval) * interval + phase
    return Evaluations(first, interval, max(0, (end * scrape - first) // interval + 1))


class Increases:
    """`increase(counter[window])` at every evaluation; counters are 0 at scrape `begin` and are never reset."""

    def __init__(
        self,
        evaluated: Evaluations,
        *,
        begin: int,
        scrape: int,
        window: int,
        columns: int,
        prometheus: int = PROMETHEUS,
    ) -> None:
        self._evaluated = evaluated
        self._begin = self._from = begin
        self._scrape, self._window = scrape, window
        self._left_open = prometheus >= 3
        self._cumulative: Floats = np.zeros((1, columns))
        self._done = 0

    def add(self, counts: NDArray[Any]) -> Floats:
        """Process counts between scrapes, and return the increases at the evaluations up to the last of them."""
        fresh = np.cumsum(counts, axis=0, dtype=np.float64)
        fresh += self._cumulative[-1]
        self._cumulative = np.concatenate((self._cumulative, fresh))
        last = self._from + len(self._cumulative) - 1
        evaluated = self._evaluated
        upto = min(evaluated.number, (last * self._scrape - evaluated.first) // evaluated.interval + 1)
        times = evaluated.first + evaluated.interval * np.arange(self._done, max(upto, self._done), dtype=np.int64)
        found = self._at(times)
        self._done += times.size
        needed = (evaluated.first + evaluated.interval * self._done - self._window) // self._scrape
        kept = min(max(needed, self._begin), last)
        self._cumulative = self._cumulative[kept - self._from :].copy()
        self._from = kept
        return found

    def _at(self, times: NDArray[np.int64]) -> Floats:
        scrape, left = self._scrape, times - self._window
        newest = times // scrape
        oldest = left // scrape + 1 if self._left_open else -(-left // scrape)
        oldest = np.maximum(oldest, self._begin)
        enough = newest > oldest
        oldest = np.minimum(oldest, newest)
        before = self._cumulative[oldest - self._from]
        rise = self._cumulative[newest - self._from] - before
        sampled = np.where(enough, (newest - oldest) * scrape, scrape).astype(np.float64)[:, None]
        to_start = (oldest * scrape - left).astype(np.float64)[:, None]
        to_end = (times - newest * scrape).astype(np.float64)[:, None]
        # A counter does not fall below 0, so the stretch ends where it would have been 0.
        to_zero = np.divide(sampled * before, rise, out=np.full_like(rise, np.inf), where=rise > 0)
        far = _STRETCH * scrape
        if self._left_open:
            stretched = np.minimum(np.where(to_start >= far, scrape / 2, to_start), to_zero)
        else:
            stretched = np.minimum(to_start, to_zero)
            stretched = np.where(stretched >= far, scrape / 2, stretched)
        covered = sampled + stretched + np.where(to_end >= far, scrape / 2, to_end)
        return np.asarray(np.where(enough[:, None], rise * (covered / sampled), 0.0))


class Sums:
    """`sum_over_time(base[window]) / overlap` at every evaluation: a longer window from overlapping base windows."""

    def __init__(self, *, window: int, base: int, interval: int, columns: int) -> None:
        self._count = window // interval
        self._overlap = base // interval
        self._before: Floats = np.zeros((self._count - 1, columns))

    def add(self, base: Floats) -> Floats:
        """Process increases over the base window, a row for each evaluation, and return those of the longer window."""
        rows = np.concatenate((self._before, base))
        self._before = rows[len(rows) - (self._count - 1) :].copy()
        totals = np.concatenate((np.zeros((1, rows.shape[1])), np.cumsum(rows, axis=0)))
        sums = totals[self._count :] - totals[: -self._count]
        # What is subtracted was added before, so a negative result is only a rounding error.
        return np.asarray(np.maximum(sums, 0.0) / self._overlap)
