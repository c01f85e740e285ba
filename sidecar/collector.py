"""Collector: readings of the monitor to the families of the catalogue, as text.

Whatever is the same at every scrape (names, labels, shares of the reference) is written once for each reference.
"""

import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from prometheus_client import CollectorRegistry, ProcessCollector

from sidecar import __version__, metrics
from sidecar.comparison import Comparison, DriftReading
from sidecar.config import OTHER_CLASS
from sidecar.exposition import counts, gauges, header, number, prefix
from sidecar.labels import Labels
from sidecar.metrics import CATALOGUE, Metric
from sidecar.monitor import Model, Monitor
from sidecar.quality import CALIBRATION_BINS
from sidecar.scrape import OPENMETRICS_TYPE, TEXT_TYPE, prefers_openmetrics, process_families

Families = dict[Metric, list[str]]


@dataclass(slots=True)
class LoadState:
    """How the last load of configuration and references went."""

    successful: bool = True
    last_success_timestamp_seconds: float = 0.0


@dataclass(slots=True)
class StorageState:
    """How keeping the state in files goes; `problem` says why it would not survive a crash now."""

    problem: str | None = None
    failures: int = 0
    checkpoint_timestamp_seconds: float | None = None
    checkpoint_bytes: int = 0
    set_aside: dict[str, int] = field(default_factory=lambda: dict.fromkeys(metrics.SET_ASIDE_REASONS, 0))
    begun_anew: dict[str, int] = field(default_factory=lambda: dict.fromkeys(metrics.STORED_PARTS, 0))


class Collector:
    """Write all families of a monitor and of the process."""

    def __init__(
        self,
        monitor: Monitor,
        load: LoadState,
        storage: StorageState | None = None,
        *,
        refused_connections: Mapping[str, int] | None = None,
    ) -> None:
        """`refused_connections` is counted by listener."""
        self._monitor = monitor
        self._load = load
        self._storage = storage
        self._refused_connections = {} if refused_connections is None else refused_connections
        self._process = CollectorRegistry()
        ProcessCollector(registry=self._process)
        self._written: dict[str, _Written] = {}

    def expose(self, accept: str, *, now: float) -> tuple[bytes, str]:
        """Return the exposition in the format that an `Accept` header prefers, and its content type."""
        openmetrics = prefers_openmetrics(accept)
        text = self._sidecar_text(now=now, openmetrics=openmetrics).encode()
        text += process_families(self._process, openmetrics=openmetrics)
        return text, OPENMETRICS_TYPE if openmetrics else TEXT_TYPE

    def _sidecar_text(self, *, now: float, openmetrics: bool) -> str:
        families = self.families(now=now)
        parts: list[str] = []
        for metric in CATALOGUE:
            if lines := families[metric]:
                parts += (header(metric, openmetrics=openmetrics), "\n".join(lines), "\n")
        return "".join(parts)

    def families(self, *, now: float) -> Families:
        """Return the sample lines of every family, without those of the process."""
        self._monitor.flush(now=now)
        families: Families = {metric: [] for metric in CATALOGUE}
        self._sidecar_families(families)
        self._written = {name: self._written_for(model) for name, model in self._monitor.models.items()}
        for name, model in self._monitor.models.items():
            _traffic_families(families, model, self._written[name])
            if model.comparison is not None:
                _comparison_families(families, model.comparison, self._written[name], now=now)
            if model.labels is not None:
                _tally_families(families, name, model.labels)
                _quality_families(families, name, model.labels, now=now)
        return families

    def _written_for(self, model: Model) -> "_Written":
        written = self._written.get(model.name)
        return written if written is not None and written.describes(model) else _Written(model)

    def _sidecar_families(self, families: Families) -> None:
        monitor = self._monitor
        for metric, values in (
            (metrics.EVENTS, {(transport,): count for transport, count in monitor.events.items()}),
            (metrics.EVENTS_REJECTED, monitor.rejected),
            (metrics.EVENTS_DROPPED, monitor.dropped),
            (metrics.LABELS_RECEIVED, {(transport,): count for transport, count in monitor.labels.items()}),
            (metrics.LABELS_REJECTED, monitor.labels_rejected),
        ):
            families[metric] = [_sample(metric, labels, value) for labels, value in values.items()]
        families[metrics.CONNECTIONS_REFUSED] = [
            _sample(metrics.CONNECTIONS_REFUSED, (listener,), count)
            for listener, count in self._refused_connections.items()
        ]
        families[metrics.CONFIG_RELOAD_SUCCESSFUL].append(
            _sample(metrics.CONFIG_RELOAD_SUCCESSFUL, (), int(self._load.successful))
        )
        families[metrics.CONFIG_RELOAD_TIMESTAMP].append(
            _sample(metrics.CONFIG_RELOAD_TIMESTAMP, (), self._load.last_success_timestamp_seconds)
        )
        if self._storage is not None:
            _storage_families(families, self._storage)
        build = (__version__, platform.python_version())
        families[metrics.BUILD_INFO].append(_sample(metrics.BUILD_INFO, build, 1))


