"""Collector: readings of the monitor to the families of the catalogue, as text.

Whatever is the same at every scrape is written once, by `sidecar.reports.line_prefixes`.
All numbers of a scrape are read at one moment, in `Collector._snapshot`, and then written a slice at a time.
"""

import platform
from collections.abc import Callable, Mapping
from datetime import datetime

import numpy as np
from prometheus_client import CollectorRegistry, ProcessCollector

from sidecar import __version__
from sidecar.base.cooperative import Steps, at_once
from sidecar.exposition import model_metrics, sidecar_metrics
from sidecar.exposition.catalogue import CATALOGUE
from sidecar.exposition.metric import Metric
from sidecar.exposition.negotiation import OPENMETRICS_TYPE, TEXT_TYPE, prefers_openmetrics, process_families
from sidecar.exposition.samples import Families, Samples, Written, sample, written
from sidecar.exposition.text import header, number
from sidecar.monitor.comparison import DriftReading
from sidecar.monitor.model import Model
from sidecar.monitor.monitor import Monitor
from sidecar.monitor.status import LoadState, StorageState
from sidecar.reports.label_samples import quality_families, tally_families
from sidecar.reports.line_prefixes import ModelLines, ReferenceLines
from sidecar.reports.model_labels import model_labels
from sidecar.statistics.bins import Floats

Uncomputed = tuple[ReferenceLines, Steps[DriftReading], Steps[Floats]]
"""The steps to drift and expected observations, from counts that were read."""


class Collector:
    """Write all families of a monitor and of the process."""

    def __init__(
        self,
        monitor: Monitor,
        load: LoadState,
        storage: StorageState | None = None,
        *,
        refused_connections: Mapping[str, int] | None = None,
        refused_requests: Mapping[tuple[str, str], int] | None = None,
    ) -> None:
        """`refused_connections` is counted by listener, `refused_requests` by listener and reason."""
        self._monitor = monitor
        self._load = load
        self._storage = storage
        self._refused_connections = {} if refused_connections is None else refused_connections
        self._refused_requests = {} if refused_requests is None else refused_requests
        self._process = CollectorRegistry()
        ProcessCollector(registry=self._process)
        self._lines: dict[str, ModelLines] = {}

    def expose(self, accept: str, *, now: float) -> tuple[bytes, str]:
        """Return the exposition in the format that an `Accept` header prefers, and its content type."""
        return at_once(self.exposing(accept, clock=lambda: now))

    def exposing(self, accept: str, *, clock: Callable[[], float]) -> Steps[tuple[bytes, str]]:
        """Make the exposition in steps; everything in it is read at one moment.

        That moment comes when all line prefixes are written, so only the clock knows it.
        """
        openmetrics = prefers_openmetrics(accept)
        parts: list[bytes] = []
        for metric, texts in (yield from self._texts(clock)).items():
            parts += (header(metric, openmetrics=openmetrics).encode(), *texts)
        parts.append(process_families(self._process, openmetrics=openmetrics))
        yield
        return b"".join(parts), OPENMETRICS_TYPE if openmetrics else TEXT_TYPE

    def families(self, *, now: float) -> dict[Metric, list[str]]:
        """Return the sample lines of every family that has any, without those of the process."""
        found = at_once(self._texts(lambda: now))
        return {metric: b"".join(texts).decode().split("\n")[:-1] for metric, texts in found.items()}

    def _texts(self, clock: Callable[[], float]) -> Steps[dict[Metric, list[bytes]]]:
        now = yield from self._writing_prefixes(clock)
        families, uncomputed = self._snapshot(now=now)
        for lines, reading, expecting in uncomputed:
            _drift_families(families, (yield from reading), lines)
            expected = Samples(lines.expected, (yield from expecting))
            families[model_metrics.BIN_EXPECTED_OBSERVATIONS].append(expected)
        found: dict[Metric, list[bytes]] = {}
        for metric, parts in families.items():
            for samples in parts:
                for text in samples.texts():
                    found.setdefault(metric, []).append(text)
                    yield
        return found

    def _writing_prefixes(self, clock: Callable[[], float]) -> Steps[float]:
        """Write in steps what is the same at every scrape, and return the time at which none of it is missing.

        A reference may be learned or loaded in any pause, so everything is looked at again after each model.
        """
        while True:
            now = clock()
            self._monitor.flush(now=now)  # first, because it may end the learning of a reference
            if (model := self._unwritten()) is None:
                self._lines = {name: self._lines[name] for name in self._monitor.models}
                return now
            self._lines[model.name] = yield from ModelLines.of(model)

    def _unwritten(self) -> Model | None:
        for name, model in self._monitor.models.items():
            if name not in self._lines or not self._lines[name].describes(model):
                return model
        return None

    def _snapshot(self, *, now: float) -> tuple[Families, list[Uncomputed]]:
        """Read everything of this moment, except for the process."""
        families: Families = {metric: [] for metric in CATALOGUE}
        uncomputed: list[Uncomputed] = []
        self._sidecar_families(families)
        for name, model in self._monitor.models.items():
            lines = self._lines[name]
            _traffic_families(families, model, lines)
            if lines.reference is not None:
                comparison = lines.reference.comparison
                steps = comparison.reading(now=now), comparison.expecting_observations()
                uncomputed.append((lines.reference, *steps))
                _reference_families(families, lines.reference)
                _season_families(families, lines.reference, wall=self._monitor.wall(now))
            if model.labels is not None:
                tally_families(families, model_labels(model), model.labels)
                quality_families(families, model_labels(model), model.labels, now=now)
        return families, uncomputed

    def _sidecar_families(self, families: Families) -> None:
        monitor = self._monitor
        events = {(transport,): count for transport, count in monitor.events.items()}
        families[sidecar_metrics.EVENTS].append(written(sidecar_metrics.EVENTS, events))
        families[sidecar_metrics.EVENTS_REJECTED].append(written(sidecar_metrics.EVENTS_REJECTED, monitor.rejected))
        families[sidecar_metrics.EVENTS_DROPPED].append(written(sidecar_metrics.EVENTS_DROPPED, monitor.dropped))
        labels = {(transport,): count for transport, count in monitor.labels.items()}
        families[sidecar_metrics.LABELS_RECEIVED].append(written(sidecar_metrics.LABELS_RECEIVED, labels))
        families[sidecar_metrics.LABELS_REJECTED].append(
            written(sidecar_metrics.LABELS_REJECTED, monitor.labels_rejected)
        )
        refused = {(listener,): count for listener, count in self._refused_connections.items()}
        families[sidecar_metrics.CONNECTIONS_REFUSED].append(written(sidecar_metrics.CONNECTIONS_REFUSED, refused))
        requests = sidecar_metrics.REQUESTS_REFUSED
        families[requests].append(written(requests, self._refused_requests))
        families[sidecar_metrics.CONFIG_RELOAD_SUCCESSFUL].append(
            written(sidecar_metrics.CONFIG_RELOAD_SUCCESSFUL, {(): int(self._load.successful)})
        )
        families[sidecar_metrics.CONFIG_RELOAD_TIMESTAMP].append(
            written(sidecar_metrics.CONFIG_RELOAD_TIMESTAMP, {(): self._load.last_success_timestamp_seconds})
        )
        if self._storage is not None:
            _storage_families(families, self._storage)
        build = (__version__, platform.python_version())
        families[sidecar_metrics.BUILD_INFO].append(written(sidecar_metrics.BUILD_INFO, {build: 1}))


