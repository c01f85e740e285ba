"""The catalogue of what the injector exports, and the values.

The documentation is tested against this table. Names are never changed; new ones are added.
"""

import platform

from prometheus_client import CollectorRegistry, ProcessCollector

from sidecar import __version__
from sidecar.exposition.metric import Metric
from sidecar.exposition.negotiation import OPENMETRICS_TYPE, TEXT_TYPE, prefers_openmetrics, process_families
from sidecar.exposition.sidecar_metrics import BUILD_INFO, CONNECTIONS_REFUSED
from sidecar.exposition.text import header, number, prefix
from sidecar.kubernetes.inject.outcome import Outcome

REVIEWS = Metric(
    "model_sidecar_inject_reviews_total", "counter", ("outcome",), "Admission reviews answered, by how they ended."
)
WARNINGS = Metric(
    "model_sidecar_inject_warnings_total", "counter", (), "Warnings that owners of pods were shown, patched or not."
)
REFUSED = Metric(
    "model_sidecar_inject_refused_requests_total",
    "counter",
    ("code",),
    "Requests that were no admission review, by HTTP status.",
)
SECONDS = Metric(
    "model_sidecar_inject_review_seconds", "histogram", (), "Time from the body of a review to its answer."
)

CATALOGUE: tuple[Metric, ...] = (REVIEWS, WARNINGS, REFUSED, SECONDS, CONNECTIONS_REFUSED, BUILD_INFO)
"""Every family in the order of exposition; the process adds the standard `process_*` families."""

CODES = ("400", "413")
_BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)


class Metrics:
    """Values of the catalogue. Labels are bounded by this program, never by what is sent."""

    def __init__(self) -> None:
        self._reviews = dict.fromkeys(Outcome, 0)
        self._refused = dict.fromkeys(CODES, 0)
        self._warnings = 0
        self._refused_connections = 0
        self._buckets = [0] * len(_BOUNDS)
        self._seconds = 0.0
        self._process = CollectorRegistry()
        ProcessCollector(registry=self._process)

    def reviewed(self, outcome: Outcome, *, warnings: int, seconds: float) -> None:
        """Count a review."""
        self._reviews[outcome] += 1
        self._warnings += warnings
        self._seconds += seconds
        for i, bound in enumerate(_BOUNDS):
            self._buckets[i] += seconds <= bound

    def refused(self, status: int) -> None:
        """Count a request that was no review."""
        self._refused[str(status)] += 1

    def refused_connection(self) -> None:
        """Count a connection that was refused, or closed to make room for another."""
        self._refused_connections += 1

    def expose(self, accept: str) -> tuple[bytes, str]:
        """Return the exposition in the format that an `Accept` header prefers, and its content type."""
        openmetrics = prefers_openmetrics(accept)
        parts: list[str] = []
        for metric in CATALOGUE:
            parts += [header(metric, openmetrics=openmetrics), *self._samples(metric)]
        text = "".join(parts).encode() + process_families(self._process, openmetrics=openmetrics)
        return text, OPENMETRICS_TYPE if openmetrics else TEXT_TYPE

    def _samples(self, metric: Metric) -> list[str]:
        reviews = sum(self._reviews.values())
        samples: list[tuple[str, tuple[str, ...], tuple[str, ...], float]] = []
        if metric is REVIEWS:
            samples = [(metric.name, metric.labels, (o.value,), n) for o, n in self._reviews.items()]
        elif metric is WARNINGS:
            samples = [(metric.name, (), (), self._warnings)]
        elif metric is CONNECTIONS_REFUSED:
            samples = [(metric.name, metric.labels, ("web",), self._refused_connections)]
        elif metric is REFUSED:
            samples = [(metric.name, metric.labels, (code,), n) for code, n in self._refused.items()]
        elif metric is SECONDS:
            bounds = [*map(number, _BOUNDS), "+Inf"]
            buckets = zip(bounds, [*self._buckets, reviews], strict=True)
            samples = [(f"{metric.name}_bucket", ("le",), (bound,), n) for bound, n in buckets]
            samples += [(f"{metric.name}_sum", (), (), self._seconds), (f"{metric.name}_count", (), (), reviews)]
        else:
            samples = [(metric.name, metric.labels, (__version__, platform.python_version()), 1)]
        return [f"{prefix(name, labels, values)}{number(value)}\n" for name, labels, values, value in samples]