class _Written:
    """What is written once: the lines up to their values, or whole, for one model and its reference."""

    def __init__(self, model: Model) -> None:
        name = model.name
        self.bounds = model.traffic.bounds
        self._version = model.config.version
        self.predictions = prefix(metrics.PREDICTIONS.name, ("model",), (name,))
        self.errors = prefix(metrics.PREDICTION_ERRORS.name, ("model",), (name,))
        self.unknown = prefix(metrics.UNKNOWN_FEATURES.name, ("model",), (name,))
        latency = metrics.LATENCY.name
        marks = [*map(number, map(float, self.bounds)), "+Inf"]
        self.buckets = [prefix(f"{latency}_bucket", ("model", "le"), (name, mark)) for mark in marks]
        self.latency_count = prefix(f"{latency}_count", ("model",), (name,))
        self.latency_sum = prefix(f"{latency}_sum", ("model",), (name,))
        self.comparison = model.comparison
        if model.comparison is not None:
            self._write_reference(model, model.comparison)

    def describes(self, model: Model) -> bool:
        """Tell whether the model is still the one that was written."""
        same_bounds = self.bounds == model.traffic.bounds
        return same_bounds and self.comparison is model.comparison and self._version == model.config.version

    def _write_reference(self, model: Model, comparison: Comparison) -> None:
        name, profile = model.name, comparison.profile
        fingerprint = profile.fingerprint
        features = [(f.role, f.name) for f in comparison.features]
        bins = [
            (name, fingerprint, role, feature, bin_name, range_text)
            for (role, feature), bins in zip(features, comparison.bins, strict=True)
            for bin_name, range_text in zip(bins.names, bins.ranges, strict=True)
        ]
        self.observations = _prefixes(metrics.BIN_OBSERVATIONS, bins)
        ratios = _prefixes(metrics.BIN_REFERENCE_RATIO, bins)
        self.reference_ratios = gauges(ratios, comparison.reference_shares.tolist())
        by_window = [(name, role, feature, window.text) for window in comparison.windows for role, feature in features]
        self.windowed = {metric: _prefixes(metric, by_window) for metric in (*_STATISTICS, metrics.WINDOW_SAMPLES)}
        self.factors = _prefixes(
            metrics.SIGNIFICANCE_FACTOR, [(name, fingerprint, role, feature) for role, feature in features]
        )
        version = model.config.version or profile.model_version
        reference = (name, fingerprint)
        self.reference = {
            metrics.REFERENCE_INFO: _sample(metrics.REFERENCE_INFO, (*reference, profile.source, version), 1),
            metrics.REFERENCE_SAMPLES: _sample(metrics.REFERENCE_SAMPLES, reference, profile.rows),
            metrics.REFERENCE_CREATED: _sample(metrics.REFERENCE_CREATED, reference, int(profile.created.timestamp())),
        }
        numeric = comparison.schema.numeric
        self.out_of_range = _prefixes(metrics.OUT_OF_RANGE, [(name, key.role, key.name) for key in numeric])


