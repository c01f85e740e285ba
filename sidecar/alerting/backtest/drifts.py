"""Drifts: PSI of every feature at every evaluation of a whole history, by the formulas of the recording rules."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sidecar.alerting.backtest.counters import Counts, Layout
from sidecar.alerting.backtest.recorded import PROMETHEUS, Evaluations, Increases, Sums
from sidecar.alerting.rules.settings import Drift
from sidecar.base.duration import milliseconds
from sidecar.monitor.comparison import Comparison
from sidecar.statistics import drift
from sidecar.statistics.bins import Floats
from sidecar.statistics.season import SLOT_SECONDS


@dataclass(frozen=True, slots=True)
class DriftSeries:
    """One window: `psi` and `samples` of shape `(features, evaluations)`; PSI is NaN below the least samples.

    Features differ in samples where `increase` meets counters that have just begun. `reference_rows`, of shape
    `(evaluations,)`, are the rows of the reference that are compared with.
    """

    window: str
    evaluated: Evaluations
    psi: Floats
    samples: Floats
    reference_rows: Floats

    def threshold(self, feature: int, factor: float) -> Floats:
        """Return the smallest PSI of a feature that means anything, at every evaluation; infinite without samples."""
        return drift.psi_threshold(np.array(factor), self.samples[feature], self.reference_rows)


class Drifts:
    """Evaluate drift in every window of the settings while counters come in.

    Results lie in files of a temporary directory, as large as features times evaluations; `close` removes them.
    """

    def __init__(
        self,
        comparison: Comparison,
        settings: Drift,
        layout: Layout,
        evaluated: Evaluations,
        *,
        begin: int,
        scrape: int,
        prometheus: int = PROMETHEUS,
    ) -> None:
        self._comparison = comparison
        self._least = settings.min_samples
        self._directory = tempfile.TemporaryDirectory(prefix="model-sidecar-", ignore_cleanup_errors=True)
        base, interval = milliseconds(settings.windows[0]), evaluated.interval
        self._layout, columns = layout, layout.events
        self._increases = Increases(
            evaluated, begin=begin, scrape=scrape, window=base, columns=columns, prometheus=prometheus
        )
        self._sums = [
            Sums(window=milliseconds(window), base=base, interval=interval, columns=columns)
            for window in settings.windows[1:]
        ]
        shape = (len(comparison.features), evaluated.number)
        self.series = [
            DriftSeries(
                window,
                evaluated,
                self._array(f"{window}-psi", shape),
                self._array(f"{window}-samples", shape),
                reference_rows(comparison, evaluated, scrape=scrape, window=milliseconds(window)),
            )
            for window in settings.windows
        ]
        self._done = 0

    def _array(self, name: str, shape: tuple[int, int]) -> Floats:
        if 0 in shape:
            return np.zeros(shape)
        path = Path(self._directory.name) / name
        array: np.memmap[Any, np.dtype[np.float64]] = np.memmap(path, np.float64, "w+", shape=shape)
        return array

    def add(self, counts: Counts) -> None:
        """Process the counts between two scrapes."""
        base = self._increases.add(counts[:, : self._layout.events])
        self._keep(self.series[0], base)
        for series, sums in zip(self.series[1:], self._sums, strict=True):
            self._keep(series, sums.add(base))
        self._done += len(base)

    def _keep(self, series: DriftSeries, counts: Floats) -> None:
        comparison, starts = self._comparison, self._comparison.starts
        counts, expected = counts[:, self._layout.bins], counts[:, self._layout.expected]
        samples = drift.per_feature(counts, starts)
        enough = samples >= self._least
        some = enough.any(axis=1)
        psi = np.full(samples.shape, np.nan)
        reference = comparison.reference_shares
        if comparison.seasonal is not None:
            reference = drift.shares(expected[some], starts)
        live = drift.live_shares(counts[some], reference, starts)
        psi[some] = drift.psi(live, reference, starts)
        psi[~enough] = np.nan
        place = slice(self._done, self._done + len(counts))
        series.samples[:, place] = samples.T
        series.psi[:, place] = psi.T

    def close(self) -> None:
        """Remove the files; the series cannot be read afterwards."""
        self.series = []
        self._directory.cleanup()


def reference_rows(comparison: Comparison, evaluated: Evaluations, *, scrape: int, window: int) -> Floats:
    """Return the rows of the reference that a window of milliseconds is compared with, at every evaluation.

    By season those of the hours that it spans, as the last scrape has them, at most all: their sum, each for as long as
    it lasted, or their mean where the window is no longer than an hour.
    """
    rows = np.full(evaluated.number, float(comparison.profile.rows))
    seasonal = comparison.seasonal
    if seasonal is None:
        return rows
    scraped = evaluated.times() // scrape * scrape / 1000
    total = np.concatenate(([0.0], np.cumsum(seasonal.rows[seasonal.season.slots_of(scraped)])))
    last = np.arange(1, evaluated.number + 1)
    first = np.maximum(last - window // evaluated.interval, 0)
    of_slots = total[last] - total[first]
    slot = SLOT_SECONDS * 1000
    of_slots /= last - first if window <= slot else slot / evaluated.interval
    return np.asarray(np.minimum(of_slots, rows))
