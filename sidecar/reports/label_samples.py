"""Samples of labels: counters of what came, and how right predictions were over the windows."""

import math

from sidecar.config import OTHER_CLASS
from sidecar.exposition import catalogue, label_metrics
from sidecar.exposition.samples import Families, sample
from sidecar.monitor.label_join import Labels
from sidecar.statistics.quality import CALIBRATION_BINS


def tally_families(families: Families, model: tuple[str, ...], labels: Labels) -> None:
    """Add the counters of labels. Outcomes are there for every pair of classes, of others where there were any."""
    tally, waiting = labels.ever(), labels.pending.waiting
    for metric, value in (
        (label_metrics.LABEL_PREDICTIONS, labels.kept),
        (label_metrics.LABEL_PREDICTIONS_REPEATED, labels.repeated),
        (label_metrics.LABEL_PENDING, waiting),
        (label_metrics.LABELS, int(tally.labels)),
        (label_metrics.LABELS_COMPARED, int(tally.outcomes.sum())),
        (label_metrics.LABELS_CORRECT, int(tally.correct)),
        (label_metrics.CALIBRATION_SQUARED_ERROR, float(tally.brier)),
        (label_metrics.DIFFERENCES, int(tally.differences)),
        (label_metrics.ABSOLUTE_ERROR, float(tally.absolute)),
        (label_metrics.SQUARED_ERROR, float(tally.squared)),
    ):
        families[metric].append(sample(metric, model, value))
    for reason, value in zip(catalogue.UNLABELLED_REASONS, (labels.expired, labels.evicted), strict=True):
        labelled_by = (*model, reason)
        families[label_metrics.LABEL_PREDICTIONS_UNLABELLED].append(
            sample(label_metrics.LABEL_PREDICTIONS_UNLABELLED, labelled_by, value)
        )
    names = dict(enumerate(labels.classes)) | {len(tally.outcomes) - 1: OTHER_CLASS}
    families[label_metrics.LABEL_OUTCOMES] += [
        sample(label_metrics.LABEL_OUTCOMES, (*model, names[p], names[a]), value)
        for p, row in enumerate(tally.outcomes.tolist())
        for a, value in enumerate(row)
        if value or OTHER_CLASS not in (names.get(p, OTHER_CLASS), names.get(a, OTHER_CLASS))
    ]
    for metric, values in (
        (label_metrics.CALIBRATION_OBSERVATIONS, tally.calibration.tolist()),
        (label_metrics.CALIBRATION_CAME_TRUE, tally.came_true.tolist()),
        (label_metrics.CALIBRATION_PROBABILITY, tally.probability.tolist()),
    ):
        families[metric] += [
            sample(metric, (*model, name, text), value)
            for (name, text), value in zip(_CALIBRATION_BINS, values, strict=True)
        ]


_CALIBRATION_BINS = [
    (f"{i:02}", f"[{i / CALIBRATION_BINS:g}, {(i + 1) / CALIBRATION_BINS:g}{')' if i + 1 < CALIBRATION_BINS else ']'}")
    for i in range(CALIBRATION_BINS)
]


def quality_families(families: Families, model: tuple[str, ...], labels: Labels, *, now: float) -> None:
    """Add the quality of predictions over the windows; what is unknown is absent."""
    reading, classes = labels.read(now=now), labels.classes
    for w, window in enumerate(labels.windows):
        families[label_metrics.WINDOW_LABELS].append(
            sample(label_metrics.WINDOW_LABELS, (*model, window.text), int(reading.labels[w]))
        )
        for metric, statistic in _QUALITY.items():
            value = float(getattr(reading, statistic)[w])
            if not math.isnan(value):
                families[metric].append(sample(metric, (*model, window.text), value))
        for metric, values in (
            (label_metrics.PRECISION, reading.precision[w]),
            (label_metrics.RECALL, reading.recall[w]),
        ):
            families[metric] += [
                sample(metric, (*model, name, window.text), value)
                for name, value in zip(classes, values.tolist(), strict=True)
                if not math.isnan(value)
            ]


_QUALITY = {
    label_metrics.LABEL_COVERAGE: "coverage",
    label_metrics.ACCURACY: "accuracy",
    label_metrics.BRIER_SCORE: "brier_score",
    label_metrics.CALIBRATION_ERROR: "calibration_error",
    label_metrics.MEAN_ABSOLUTE_ERROR: "mean_absolute_error",
    label_metrics.ROOT_MEAN_SQUARE_ERROR: "root_mean_square_error",
}
