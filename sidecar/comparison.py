"""Comparison: live counts in the bins of one reference, and how far they are from it."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from sidecar import drift
from sidecar.arrays import buffer, from_buffer
from sidecar.bins import Floats
from sidecar.config import DriftConfig
from sidecar.configfile import Duration
from sidecar.event import Batch, Key, Schema
from sidecar.levels import level_indices, level_steps
from sidecar.reference.profile import CategoricalProfile, NumericProfile, Profile
from sidecar.slices import Steps, at_once
from sidecar.window import Windows, WindowsState


@dataclass(frozen=True, slots=True)
class DriftReading:
    """Statistics of every feature in every window, arrays of shape `(windows, features)`.

    `level` indexes LEVELS, -1 where samples are too few. Statistics are given for any number of samples; whoever
    shows them leaves out those of level -1. `ks` is NaN for categorical features and where all is missing.
    """

    samples: NDArray[np.int64]
    missing: NDArray[np.int64]
    psi: Floats
    kl: Floats
    js: Floats
    ks: Floats
    threshold: Floats
    level: NDArray[np.int64]


class ComparisonState(msgspec.Struct, frozen=True):
    """What a Comparison holds beside its profile."""

    windows: WindowsState
    out_of_range: memoryview


class Comparison:
    """Count the events of one model in the bins of its reference.

    All bins of all features lie in one flat array: feature `i` has those from `starts[i]` on, in the order of
    `profile.features` with numeric features first.
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
        sizes = [bins.size for bins in self.bins]
        self.starts = np.concatenate(([0], np.cumsum(sizes)[:-1])).astype(np.intp)
        self.reference_counts = np.concatenate([feature.bin_counts() for feature in self.features]).astype(np.int64)
        self.reference_shares = drift.reference_shares(self.reference_counts, self.starts)
        self._missing = self.starts + sizes - 1
        self._present = np.ones(sum(sizes), dtype=bool)
        self._present[self._missing] = False
        numeric = self.features[: len(self.schema.numeric)]
        self._low = np.array([_bound(f, "min", -np.inf) for f in numeric])[:, None]
        self._high = np.array([_bound(f, "max", np.inf) for f in numeric])[:, None]
        self.out_of_range = np.zeros(len(numeric), dtype=np.int64)
        self.windows = tuple(windows)
        self._windows = Windows(sum(sizes), [window.seconds for window in windows], now=now)
        self.judge(settings)

    def judge(self, settings: DriftConfig) -> None:
        """Judge drift by these settings from now on."""
        self._min_samples = settings.min_samples
        self.thresholds = [settings.thresholds_for(feature.name) for feature in self.features]
        self._steps = level_steps(self.thresholds)
        self.significance_factor: Floats = np.array(
            [
                drift.significance_factor(bins.size, alpha=settings.alpha, design_effect=feature.design_effect)
                for bins, feature in zip(self.bins, self.features, strict=True)
            ]
        )

    def observe(self, batch: Batch, *, now: float) -> None:
        """Count the rows of a batch, whose columns are those of `schema`."""
        if not batch.rows:
            return
        columns = (*batch.numeric, *batch.categorical)
        indices = np.empty((len(self.bins), batch.rows), dtype=np.intp)
        for i, (bins, start, column) in enumerate(zip(self.bins, self.starts, columns, strict=True)):
            indices[i] = bins.index(column)
            indices[i] += start
        self._windows.add(indices.ravel(), now=now)
        self.out_of_range += ((batch.numeric < self._low) | (batch.numeric > self._high)).sum(axis=1)

    def state(self) -> ComparisonState:
        """Return a copy of everything that `restore` wants."""
        return ComparisonState(self._windows.state(), buffer(self.out_of_range.copy(), "<i8"))

    def restore(self, state: ComparisonState) -> None:
        """Go on from a state of the same profile and windows; raises StateError where it cannot be one."""
        self._windows.restore(state.windows)
        self.out_of_range = from_buffer(state.out_of_range, "<i8", self.out_of_range.size)

    def observations(self) -> NDArray[np.int64]:
        """Return the count of every bin since the start."""
        return self._windows.ever()

    def counts(self, *, now: float) -> NDArray[np.int64]:
        """Return the count of every bin in every window, shape `(windows, bins)`."""
        return self._windows.counts(now=now)

    def live_shares(self, counts: NDArray[np.int64]) -> Floats:
        """Smooth counts of shape `(..., bins)` to shares."""
        return drift.live_shares(counts, self.reference_shares, self.starts)

    def read(self, *, now: float) -> DriftReading:
        """Compare every feature in every window."""
        return at_once(self.reading(now=now))

    def reading(self, *, now: float) -> Steps[DriftReading]:
        """Compare every feature in every window, in steps; the counts and settings are those at the first."""
        counts, starts, shares = self.counts(now=now).copy(), self.starts, self.reference_shares
        factor, steps, min_samples = self.significance_factor, self._steps, self._min_samples
        yield
        live, missing, samples = self.live_shares(counts), counts[:, self._missing], drift.per_feature(counts, starts)
        yield
        ks = drift.ks_statistic(counts, self.reference_counts, starts, self._present)
        ks[:, len(self.schema.numeric) :] = np.nan
        yield
        psi = drift.psi(live, shares, starts)
        yield
        kl = drift.kl_divergence(live, shares, starts)
        yield
        js = drift.js_divergence(live, shares, starts)
        yield
        threshold = drift.psi_threshold(factor, samples, np.array(self.profile.rows))
        level = level_indices(psi, threshold, samples, steps, min_samples=min_samples)
        return DriftReading(
            samples=samples, missing=missing, psi=psi, kl=kl, js=js, ks=ks, threshold=threshold, level=level
        )


def _bound(feature: object, name: str, default: float) -> float:
    value = getattr(feature, name, None)
    return default if value is None else float(value)