_STATISTICS = {
    metrics.DRIFT_PSI: "psi",
    metrics.DRIFT_KL: "kl",
    metrics.DRIFT_JS: "js",
    metrics.DRIFT_KS: "ks",
    metrics.DRIFT_PSI_THRESHOLD: "threshold",
}


def _storage_families(families: Families, storage: StorageState) -> None:
    for metric, values in (
        (metrics.STORAGE_SET_ASIDE, storage.set_aside),
        (metrics.STORAGE_BEGUN_ANEW, storage.begun_anew),
    ):
        families[metric] = [_sample(metric, (label,), value) for label, value in values.items()]
    families[metrics.STORAGE_HEALTHY] = [_sample(metrics.STORAGE_HEALTHY, (), int(storage.problem is None))]
    families[metrics.STORAGE_FAILURES] = [_sample(metrics.STORAGE_FAILURES, (), storage.failures)]
    if storage.checkpoint_timestamp_seconds is not None:
        timestamp, size = storage.checkpoint_timestamp_seconds, storage.checkpoint_bytes
        families[metrics.STORAGE_CHECKPOINT_TIMESTAMP] = [_sample(metrics.STORAGE_CHECKPOINT_TIMESTAMP, (), timestamp)]
        families[metrics.STORAGE_CHECKPOINT_BYTES] = [_sample(metrics.STORAGE_CHECKPOINT_BYTES, (), size)]


def _traffic_families(families: Families, model: Model, written: _Written) -> None:
    traffic = model.traffic
    families[metrics.PREDICTIONS].append(f"{written.predictions}{traffic.events}")
    families[metrics.PREDICTION_ERRORS].append(f"{written.errors}{traffic.errors}")
    families[metrics.UNKNOWN_FEATURES].append(f"{written.unknown}{model.unknown}")
    cumulative = traffic.histogram().tolist()
    latency = families[metrics.LATENCY]
    latency += counts(written.buckets, cumulative)
    latency.append(f"{written.latency_sum}{number(traffic.latency_sum)}")
    latency.append(f"{written.latency_count}{cumulative[-1]}")


def _comparison_families(families: Families, comparison: Comparison, written: _Written, *, now: float) -> None:
    reading = comparison.read(now=now)
    _drift_families(families, reading, written)
    families[metrics.BIN_OBSERVATIONS] += counts(written.observations, comparison.observations().tolist())
    families[metrics.BIN_REFERENCE_RATIO] += written.reference_ratios
    families[metrics.SIGNIFICANCE_FACTOR] += gauges(written.factors, comparison.significance_factor.tolist())
    families[metrics.OUT_OF_RANGE] += counts(written.out_of_range, comparison.out_of_range.tolist())
    for metric, line in written.reference.items():
        families[metric].append(line)


def _drift_families(families: Families, reading: DriftReading, written: _Written) -> None:
    samples = reading.samples.ravel().tolist()
    families[metrics.WINDOW_SAMPLES] += counts(written.windowed[metrics.WINDOW_SAMPLES], samples)
    enough = reading.level >= 0
    for metric, statistic in _STATISTICS.items():
        values = getattr(reading, statistic)
        shown = np.flatnonzero(enough & ~np.isnan(values)).tolist()
        prefixes, flat = written.windowed[metric], values.ravel().tolist()
        families[metric] += [prefixes[i] + repr(flat[i]) for i in shown]


