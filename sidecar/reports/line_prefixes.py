"""Line prefixes: what is the same at every scrape of a model and of its reference, written once for each.

These are whole lines, such as the shares of the reference, and lines up to a value that changes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sidecar.base.cooperative import Steps
from sidecar.exposition import model_metrics
from sidecar.exposition.metric import MODEL, Metric
from sidecar.exposition.samples import Samples, Written, prefixes, written
from sidecar.exposition.text import number, prefix
from sidecar.monitor.comparison import Comparison
from sidecar.monitor.model import Model
from sidecar.reports.model_labels import model_labels


@dataclass(frozen=True, slots=True)
class ReferenceLines:
    """What is written of the reference that live events are compared with; `expected` is empty without a season.

    `labels` are those of the model and of the reference.
    """

    comparison: Comparison
    labels: tuple[str, ...]
    observations: Sequence[bytes]
    expected: Sequence[bytes]
    ratios: Written
    windowed: Mapping[Metric, Sequence[bytes]]
    factors: Sequence[bytes]
    out_of_range: Sequence[bytes]
    facts: Mapping[Metric, Written]


@dataclass(frozen=True, slots=True)
class ModelLines:
    """What is written of a model; `reference` is None while one is being learned."""

    bounds: Sequence[float]
    version: str
    latency: Sequence[bytes]
    latency_sum: bytes
    latency_count: bytes
    reference: ReferenceLines | None

    @classmethod
    def of(cls, model: Model) -> Steps["ModelLines"]:
        """Write what is the same until the model has another reference, other buckets or another version."""
        labels, latency, bounds = model_labels(model), model_metrics.LATENCY.name, model.traffic.bounds
        marks = [*map(number, map(float, bounds)), "+Inf"]
        version, comparison = model.config.version, model.comparison
        return cls(
            bounds=bounds,
            version=version,
            latency=[prefix(f"{latency}_bucket", (*MODEL, "le"), (*labels, mark)).encode() for mark in marks],
            latency_sum=prefix(f"{latency}_sum", MODEL, labels).encode(),
            latency_count=prefix(f"{latency}_count", MODEL, labels).encode(),
            reference=None if comparison is None else (yield from _reference(labels, version, comparison)),
        )

    def describes(self, model: Model) -> bool:
        """Tell whether the model is still the one that was written."""
        comparison = None if self.reference is None else self.reference.comparison
        same = self.bounds == model.traffic.bounds and self.version == model.config.version
        return same and comparison is model.comparison


def _reference(model: tuple[str, ...], version: str, comparison: Comparison) -> Steps[ReferenceLines]:
    profile = comparison.profile
    reference = (*model, profile.fingerprint)
    features = [(f.role, f.name) for f in comparison.features]
    observations = yield from prefixes(model_metrics.BIN_OBSERVATIONS, _bins(reference, comparison))
    expected: Sequence[bytes] = ()
    if comparison.seasonal is not None:
        expected = yield from prefixes(model_metrics.BIN_EXPECTED_OBSERVATIONS, _bins(reference, comparison))
    shares = yield from prefixes(model_metrics.BIN_REFERENCE_RATIO, _bins(reference, comparison))
    ratios = []
    for text in Samples(shares, comparison.reference_shares).texts():
        ratios.append(text)
        yield
    windowed = {}
    for metric in (*model_metrics.DRIFT.values(), model_metrics.WINDOW_SAMPLES):
        by_window = ((*model, *feature, window.text) for window in comparison.windows for feature in features)
        windowed[metric] = yield from prefixes(metric, by_window)
    factors = yield from prefixes(model_metrics.SIGNIFICANCE_FACTOR, ((*reference, *feature) for feature in features))
    numeric = ((*model, key.role, key.name) for key in comparison.schema.numeric)
    out_of_range = yield from prefixes(model_metrics.OUT_OF_RANGE, numeric)
    return ReferenceLines(
        comparison=comparison,
        labels=reference,
        observations=observations,
        expected=expected,
        ratios=Written(ratios),
        windowed=windowed,
        factors=factors,
        out_of_range=out_of_range,
        facts={
            metric: written(metric, {labels: value})
            for metric, labels, value in (
                (model_metrics.REFERENCE_INFO, (*reference, profile.source, version or profile.model_version), 1),
                (model_metrics.REFERENCE_SAMPLES, reference, profile.rows),
                (model_metrics.REFERENCE_CREATED, reference, int(profile.created.timestamp())),
            )
        },
    )


def _bins(reference: tuple[str, ...], comparison: Comparison) -> Iterator[tuple[str, ...]]:
    """Return the labels of every bin, after those of the reference."""
    for feature, bins in zip(comparison.features, comparison.bins, strict=True):
        for name, range_text in zip(bins.names, bins.ranges, strict=True):
            yield (*reference, feature.role, feature.name, name, range_text)
