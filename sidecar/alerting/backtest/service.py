"""Service: latency, errors and budgets at every evaluation, by the formulas of the recording rules."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sidecar.alerting.backtest.counters import Counts, Layout
from sidecar.alerting.backtest.recorded import PROMETHEUS, Increases, Sums, evaluations
from sidecar.alerting.backtest.states import States
from sidecar.alerting.rules.recording.service import ERRORS_SLO, latency_slo
from sidecar.alerting.rules.settings import Settings
from sidecar.base.duration import milliseconds
from sidecar.statistics.bins import Floats


@dataclass(frozen=True, slots=True)
class Span:
    """The history in scrapes: counters are 0 at `begin`, complete at `end`; `scrape` milliseconds lie between two."""

    begin: int
    end: int
    scrape: int
    prometheus: int = PROMETHEUS


class ServiceNow:
    """HighP95Latency, CriticalP99Latency and HighErrorRate: how slow or wrong the last few minutes were."""

    def __init__(self, settings: Settings, layout: Layout, span: Span, *, latency: bool, errors: bool) -> None:
        service = settings.service
        self._service, self._layout = service, layout
        evaluated = evaluations(span.begin, span.end, scrape=span.scrape, interval=milliseconds(service.interval))
        self._increases = Increases(
            evaluated,
            begin=span.begin,
            scrape=span.scrape,
            window=milliseconds(service.window),
            columns=layout.columns - layout.events,
            prometheus=span.prometheus,
        )
        names = [("HighP95Latency", latency), ("CriticalP99Latency", latency), ("HighErrorRate", errors)]
        self.states = [
            States.empty(settings, name, "", evaluated)
            for name, there in names
            if there and settings.policy(name).enabled
        ]
        self._done = 0

    def add(self, counts: Counts) -> None:
        """Go on by counts between scrapes."""
        if not self.states:
            return
        layout, service = self._layout, self._service
        recent = self._increases.add(counts[:, layout.events :])
        events, errors, latencies = recent[:, 0], recent[:, 1], recent[:, 2:]
        place = slice(self._done, self._done + len(recent))
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = errors / events
        values = {
            "HighP95Latency": (histogram_quantile(0.95, layout.bounds, latencies), service.p95_seconds),
            "CriticalP99Latency": (histogram_quantile(0.99, layout.bounds, latencies), service.p99_seconds),
            "HighErrorRate": (ratio, service.error_ratio),
        }
        for states in self.states:
            value, limit = values[states.alert]
            number = events if states.alert == "HighErrorRate" else latencies[:, -1]
            with np.errstate(invalid="ignore"):
                states.holds[place] = (value > limit) & (number >= service.min_predictions)
            states.values[place] = value
        self._done += len(recent)


class Budgets:
    """LatencyBudgetBurn and ErrorBudgetBurn: how fast the budgets of the objectives are spent."""

    def __init__(self, settings: Settings, layout: Layout, span: Span, *, latency: bool, errors: bool) -> None:
        objectives = settings.objectives
        self._settings, self._layout = settings, layout
        interval = milliseconds(objectives.interval)
        evaluated = evaluations(span.begin, span.end, scrape=span.scrape, interval=interval)
        base = milliseconds(objectives.windows[0])
        self._increases = Increases(
            evaluated,
            begin=span.begin,
            scrape=span.scrape,
            window=base,
            columns=layout.columns - layout.events,
            prometheus=span.prometheus,
        )
        self._latency = [o for o in objectives.latency if latency and o.seconds in layout.bounds]
        self._names = [*(latency_slo(o) for o in self._latency), *([ERRORS_SLO] if errors else [])]
        self._targets = [*(o.target for o in self._latency), *([objectives.success] if errors else [])]
        self._sums = {
            window: Sums(window=milliseconds(window), base=base, interval=interval, columns=2 * len(self._names))
            for window in objectives.windows[1:]
        }
        self._burns = [
            (number, burn, States.empty(settings, alert, f"{slo} {burn.long}/{burn.short}", evaluated, for_=burn.for_))
            for number, slo in enumerate(self._names)
            for alert in ["ErrorBudgetBurn" if slo == ERRORS_SLO else "LatencyBudgetBurn"]
            if settings.policy(alert).enabled
            for burn in objectives.burn
        ]
        self.states = [states for _, _, states in self._burns]
        self._done = 0

    def add(self, counts: Counts) -> None:
        """Go on by counts between scrapes."""
        if not self.states:
            return
        layout, objectives = self._layout, self._settings.objectives
        recent = self._increases.add(counts[:, layout.events :])
        total, missed = [], []
        for objective in self._latency:
            good = recent[:, 2 + layout.bounds.index(objective.seconds)]
            total.append(recent[:, -1])
            missed.append(np.maximum(recent[:, -1] - good, 0))
        if ERRORS_SLO in self._names:
            total.append(recent[:, 0])
            missed.append(recent[:, 1])
        base = np.stack([*total, *missed], axis=1)
        sums = {objectives.windows[0]: base, **{window: s.add(base) for window, s in self._sums.items()}}
        place, number = slice(self._done, self._done + len(base)), len(self._names)
        for which, burn, states in self._burns:
            limit = burn.factor * float(f"{1 - self._targets[which]:.6g}")  # as the rule writes it
            ratios = []
            for window in (burn.long, burn.short):
                with np.errstate(divide="ignore", invalid="ignore"):
                    ratios.append(sums[window][:, number + which] / sums[window][:, which])
            with np.errstate(invalid="ignore"):
                over = (ratios[0] > limit) & (ratios[1] > limit)
            states.holds[place] = over & (sums[burn.long][:, which] >= objectives.min_predictions)
            states.values[place] = ratios[0]
        self._done += len(base)


def histogram_quantile(q: float, bounds: Sequence[float], cumulative: Floats) -> Floats:
    """Estimate a quantile from cumulative buckets of shape `(..., bounds and +Inf)` as `histogram_quantile` does.

    Linear within a bucket, the first of which begins at 0; the highest bound where it lies beyond; NaN without counts.

    >>> histogram_quantile(0.5, (0.1, 0.2), np.array([[10.0, 20.0, 20.0]]))
    array([0.1])
    """
    upper = np.asarray(bounds, dtype=np.float64)
    rising = np.maximum.accumulate(cumulative, axis=-1)
    total = rising[..., -1]
    rank = q * total
    bucket = np.minimum((rising < rank[..., None]).sum(axis=-1), upper.size)
    inside = np.minimum(bucket, upper.size - 1)
    below = np.where(bucket > 0, np.take_along_axis(rising, np.maximum(bucket - 1, 0)[..., None], -1)[..., 0], 0.0)
    count = np.take_along_axis(rising, bucket[..., None], -1)[..., 0] - below
    low = np.where(inside > 0, upper[np.maximum(inside - 1, 0)], 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        within = low + (upper[inside] - low) * ((rank - below) / count)
    return np.asarray(np.where(total > 0, np.where(bucket >= upper.size, upper[-1], within), np.nan))
