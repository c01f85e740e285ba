"""Rows counted by the clock: in stretches of it, to see how they differ, and in the slots of a season."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sidecar.reference.counting.counts import Counted, FeatureSpec, Moments, Total, first_bins
from sidecar.reference.counting.design_effects import stretch_effects
from sidecar.reference.counting.stretches import Stretches
from sidecar.statistics.bins import Floats, Indices
from sidecar.statistics.season import FIRST, LAST, SLOT_SECONDS, Season


@dataclass(frozen=True, slots=True)
class Span:
    """The first and the last time, in seconds of Unix time, of years from 1 to 9999; of nothing if first > last."""

    first: float = math.inf
    last: float = -math.inf

    @property
    def seconds(self) -> float:
        """From the beginning of the hour of the first to the end of that of the last; 0 of nothing."""
        if self.first > self.last:
            return 0.0
        return (self.last // SLOT_SECONDS - self.first // SLOT_SECONDS + 1) * SLOT_SECONDS


class ByClock:
    """Counts of all rows by the slots of a season, if any, and of stretches of `window_seconds`; rows in any order."""

    def __init__(self, specs: Sequence[FeatureSpec], window_seconds: float, season: Season | None) -> None:
        self.span = Span()
        self._specs, self._window_seconds, self._season = specs, window_seconds, season
        self._rows = 0
        slots, bins = 0 if season is None else season.slots, sum(spec.bins.size for spec in specs)
        self._by_slot = np.zeros((slots + 1, bins), dtype=np.int64)  # the last: rows that are in no slot
        self._stretches = Stretches(first_bins(specs), bins, slots=max(slots, 1))

    def add(self, indices: Indices, times: Floats) -> None:
        """Count rows: `indices` are bins of shape `(F, rows)`, `times` in seconds of Unix time."""
        there = (times >= FIRST) & (times < LAST)
        slots = np.zeros(times.shape, dtype=np.intp) if self._season is None else self._season.slots_of(times)
        rows_of, bins = slots % len(self._by_slot), self._by_slot.shape[1]  # -1, no slot, is the last
        counts = np.bincount((indices + rows_of * bins).ravel(), minlength=self._by_slot.size)
        self._by_slot += counts.reshape(self._by_slot.shape)
        self._rows += indices.shape[1]
        self._stretches.add(indices, np.where(there, times, np.nan) / self._window_seconds, slots)
        known = times[there]
        if known.size:
            first, last = float(known.min()), float(known.max())
            self.span = Span(min(self.span.first, first), max(self.span.last, last))

    def counted(self, moments: Sequence[Moments]) -> Counted:
        """Return everything counted, with the design effects of stretches."""
        total = Total(self._rows, self._by_slot.sum(axis=0), moments)
        return counted_by_clock(self._stretches, total, self._by_slot[:-1], specs=self._specs, season=self._season)


def counted_by_clock(
    stretches: Stretches,
    total: Total,
    by_slot: NDArray[np.int64],
    *,
    specs: Sequence[FeatureSpec],
    season: Season | None,
) -> Counted:
    """Return what was counted, with the design effects of stretches; `by_slot` is empty where there is no season."""
    if season is None:
        block_rows, scaled = stretches.against_whole(total.counts)
    else:
        block_rows, scaled = stretches.against_season(season, by_slot, total.counts)
    return Counted(
        total.rows,
        total.counts,
        stretch_effects(scaled, total.counts, first_bins(specs)),
        total.moments,
        window_rows=int(np.median(block_rows)) if block_rows.size else 0,
        stretches=block_rows.size,
        season=season,
        season_rows=tuple(by_slot[:, : specs[0].bins.size].sum(axis=1).tolist()),
        by_slot=None if season is None else by_slot,
    )
