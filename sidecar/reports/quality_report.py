"""The quality report: how right the predictions were whose labels came."""

from sidecar.monitor.label_join import Labels
from sidecar.monitor.monitor import Monitor
from sidecar.reports.report import Count, Report, Share, Time, finite_or_none, utc_text


class Predictions(Report, frozen=True):
    """Count the predictions that were kept for their labels, and what became of them."""

    kept: Count
    pending: Count
    expired: Count
    evicted: Count
    repeated: Count


class ClassQuality(Report, frozen=True):
    """Give the share of predictions of a class that were right, and of the class that was predicted."""

    precision: Share | None
    recall: Share | None


class WindowQuality(Report, frozen=True):
    """Tell how right predictions were whose labels came in one window."""

    labels: Count
    coverage: Share | None
    accuracy: Share | None
    classes: dict[str, ClassQuality]
    brier_score: Share | None
    calibration_error: Share | None
    mean_absolute_error: float | None
    root_mean_square_error: float | None


class ModelQuality(Report, frozen=True):
    """Tell how right the predictions of one model were."""

    predictions: Predictions
    positive: str | None
    min_labels: Count
    windows: dict[str, WindowQuality]


class Quality(Report, frozen=True):
    """Tell how right the predictions of each model were; null for models that take no labels."""

    timestamp: Time
    models: dict[str, ModelQuality | None]


def quality_report(monitor: Monitor, *, now: float) -> Quality:
    """Report how right the predictions were whose labels came in each window; None for models that take no labels."""
    monitor.flush(now=now)
    models = {
        name: None if model.labels is None else _model_quality(model.labels, now=now)
        for name, model in monitor.models.items()
    }
    return Quality(timestamp=utc_text(monitor.wall(now)), models=models)


def _model_quality(labels: Labels, *, now: float) -> ModelQuality:
    reading, classes = labels.read(now=now), labels.classes
    return ModelQuality(
        predictions=Predictions(
            kept=labels.kept,
            pending=labels.pending.waiting,
            expired=labels.expired,
            evicted=labels.evicted,
            repeated=labels.repeated,
        ),
        positive=labels.config.positive,
        min_labels=labels.config.min_labels,
        windows={
            window.text: WindowQuality(
                labels=int(reading.labels[w]),
                coverage=finite_or_none(reading.coverage[w]),
                accuracy=finite_or_none(reading.accuracy[w]),
                classes={
                    name: ClassQuality(
                        precision=finite_or_none(reading.precision[w, c]), recall=finite_or_none(reading.recall[w, c])
                    )
                    for c, name in enumerate(classes)
                },
                brier_score=finite_or_none(reading.brier_score[w]),
                calibration_error=finite_or_none(reading.calibration_error[w]),
                mean_absolute_error=finite_or_none(reading.mean_absolute_error[w]),
                root_mean_square_error=finite_or_none(reading.root_mean_square_error[w]),
            )
            for w, window in enumerate(labels.windows)
        },
    )
