"""Collector: readings of the monitor to the families of the catalogue, as text.

Whatever is the same at every scrape (names, labels, shares of the reference) is written once for each reference.
All numbers of a scrape are read at one moment, and then written a slice at a time.
"""

import math
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry, ProcessCollector

from sidecar import __version__, metrics
from sidecar.comparison import Comparison, DriftReading
from sidecar.config import OTHER_CLASS
from sidecar.exposition import header, lines, number, prefix
from sidecar.labels import Labels
from sidecar.metrics import CATALOGUE, Metric
from sidecar.model import Model
from sidecar.monitor import Monitor
from sidecar.quality import CALIBRATION_BINS
from sidecar.scrape import OPENMETRICS_TYPE, TEXT_TYPE, prefers_openmetrics, process_families
from sidecar.slices import Steps, at_once

LabelValues = TypeVar("LabelValues", bound=tuple[str, ...])

_LINES_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples of one family, to be written: each up to its value, and the values. NaN is left out."""

    prefixes: Sequence[bytes]
    values: NDArray[Any]

    def texts(self) -> Iterator[bytes]:
        """Write them, some at a time."""
        for first in range(0, len(self.prefixes), _LINES_AT_ONCE):
            prefixes = self.prefixes[first : first + _LINES_AT_ONCE]
            values = self.values[first : first + _LINES_AT_ONCE]
            shown = np.flatnonzero(values == values)
            if shown.size < values.size:
                prefixes, values = [prefixes[i] for i in shown.tolist()], values[shown]
            if prefixes:
                yield lines(prefixes, values.tolist())


@dataclass(frozen=True, slots=True)
class Written:
    """Samples that are written already."""

    parts: Sequence[bytes]

    def texts(self) -> Iterator[bytes]:
        """Return them, some at a time."""
        return iter(self.parts)


Families = dict[Metric, list[Samples | Written]]


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
        self._constant: dict[str, _Constant] = {}

    def expose(self, accept: str, *, now: float) -> tuple[bytes, str]:
        """Return the exposition in the format that an `Accept` header prefers, and its content type."""
        return at_once(self.exposing(accept, now=now))

    def exposing(self, accept: str, *, now: float) -> Steps[tuple[bytes, str]]:
        """Make the exposition in steps; everything in it is as it is at the first."""
        openmetrics = prefers_openmetrics(accept)
        parts: list[bytes] = []
        for metric, texts in (yield from self._texts(now=now)).items():
            parts += (header(metric, openmetrics=openmetrics).encode(), *texts)
        parts.append(process_families(self._process, openmetrics=openmetrics))
        yield
        return b"".join(parts), OPENMETRICS_TYPE if openmetrics else TEXT_TYPE

    def families(self, *, now: float) -> dict[Metric, list[str]]:
        """Return the sample lines of every family that has any, without those of the process."""
        written = at_once(self._texts(now=now))
        return {metric: b"".join(texts).decode().split("\n")[:-1] for metric, texts in written.items()}

    def _texts(self, *, now: float) -> Steps[dict[Metric, list[bytes]]]:
        at_once(self.preparing(now=now))
        families, readings = self._families(now=now)
        for reading, constant in readings:
            _drift_families(families, (yield from reading), constant)
        written: dict[Metric, list[bytes]] = {}
        for metric, found in families.items():
            for samples in found:
                for text in samples.texts():
                    written.setdefault(metric, []).append(text)
                    yield
        return written

    def preparing(self, *, now: float) -> Steps[None]:
        """Write in steps what every scrape has alike, where that is not done yet."""
        self._monitor.flush(now=now)  # first, because it may end the learning of a reference
        while (model := self._unwritten()) is not None:
            self._constant[model.name] = yield from _constant(model)
        self._constant = {name: self._constant[name] for name in self._monitor.models}

    def _unwritten(self) -> Model | None:
        for name, model in self._monitor.models.items():
            if name not in self._constant or not self._constant[name].describes(model):
                return model
        return None

    def _families(self, *, now: float) -> "tuple[Families, list[tuple[Steps[DriftReading], _Constant]]]":
        """Read everything, of this moment, but for the process; drift is still to be computed from what was read."""
        families: Families = {metric: [] for metric in CATALOGUE}
        readings = []
        self._sidecar_families(families)
        for name, model in self._monitor.models.items():
            _traffic_families(families, model, self._constant[name])
            if model.comparison is not None:
                reading = model.comparison.reading(now=now)
                next(reading)
                readings.append((reading, self._constant[name]))
                _comparison_families(families, model.comparison, self._constant[name])
                _season_families(families, model.comparison, self._constant[name], wall=self._monitor.wall(now))
            if model.labels is not None:
                _tally_families(families, name, model.labels)
                _quality_families(families, name, model.labels, now=now)
        return families, readings

    def _sidecar_families(self, families: Families) -> None:
        monitor = self._monitor
        events = {(transport,): count for transport, count in monitor.events.items()}
        families[metrics.EVENTS].append(_written(metrics.EVENTS, events))
        families[metrics.EVENTS_REJECTED].append(_written(metrics.EVENTS_REJECTED, monitor.rejected))
        families[metrics.EVENTS_DROPPED].append(_written(metrics.EVENTS_DROPPED, monitor.dropped))
        labels = {(transport,): count for transport, count in monitor.labels.items()}
        families[metrics.LABELS_RECEIVED].append(_written(metrics.LABELS_RECEIVED, labels))
        families[metrics.LABELS_REJECTED].append(_written(metrics.LABELS_REJECTED, monitor.labels_rejected))
        refused = {(listener,): count for listener, count in self._refused_connections.items()}
        families[metrics.CONNECTIONS_REFUSED].append(_written(metrics.CONNECTIONS_REFUSED, refused))
        families[metrics.CONFIG_RELOAD_SUCCESSFUL].append(
            _written(metrics.CONFIG_RELOAD_SUCCESSFUL, {(): int(self._load.successful)})
        )
        families[metrics.CONFIG_RELOAD_TIMESTAMP].append(
            _written(metrics.CONFIG_RELOAD_TIMESTAMP, {(): self._load.last_success_timestamp_seconds})
        )
        if self._storage is not None:
            _storage_families(families, self._storage)
        build = (__version__, platform.python_version())
        families[metrics.BUILD_INFO].append(_written(metrics.BUILD_INFO, {build: 1}))


def _constant(model: Model) -> "Steps[_Constant]":
    constant = _Constant(model)
    if constant.comparison is not None:
        yield from constant.write_reference(constant.comparison)
    return constant


class _Constant:
    """What is written once: the lines up to their values, or whole, for one model and its reference."""

    def __init__(self, model: Model) -> None:
        name = self._model = model.name
        self.bounds = model.traffic.bounds
        self._version = model.config.version
        self.comparison = model.comparison
        latency = metrics.LATENCY.name
        marks = [*map(number, map(float, self.bounds)), "+Inf"]
        self.latency = [prefix(f"{latency}_bucket", ("model", "le"), (name, mark)).encode() for mark in marks]
        self.latency_sum = prefix(f"{latency}_sum", ("model",), (name,)).encode()
        self.latency_count = prefix(f"{latency}_count", ("model",), (name,)).encode()

    def describes(self, model: Model) -> bool:
        """Tell whether the model is still the one that was written."""
        same_bounds = self.bounds == model.traffic.bounds
        return same_bounds and self.comparison is model.comparison and self._version == model.config.version

    def write_reference(self, comparison: Comparison) -> Steps[None]:
        """Write what depends on the reference."""
        name, profile = self._model, comparison.profile
        fingerprint = profile.fingerprint
        features = [(f.role, f.name) for f in comparison.features]
        self.observations = yield from _prefixes(metrics.BIN_OBSERVATIONS, _bins(name, comparison))
        ratios = yield from _prefixes(metrics.BIN_REFERENCE_RATIO, _bins(name, comparison))
        if comparison.seasonal is not None:
            self.expected = yield from _prefixes(metrics.BIN_EXPECTED_OBSERVATIONS, _bins(name, comparison))
        parts = []
        for text in Samples(ratios, comparison.reference_shares).texts():
            parts.append(text)
            yield
        self.reference_ratios = Written(parts)
        self.windowed: dict[Metric, Sequence[bytes]] = {}
        for metric in (*_STATISTICS, metrics.WINDOW_SAMPLES):
            texts = [window.text for window in comparison.windows]
            by_window = ((name, role, feature, text) for text in texts for role, feature in features)
            self.windowed[metric] = yield from _prefixes(metric, by_window)
        by_feature = ((name, fingerprint, role, feature) for role, feature in features)
        self.factors = yield from _prefixes(metrics.SIGNIFICANCE_FACTOR, by_feature)
        version = self._version or profile.model_version
        reference = (name, fingerprint)
        self.reference = {
            metric: _written(metric, {labels: value})
            for metric, labels, value in (
                (metrics.REFERENCE_INFO, (*reference, profile.source, version), 1),
                (metrics.REFERENCE_SAMPLES, reference, profile.rows),
                (metrics.REFERENCE_CREATED, reference, int(profile.created.timestamp())),
            )
        }
        numeric = ((name, key.role, key.name) for key in comparison.schema.numeric)
        self.out_of_range = yield from _prefixes(metrics.OUT_OF_RANGE, numeric)


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
        families[metric].append(_written(metric, {(label,): value for label, value in values.items()}))
    single: dict[Metric, float] = {
        metrics.STORAGE_HEALTHY: int(storage.problem is None),
        metrics.STORAGE_FAILURES: storage.failures,
    }
    if storage.checkpoint_timestamp_seconds is not None:
        single[metrics.STORAGE_CHECKPOINT_TIMESTAMP] = storage.checkpoint_timestamp_seconds
        single[metrics.STORAGE_CHECKPOINT_BYTES] = storage.checkpoint_bytes
    for metric, value in single.items():
        families[metric].append(_written(metric, {(): value}))


def _traffic_families(families: Families, model: Model, constant: _Constant) -> None:
    traffic, name = model.traffic, (model.name,)
    families[metrics.PREDICTIONS].append(_written(metrics.PREDICTIONS, {name: traffic.events}))
    families[metrics.PREDICTION_ERRORS].append(_written(metrics.PREDICTION_ERRORS, {name: traffic.errors}))
    families[metrics.UNKNOWN_FEATURES].append(_written(metrics.UNKNOWN_FEATURES, {name: model.unknown}))
    cumulative = traffic.histogram()
    ends = [(constant.latency_sum, number(traffic.latency_sum)), (constant.latency_count, str(cumulative[-1]))]
    families[metrics.LATENCY] += [
        Samples(constant.latency, cumulative),
        Written([start + text.encode() + b"\n" for start, text in ends]),
    ]


def _comparison_families(families: Families, comparison: Comparison, constant: _Constant) -> None:
    # Copies, because what is counted while they are written is for the next scrape.
    families[metrics.BIN_OBSERVATIONS].append(Samples(constant.observations, comparison.observations().copy()))
    families[metrics.BIN_REFERENCE_RATIO].append(constant.reference_ratios)
    families[metrics.SIGNIFICANCE_FACTOR].append(Samples(constant.factors, comparison.significance_factor))
    families[metrics.OUT_OF_RANGE].append(Samples(constant.out_of_range, comparison.out_of_range.copy()))
    for metric, line in constant.reference.items():
        families[metric].append(line)


def _season_families(families: Families, comparison: Comparison, constant: _Constant, *, wall: datetime) -> None:
    seasonal = comparison.seasonal
    if seasonal is None:
        return
    expected = Samples(constant.expected, comparison.expected_observations.copy())
    families[metrics.BIN_EXPECTED_OBSERVATIONS].append(expected)
    rows = int(seasonal.rows[seasonal.season.slot(wall)])
    reference = (comparison.schema.model, comparison.profile.fingerprint)
    families[metrics.REFERENCE_SEASON_SAMPLES].append(_written(metrics.REFERENCE_SEASON_SAMPLES, {reference: rows}))


def _drift_families(families: Families, reading: DriftReading, constant: _Constant) -> None:
    samples = Samples(constant.windowed[metrics.WINDOW_SAMPLES], reading.samples.ravel())
    families[metrics.WINDOW_SAMPLES].append(samples)
    enough = reading.level >= 0
    for metric, statistic in _STATISTICS.items():
        values = np.where(enough, getattr(reading, statistic), np.nan).ravel()
        families[metric].append(Samples(constant.windowed[metric], values))


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


def _bins(model: str, comparison: Comparison) -> Iterator[tuple[str, ...]]:
    """Return the labels of every bin."""
    for feature, bins in zip(comparison.features, comparison.bins, strict=True):
        of = (model, comparison.profile.fingerprint, feature.role, feature.name)
        for name, range_text in zip(bins.names, bins.ranges, strict=True):
            yield (*of, name, range_text)


def _prefixes(metric: Metric, labels: Iterator[tuple[str, ...]]) -> Steps[list[bytes]]:
    written: list[bytes] = []
    for values in labels:
        written.append(prefix(metric.name, metric.labels, values).encode())
        if not len(written) % _LINES_AT_ONCE:
            yield
    return written


def _written(metric: Metric, values: Mapping[LabelValues, float]) -> Written:
    return Written(
        [f"{prefix(metric.name, metric.labels, of)}{number(value)}\n".encode() for of, value in values.items()]
    )


def _sample(metric: Metric, labels: tuple[str, ...], value: float) -> Written:
    return _written(metric, {labels: value})
