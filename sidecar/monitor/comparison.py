"""Comparison: live counts in the bins of one reference, and how far they are from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec
import numpy as np
from numpy.typing import NDArray

from sidecar.base.cooperative import Steps, at_once
from sidecar.base.duration import Duration
from sidecar.config import DriftConfig
from sidecar.events.batch import Batch, Key, Schema
from sidecar.reference.profile import CategoricalProfile, NumericProfile, Profile
from sidecar.reference.seasonal import Seasonal
from sidecar.statistics import drift
from sidecar.statistics.bins import CategoricalBins, Floats, NumericBins, NumericBlocks
from sidecar.statistics.buffers import buffer, from_buffer
from sidecar.statistics.drift_table import PSI, STATISTICS, THRESHOLD, Compared
from sidecar.statistics.levels import level_indices, level_steps
from sidecar.statistics.window import Windows, WindowsState


@dataclass(frozen=True, slots=True)
class DriftReading:
    """Statistics of every feature in every window, arrays of shape `(windows, features)`.

    `statistics` has those of the table, by name. `level` indexes LEVELS, -1 where samples are too few. Statistics are
    given for any number of samples; whoever shows them leaves out those of level -1. What they were computed from are
    `counts`, and the shares `live` and `reference`, of shape `(windows, bins)`.
    """

    samples: NDArray[np.int64]
    missing: NDArray[np.int64]
    statistics: Mapping[str, Floats]
    level: NDArray[np.int64]
    counts: NDArray[np.int64]
    live: Floats
    reference: Floats


class ComparisonState(msgspec.Struct, frozen=True):
    """What a Comparison holds beside its profile."""

    windows: WindowsState
    out_of_range: memoryview


class Comparison:
    """Count the events of one model in the bins of its reference.

    All bins of all features lie in one flat array: feature `i` has those from `starts[i]` on, in the order of
    `profile.features` with numeric features first. After them come the slots of the season, where there is one: what
    is expected of a window is the mixture of the slots in which its events came.
    """

    def __init__(
        self, model: str, profile: Profile, settings: DriftConfig, windows: Sequence[Duration], *, now: float
    ) -> None:
        self.profile = profile
        self.features = tuple(sorted(profile.features, key=lambda f: isinstance(f, CategoricalProfile)))
        self.schema = Schema(
            model=model,
            numeric=tuple(Key(f.role, f.name) for f in self.features if isinstance(f, NumericProfile)),
            categorical=tuple(Key(f.role, f.name) for f in self.features if isinstance(f, CategoricalProfile)),
        )
        self.bins = [feature.bins() for feature in self.features]
        self._numeric = NumericBlocks([bins for bins in self.bins if isinstance(bins, NumericBins)])
        self._categorical = [bins for bins in self.bins if isinstance(bins, CategoricalBins)]
        sizes = [bins.size for bins in self.bins]
        self.starts = np.concatenate(([0], np.cumsum(sizes)[:-1])).astype(np.intp)
        self.reference_counts = np.concatenate([feature.bin_counts() for feature in self.features]).astype(np.int64)
        self.reference_shares = drift.reference_shares(self.reference_counts, self.starts)
        self._missing = self.starts + sizes - 1
        self._present = np.ones(sum(sizes), dtype=bool)
        self._present[self._missing] = False
        numeric = self.features[: len(self.schema.numeric)]
        self._is_numeric = np.arange(len(self.features)) < len(numeric)
        self._low = np.array([_bound(f, "min", -np.inf) for f in numeric])
        self._high = np.array([_bound(f, "max", np.inf) for f in numeric])
        self.out_of_range = np.zeros(len(numeric), dtype=np.int64)
        self.seasonal = Seasonal.of(profile, self.features, self.reference_shares, self.starts)
        slots = self.seasonal.season.slots if self.seasonal else 0
        self.windows = tuple(windows)
        self._windows = Windows(sum(sizes) + slots, [window.seconds for window in windows], now=now)
        self.judge(settings)

    def judge(self, settings: DriftConfig) -> None:
        """Judge drift by these settings from now on."""
        self._min_samples = settings.min_samples
        self.thresholds = [settings.thresholds_for(feature.name) for feature in self.features]
        self._steps = level_steps(self.thresholds)
        self.significance_factor: Floats = np.array(
            [feature.significance_factor(settings.alpha) for feature in self.features]
        )

    def observe(self, batch: Batch, *, now: float, wall: datetime) -> None:
        """Count the rows of a batch, whose columns are those of `schema`; `wall` is the time of day of `now`."""
        if not batch.rows:
            return
        for features, start, indices in self._numeric.index(batch.numeric):
            self._windows.add_counts(start, np.bincount(indices.ravel()), now=now)
            self._count_out_of_range(features, batch.numeric[features])
        starts = self.starts[len(batch.numeric) :].tolist()
        for start, bins, column in zip(starts, self._categorical, batch.categorical, strict=True):
            self._windows.add_counts(start, np.bincount(bins.index(column)), now=now)
        if self.seasonal is not None:
            slot = self.seasonal.season.slot(wall)
            self._windows.add_counts(self.reference_counts.size + slot, np.array([batch.rows]), now=now)

    def _count_out_of_range(self, features: slice, values: Floats) -> None:
        low, high = self._low[features], self._high[features]
        # Usually there is none, and checking costs half as much as counting.
        if (np.fmin.reduce(values, axis=1) < low).any() or (np.fmax.reduce(values, axis=1) > high).any():
            self.out_of_range[features] += ((values < low[:, None]) | (values > high[:, None])).sum(axis=1)

    def state(self) -> ComparisonState:
        """Return a copy of everything that `restore` wants."""
        return ComparisonState(windows=self._windows.state(), out_of_range=buffer(self.out_of_range.copy(), "<i8"))

    def restore(self, state: ComparisonState) -> None:
        """Go on from a state of the same profile and windows; raises StateError where it cannot be one."""
        self._windows.restore(state.windows)
        self.out_of_range = from_buffer(state.out_of_range, "<i8", self.out_of_range.size)

    def observations(self) -> NDArray[np.int64]:
        """Return the count of every bin since the start."""
        return self._windows.ever()[: self.reference_counts.size]

    def expecting_observations(self) -> Steps[Floats]:
        """Take the events so far, and return the steps to how many of them are expected in every bin.

        Empty without a season.
        """
        return self._expecting_events(self._windows.ever()[self.reference_counts.size :].copy())

    def _expecting_events(self, events: NDArray[np.int64]) -> Steps[Floats]:
        """Distribute events, of each slot, over the bins."""
        if self.seasonal is None:
            return np.zeros(0)
        return (yield from self.seasonal.expecting_events(events))

    def counts(self, *, now: float) -> NDArray[np.int64]:
        """Return the count of every bin in every window, shape `(windows, bins)`."""
        return self._windows.counts(now=now)[:, : self.reference_counts.size]

    def read(self, *, now: float) -> DriftReading:
        """Compare every feature in every window."""
        return at_once(self.reading(now=now))

    def reading(self, *, now: float) -> Steps[DriftReading]:
        """Take the counts and settings of now, and return the steps that compare every feature in every window."""
        return self._comparing(
            self._windows.counts(now=now).copy(),
            factor=self.significance_factor,
            steps=self._steps,
            min_samples=self._min_samples,
        )

    def _comparing(
        self, both: NDArray[np.int64], *, factor: Floats, steps: Floats, min_samples: int
    ) -> Steps[DriftReading]:
        """Compare counts of bins, followed by those of slots, `(windows, bins + slots)`."""
        starts, bins = self.starts, self.reference_counts.size
        counts = both[:, :bins]
        shares, rows = yield from self._expecting(both[:, bins:])
        yield
        live = drift.live_shares(counts, shares, starts)
        missing, samples = counts[:, self._missing], drift.per_feature(counts, starts)
        compared = Compared(
            counts=counts,
            live=live,
            reference=shares,
            reference_counts=shares if self.seasonal else self.reference_counts,
            starts=starts,
            present=self._present,
            numeric=self._is_numeric,
            samples=samples,
            reference_samples=rows,
            significance_factor=factor,
        )
        statistics: dict[str, Floats] = {}
        for statistic in STATISTICS:
            yield
            statistics[statistic.name] = statistic.formula(compared)
        psi, threshold = statistics[PSI.name], statistics[THRESHOLD.name]
        return DriftReading(
            samples=samples,
            missing=missing,
            statistics=statistics,
            level=level_indices(psi, threshold, samples, steps, min_samples=min_samples),
            counts=counts,
            live=live,
            reference=shares,
        )

    def _expecting(self, events: NDArray[np.int64]) -> Steps[tuple[Floats, Floats]]:
        """Return the shares to compare each window with, `(windows, bins)`, and the rows behind them, `(windows, 1)`.

        `events` are those of each slot, shape `(windows, slots)`.
        """
        windows = len(events)
        if self.seasonal is None:
            rows = np.full((windows, 1), float(self.profile.rows))
            return np.broadcast_to(self.reference_shares, (windows, self.reference_shares.size)), rows
        shares = yield from self.seasonal.expecting(events)
        return shares, self.seasonal.effective_rows(events)[:, None]


def _bound(feature: object, name: str, default: float) -> float:
    value = getattr(feature, name, None)
    return default if value is None else float(value)
