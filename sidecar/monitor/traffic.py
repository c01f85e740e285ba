"""Traffic: predictions, errors and latency of a model, since the start and over its windows."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from sidecar.base.duration import Duration
from sidecar.config import LatencyConfig
from sidecar.events.batch import Batch
from sidecar.statistics import latency_sketch
from sidecar.statistics.bins import Floats
from sidecar.statistics.window import Windows, WindowsState

QUANTILES = (0.5, 0.95, 0.99)

_EVENTS, _ERRORS, _BUCKETS = 0, 1, 2


@dataclass(frozen=True, slots=True)
class TrafficReading:
    """One window of traffic. Latencies in seconds, NaN where there is none; `within` has a share for each objective."""

    events: int
    errors: int
    latencies: int
    quantiles: tuple[float, ...]
    mean: float
    within: tuple[float, ...]


class TrafficState(msgspec.Struct, frozen=True):
    """What Traffic holds."""

    windows: WindowsState
    latency_sum: float


class Traffic:
    """Count predictions and errors, and latency in the buckets of the histogram and of the sketch."""

    def __init__(self, latency: LatencyConfig, windows: Sequence[Duration], *, now: float) -> None:
        self.bounds = latency.bounds()
        self.windows = tuple(windows)
        self._upper = np.array(self.bounds)
        self._sketch = _BUCKETS + len(self.bounds) + 1
        self._windows = Windows(self._sketch + latency_sketch.SIZE, [window.seconds for window in windows], now=now)
        self.latency_sum = 0.0

    def observe(self, batch: Batch, *, now: float) -> None:
        """Count the events of a batch."""
        self._windows.add_counts(_EVENTS, np.array([batch.events, batch.errors]), now=now)
        seconds = batch.latency_seconds
        if seconds.size:
            bucket = self._upper.searchsorted(seconds, side="left") + _BUCKETS
            self._windows.add(np.concatenate((bucket, latency_sketch.index(seconds) + self._sketch)), now=now)
            self.latency_sum += float(seconds.sum())

    def state(self) -> TrafficState:
        """Return a copy of everything that `restore` wants."""
        return TrafficState(self._windows.state(), self.latency_sum)

    def restore(self, state: TrafficState) -> None:
        """Go on from a state of the same bounds and windows; raises StateError where it cannot be one."""
        self._windows.restore(state.windows)
        self.latency_sum = state.latency_sum

    @property
    def events(self) -> int:
        """Events since the start, errors included."""
        return int(self._windows.ever()[_EVENTS])

    @property
    def errors(self) -> int:
        """Error events since the start."""
        return int(self._windows.ever()[_ERRORS])

    def histogram(self) -> NDArray[np.int64]:
        """Return the cumulative counts since the start of `bounds` and +Inf."""
        return np.cumsum(self._windows.ever()[_BUCKETS : self._sketch])

    def readings(self, slo_seconds: Sequence[float], *, now: float) -> list[TrafficReading]:
        """Read every window. `slo_seconds` are bounds of objectives, each one of `bounds`."""
        counts = self._windows.counts(now=now)
        sketches = counts[:, self._sketch :]
        quantiles, means = latency_sketch.quantile(sketches, QUANTILES), latency_sketch.mean(sketches)
        cumulative = np.cumsum(counts[:, _BUCKETS : self._sketch], axis=1)
        total = cumulative[:, -1]
        at = [self.bounds.index(bound) for bound in slo_seconds]
        within: Floats = cumulative[:, at] / np.where(total > 0, total, np.nan)[:, None]
        return [
            TrafficReading(
                events=int(row[_EVENTS]),
                errors=int(row[_ERRORS]),
                latencies=int(total[i]),
                quantiles=tuple(quantiles[i].tolist()),
                mean=float(means[i]),
                within=tuple(within[i].tolist()),
            )
            for i, row in enumerate(counts)
        ]
