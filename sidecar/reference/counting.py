"""Counting: rows in agreed bins, a batch at a time, up to the profile of all of them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from sidecar.bins import CategoricalBins, Coded, Floats, NumericBins, quantile_edges, top_categories
from sidecar.reference.counted import Counted, FeatureSpec, Moments, Total, Wanted, assemble, first_bins
from sidecar.reference.effects import design_effects, stretch_effects
from sidecar.reference.profile import Profile
from sidecar.reference.stretches import Stretches, most_blocks
from sidecar.season import FIRST, LAST, SLOT_SECONDS, Season

Column = Floats | list[str | None] | Coded
"""A numeric column (NaN is missing) or a categorical one (None is missing)."""


def spec_of(wanted: Wanted, column: Column, *, bins: int, categories: int) -> FeatureSpec:
    """Choose bins for a column: quantiles of numbers, the commonest categories of text.

    A column of missing values alone is categorical without categories, so that it takes whatever comes.
    """
    if isinstance(column, list | Coded):
        return FeatureSpec(
            wanted, CategoricalBins(top_categories((v for v in column if isinstance(v, str)), categories))
        )
    present = column[~np.isnan(column)]
    if present.size == 0 and wanted.name != "probability":
        return FeatureSpec(wanted, CategoricalBins(()))
    return FeatureSpec(wanted, NumericBins(quantile_edges(present, bins)))


def block_rows(window_rows: int, rows: int) -> int:
    """Limit the block for the design effect so that there are at least ten of them."""
    return max(1, min(window_rows, rows // 10))


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


@dataclass(slots=True)
class Counting:
    """Count batches of columns into agreed bins, keeping counts of blocks for the design effect.

    Blocks are `window_rows` rows each or, with `window_seconds`, the rows of such stretches of the clock, in whatever
    order they come. Memory is bounded: past 4,096 blocks (fewer with very many bins) every second one is forgotten.
    With a `season`, which goes with `window_seconds`, rows are counted by its slots too.
    """

    specs: list[FeatureSpec]
    window_rows: int
    window_seconds: float | None = None
    season: Season | None = None
    rows: int = 0
    span: Span = field(init=False, default_factory=Span)
    _by_slot: NDArray[np.int64] = field(init=False)
    """Counts of each slot of the season, and last those of rows that are in none."""
    _starts: NDArray[np.intp] = field(init=False)
    _moments: list[Moments] = field(init=False)
    _blocks: list[NDArray[np.int64]] = field(init=False, default_factory=list)
    _keep_every: int = field(init=False, default=1)
    _open: NDArray[np.int64] = field(init=False)
    _stretches: Stretches = field(init=False)

    def __post_init__(self) -> None:
        self._starts = first_bins(self.specs)
        slots, bins = 0 if self.season is None else self.season.slots, sum(spec.bins.size for spec in self.specs)
        self._by_slot = np.zeros((slots + 1, bins), dtype=np.int64)
        self._open = np.zeros(bins, dtype=np.int64)
        self._stretches = Stretches(self._starts, bins, slots=max(slots, 1))
        self._moments = [Moments() for _ in self.specs]

    def add(self, columns: Mapping[str, Column], times: Floats | None = None) -> None:
        """Count one batch; every column has the same length, and so have `times`, in seconds, where blocks need them.

        A row whose time is NaN, or of no year from 1 to 9999, is in no block and in no slot.
        """
        indices = []
        for spec, start, moments in zip(self.specs, self._starts, self._moments, strict=True):
            column = columns[spec.wanted.column]
            if isinstance(spec.bins, CategoricalBins):
                values = (
                    column if isinstance(column, list | Coded) else [None if v != v else v for v in column.tolist()]
                )
                indices.append(spec.bins.index(values) + start)
            else:
                numbers = np.asarray(column, dtype=np.float64)
                moments.add(numbers)
                indices.append(spec.bins.index(numbers) + start)
        stacked = np.stack(indices)
        if self.window_seconds is None:
            self._add_in_order(stacked)
        else:
            assert times is not None
            self._add_by_clock(stacked, times, self.window_seconds)

    def _add_in_order(self, indices: NDArray[np.intp]) -> None:
        rows, bins = indices.shape[1], self._open.size
        first = 0
        while first < rows:
            room = self.window_rows - self.rows % self.window_rows
            last = min(rows, first + room)
            counts = np.bincount(indices[:, first:last].ravel(), minlength=bins)
            self._by_slot[-1] += counts
            self._open += counts
            self.rows += last - first
            if self.rows % self.window_rows == 0:
                self._close_block()
            first = last

    def _add_by_clock(self, indices: NDArray[np.intp], times: Floats, window_seconds: float) -> None:
        there = (times >= FIRST) & (times < LAST)
        slots = np.zeros(times.shape, dtype=np.intp) if self.season is None else self.season.slots_of(times)
        rows_of, bins = slots % len(self._by_slot), self._open.size  # -1, no slot, is the last
        counts = np.bincount((indices + rows_of * bins).ravel(), minlength=self._by_slot.size)
        self._by_slot += counts.reshape(self._by_slot.shape)
        self.rows += indices.shape[1]
        self._stretches.add(indices, np.where(there, times, np.nan) / window_seconds, slots)
        known = times[there]
        if known.size:
            first, last = float(known.min()), float(known.max())
            self.span = Span(min(self.span.first, first), max(self.span.last, last))

    def _close_block(self) -> None:
        if (self.rows // self.window_rows) % self._keep_every == 0:
            self._blocks.append(self._open.copy())
        self._open[:] = 0
        if len(self._blocks) > most_blocks(self._open.size):
            self._blocks = self._blocks[1::2]
            self._keep_every *= 2

    def counted(self) -> Counted:
        """Return everything counted, with its design effects."""
        counts = self._by_slot.sum(axis=0)
        season, by_slot = self.season, self._by_slot[:-1]
        if self.window_seconds is None:
            blocks, window_rows = np.array(self._blocks), self.window_rows
            effects = design_effects(blocks, counts, self._starts, window_rows=window_rows)
            return Counted(self.rows, counts, effects, self._moments, window_rows=window_rows)
        total = Total(self.rows, counts, self._moments)
        return counted_by_clock(self._stretches, total, by_slot, specs=self.specs, season=season)

    def profile(self, *, model: str, model_version: str, source: str, created: datetime | None = None) -> Profile:
        """Return the profile of everything counted; raises ProfileError if that is nothing."""
        return assemble(
            self.specs, self.counted(), model=model, model_version=model_version, source=source, created=created
        )


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
