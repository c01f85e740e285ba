"""Samples of labels: counters of what came, and how right predictions were over the windows."""

import math

from sidecar import metrics
from sidecar.config import OTHER_CLASS
from sidecar.labels import Labels
from sidecar.quality import CALIBRATION_BINS
from sidecar.samples import Families, sample


def tally_families(families: Families, model: str, labels: Labels) -> None:
    """Add the counters of labels. Outcomes are there for every pair of classes, of others where there were any."""
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
        families[metric].append(sample(metric, (model,), value))
    for reason, value in zip(metrics.UNLABELLED_REASONS, (labels.expired, labels.evicted), strict=True):
        labelled_by = (model, reason)
        families[metrics.LABEL_PREDICTIONS_UNLABELLED].append(
            sample(metrics.LABEL_PREDICTIONS_UNLABELLED, labelled_by, value)
        )
    names = dict(enumerate(labels.classes)) | {len(tally.outcomes) - 1: OTHER_CLASS}
    families[metrics.LABEL_OUTCOMES] += [
        sample(metrics.LABEL_OUTCOMES, (model, names[p], names[a]), value)
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
            sample(metric, (model, name, text), value)
            for (name, text), value in zip(_CALIBRATION_BINS, values, strict=True)
        ]


_CALIBRATION_BINS = [
    (f"{i:02}", f"[{i / CALIBRATION_BINS:g}, {(i + 1) / CALIBRATION_BINS:g}{')' if i + 1 < CALIBRATION_BINS else ']'}")
    for i in range(CALIBRATION_BINS)
]


def quality_families(families: Families, model: str, labels: Labels, *, now: float) -> None:
    """Add how right predictions were over the windows; what cannot be told is absent."""
    reading, classes = labels.read(now=now), labels.classes
    for w, window in enumerate(labels.windows):
        families[metrics.WINDOW_LABELS].append(
            sample(metrics.WINDOW_LABELS, (model, window.text), int(reading.labels[w]))
        )
        for metric, statistic in _QUALITY.items():
            value = float(getattr(reading, statistic)[w])
            if not math.isnan(value):
                families[metric].append(sample(metric, (model, window.text), value))
        for metric, values in ((metrics.PRECISION, reading.precision[w]), (metrics.RECALL, reading.recall[w])):
            families[metric] += [
                sample(metric, (model, name, window.text), value)
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
