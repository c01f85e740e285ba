"""Drifts: PSI of every feature at every evaluation of a whole history, by the formulas of the recording rules."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sidecar import drift
from sidecar.backtest.counters import Counts
from sidecar.backtest.recorded import PROMETHEUS, Evaluations, Increases, Sums
from sidecar.bins import Floats
from sidecar.comparison import Comparison
from sidecar.rules.duration import milliseconds
from sidecar.rules.settings import Drift


@dataclass(frozen=True, slots=True)
class DriftSeries:
    """One window: `psi` and `samples` of shape `(features, evaluations)`; PSI is NaN below the least samples.

    Features differ in samples where `increase` meets counters that have just begun.
    """

    window: str
    evaluated: Evaluations
    psi: Floats
    samples: Floats

    def threshold(self, feature: int, factor: float, reference_rows: int) -> Floats:
        """Return the smallest PSI of a feature that means anything, at every evaluation; infinite without samples."""
        return drift.psi_threshold(np.array(factor), self.samples[feature], np.array(reference_rows))


class Drifts:
    """Evaluate drift in every window of the settings while counters come in.

    Results lie in files of a temporary directory, as large as features times evaluations; `close` removes them.
    """

    def __init__(
        self,
        comparison: Comparison,
        settings: Drift,
        evaluated: Evaluations,
        *,
        begin: int,
        scrape: int,
        prometheus: int = PROMETHEUS,
    ) -> None:
        self._comparison = comparison
        self._least = settings.min_samples
        self._directory = tempfile.TemporaryDirectory(prefix="model-sidecar-", ignore_cleanup_errors=True)
        base, interval, bins = milliseconds(settings.windows[0]), evaluated.interval, comparison.reference_counts.size
        self._increases = Increases(
            evaluated, begin=begin, scrape=scrape, window=base, columns=bins, prometheus=prometheus
        )
        self._sums = [
            Sums(window=milliseconds(window), base=base, interval=interval, columns=bins)
            for window in settings.windows[1:]
        ]
        shape = (len(comparison.features), evaluated.number)
        self.series = [
            DriftSeries(window, evaluated, self._array(f"{window}-psi", shape), self._array(f"{window}-samples", shape))
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
        """Go on by the counts of the bins between scrapes."""
        base = self._increases.add(counts)
        self._keep(self.series[0], base)
        for series, sums in zip(self.series[1:], self._sums, strict=True):
            self._keep(series, sums.add(base))
        self._done += len(base)

    def _keep(self, series: DriftSeries, counts: Floats) -> None:
        comparison = self._comparison
        samples = drift.per_feature(counts, comparison.starts)
        enough = samples >= self._least
        some = enough.any(axis=1)
        psi = np.full(samples.shape, np.nan)
        live = drift.live_shares(counts[some], comparison.reference_shares, comparison.starts)
        psi[some] = drift.psi(live, comparison.reference_shares, comparison.starts)
        psi[~enough] = np.nan
        place = slice(self._done, self._done + len(counts))
        series.samples[:, place] = samples.T
        series.psi[:, place] = psi.T

    def close(self) -> None:
        """Remove the files; the series are not to be read any more."""
        self.series = []
        self._directory.cleanup()