def _tally_families(families: Families, model: str, labels: Labels) -> None:
    """Write the counters of labels. Outcomes are there for every pair of classes, of others where there were any."""
    tally, waiting = labels.ever(), labels.pending.waiting
    for metric, value in (
        (metrics.LABEL_PREDICTIONS, labels.kept),
        (metrics.LABEL_PREDICTIONS_REPEATED, labels.repeated),
        (metrics.LABEL_PENDING, waiting),
        (metrics.LABELS, int(tally.labels)),
        (metrics.LABELS_COMPARED, int(tally.outcomes.sum())),
        (metrics.LABELS_CORRECT, int(tally.correct)),
        (metrics.CALIBRATION_SQUARED_ERROR, float(tally.brier)),
        (metrics.DIFFERENCES, int(tally.differences)),
        (metrics.ABSOLUTE_ERROR, float(tally.absolute)),
        (metrics.SQUARED_ERROR, float(tally.squared)),
    ):
        families[metric].append(_sample(metric, (model,), value))
    for reason, value in zip(metrics.UNLABELLED_REASONS, (labels.expired, labels.evicted), strict=True):
        labelled_by = (model, reason)
        families[metrics.LABEL_PREDICTIONS_UNLABELLED].append(
            _sample(metrics.LABEL_PREDICTIONS_UNLABELLED, labelled_by, value)
        )
    names = dict(enumerate(labels.classes)) | {len(tally.outcomes) - 1: OTHER_CLASS}
    families[metrics.LABEL_OUTCOMES] += [
        _sample(metrics.LABEL_OUTCOMES, (model, names[p], names[a]), value)
        for p, row in enumerate(tally.outcomes.tolist())
        for a, value in enumerate(row)
        if value or OTHER_CLASS not in (names.get(p, OTHER_CLASS), names.get(a, OTHER_CLASS))
    ]
    for metric, values in (
        (metrics.CALIBRATION_OBSERVATIONS, tally.calibration.tolist()),
        (metrics.CALIBRATION_CAME_TRUE, tally.came_true.tolist()),
        (metrics.CALIBRATION_PROBABILITY, tally.probability.tolist()),
    ):
        families[metric] += [
            _sample(metric, (model, name, text), value)
            for (name, text), value in zip(_CALIBRATION_BINS, values, strict=True)
        ]


_CALIBRATION_BINS = [
    (f"{i:02}", f"[{i / CALIBRATION_BINS:g}, {(i + 1) / CALIBRATION_BINS:g}{')' if i + 1 < CALIBRATION_BINS else ']'}")
    for i in range(CALIBRATION_BINS)
]


def _quality_families(families: Families, model: str, labels: Labels, *, now: float) -> None:
    reading, classes = labels.read(now=now), labels.classes
    for w, window in enumerate(labels.windows):
        families[metrics.WINDOW_LABELS].append(
            _sample(metrics.WINDOW_LABELS, (model, window.text), int(reading.labels[w]))
        )
        for metric, statistic in _QUALITY.items():
            value = float(getattr(reading, statistic)[w])
            if not math.isnan(value):
                families[metric].append(_sample(metric, (model, window.text), value))
        for metric, values in ((metrics.PRECISION, reading.precision[w]), (metrics.RECALL, reading.recall[w])):
            families[metric] += [
                _sample(metric, (model, name, window.text), value)
                for name, value in zip(classes, values.tolist(), strict=True)
                if not math.isnan(value)
            ]


_QUALITY = {
    metrics.LABEL_COVERAGE: "coverage",
    metrics.ACCURACY: "accuracy",
    metrics.BRIER_SCORE: "brier_score",
    metrics.CALIBRATION_ERROR: "calibration_error",
    metrics.MEAN_ABSOLUTE_ERROR: "mean_absolute_error",
    metrics.ROOT_MEAN_SQUARE_ERROR: "root_mean_square_error",
}


def _prefixes(metric: Metric, labels: Sequence[tuple[str, ...]]) -> list[str]:
    return [prefix(metric.name, metric.labels, values) for values in labels]


def _sample(metric: Metric, labels: tuple[str, ...], value: float) -> str:
    return prefix(metric.name, metric.labels, labels) + number(value)