def _storage_families(families: Families, storage: StorageState) -> None:
    for metric, values in (
        (sidecar_metrics.STORAGE_SET_ASIDE, storage.set_aside),
        (sidecar_metrics.STORAGE_RESETS, storage.resets),
    ):
        families[metric].append(written(metric, {(label,): value for label, value in values.items()}))
    single: dict[Metric, float] = {
        sidecar_metrics.STORAGE_HEALTHY: int(storage.problem is None),
        sidecar_metrics.STORAGE_FAILURES: storage.failures,
    }
    if storage.checkpoint_timestamp_seconds is not None:
        single[sidecar_metrics.STORAGE_CHECKPOINT_TIMESTAMP] = storage.checkpoint_timestamp_seconds
        single[sidecar_metrics.STORAGE_CHECKPOINT_BYTES] = storage.checkpoint_bytes
    for metric, value in single.items():
        families[metric].append(written(metric, {(): value}))


def _traffic_families(families: Families, model: Model, lines: ModelLines) -> None:
    traffic, labels = model.traffic, model_labels(model)
    for metric, value in (
        (model_metrics.PREDICTIONS, traffic.events),
        (model_metrics.PREDICTION_ERRORS, traffic.errors),
        (sidecar_metrics.UNKNOWN_FEATURES, model.unknown),
    ):
        families[metric].append(sample(metric, labels, value))
    cumulative = traffic.histogram()
    ends = [(lines.latency_sum, number(traffic.latency_sum)), (lines.latency_count, str(cumulative[-1]))]
    families[model_metrics.LATENCY] += [
        Samples(lines.latency, cumulative),
        Written([start + text.encode() + b"\n" for start, text in ends]),
    ]


def _reference_families(families: Families, lines: ReferenceLines) -> None:
    comparison = lines.comparison
    # Copies, because what is counted while they are written is for the next scrape.
    families[model_metrics.BIN_OBSERVATIONS].append(Samples(lines.observations, comparison.observations().copy()))
    families[model_metrics.BIN_REFERENCE_RATIO].append(lines.ratios)
    families[model_metrics.SIGNIFICANCE_FACTOR].append(Samples(lines.factors, comparison.significance_factor))
    families[model_metrics.OUT_OF_RANGE].append(Samples(lines.out_of_range, comparison.out_of_range.copy()))
    for metric, line in lines.facts.items():
        families[metric].append(line)


def _season_families(families: Families, lines: ReferenceLines, *, wall: datetime) -> None:
    profile = lines.comparison.profile
    if profile.season is None:
        return
    labels, rows = lines.labels, profile.season_rows[profile.season.slot(wall)]
    families[model_metrics.REFERENCE_SEASON_SAMPLES].append(
        sample(model_metrics.REFERENCE_SEASON_SAMPLES, labels, rows)
    )


def _drift_families(families: Families, reading: DriftReading, lines: ReferenceLines) -> None:
    samples = Samples(lines.windowed[model_metrics.WINDOW_SAMPLES], reading.samples.ravel())
    families[model_metrics.WINDOW_SAMPLES].append(samples)
    enough = reading.level >= 0
    for name, metric in model_metrics.DRIFT.items():
        values = np.where(enough, reading.statistics[name], np.nan).ravel()
        families[metric].append(Samples(lines.windowed[metric], values))
