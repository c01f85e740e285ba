"""How right predictions are, where labels come back: part of the dashboard of a service."""

from sidecar.alerting.rules import names
from sidecar.alerting.rules.settings import Settings
from sidecar.dashboards import links, look
from sidecar.dashboards.board import Section
from sidecar.dashboards.panels import About, Placed, lines
from sidecar.dashboards.promql import MODELS, Query, pick
from sidecar.exposition import label_metrics, sidecar_metrics

_MODEL = "{{namespace}} {{model}}"
_CLASS = "{{namespace}} {{model}} {{class}}"
_RATE = "[$__rate_interval]"


def section(settings: Settings) -> Section:
    """Return the section; its panels are empty where no labels come."""
    return Section(
        title="Labels",
        lines=[_right_or_moved(settings), _classes_and_probabilities(settings), _labels(settings)],
    )


def _right_or_moved(settings: Settings) -> list[Placed]:
    quality, drift = settings.quality, settings.drift
    accuracy = About(
        title="Accuracy",
        description=f"The share of labels that came in the last {quality.window} and are the class predicted. Labels "
        "come late: what is shown now was predicted before. Dashed: the limit of the alert.",
        unit="percentunit",
        decimals=1,
        steps=((None, look.LEVELS["significant"]), (quality.accuracy, look.NEUTRAL)),
        runbooks=links.runbook(settings.links, "ModelAccuracyLow"),
    )
    moved = About(
        title="Inputs that moved",
        description=f"How many inputs have a PSI of {drift.thresholds.significant:g} or more over "
        f"{drift.alert_window}. Accuracy falls and this rises: the inputs moved. Accuracy falls and this does not: the "
        "model got worse at the same inputs. This rises alone: the model copes.",
        unit="none",
        decimals=0,
    )
    psi = pick(names.psi(drift.alert_window), MODELS, 'role="input"')
    return [
        Placed(
            width=12,
            panel=lines(accuracy, Query(pick(names.accuracy(quality.window), MODELS), _MODEL), show_limits=True),
        ),
        Placed(
            width=12,
            panel=lines(
                moved,
                Query(f"sum by (namespace, model) ({psi} >= bool {drift.thresholds.significant:g})", _MODEL),
            ),
        ),
    ]


def _classes_and_probabilities(settings: Settings) -> list[Placed]:
    window = settings.quality.window
    classes = About(
        title="Precision and recall of each class",
        description=f"Over {window}. Precision: of the predictions of a class, the share that was right. Recall: of "
        "what was of the class, the share that had been predicted.",
        unit="percentunit",
        decimals=1,
    )
    probabilities = About(
        title="Brier score and calibration error",
        description=f"Over {window}; 0 is best. The Brier score is the mean squared difference of the probability and "
        "what came true. The calibration error is how far probabilities are from the share that came true, over ten "
        "bins: it alone rises where the model is too sure of itself.",
        unit="none",
        decimals=3,
    )
    return [
        Placed(
            width=12,
            panel=lines(
                classes,
                Query(pick(names.precision(window), MODELS), f"precision {_CLASS}"),
                Query(pick(names.recall(window), MODELS), f"recall {_CLASS}"),
            ),
        ),
        Placed(
            width=12,
            panel=lines(
                probabilities,
                Query(pick(names.brier_score(window), MODELS), f"Brier score {_MODEL}"),
                Query(pick(names.calibration_error(window), MODELS), f"calibration error {_MODEL}"),
            ),
        ),
    ]


def _labels(settings: Settings) -> list[Placed]:
    window = settings.quality.window
    coverage = About(
        title="Predictions that got a label",
        description=f"Of the predictions whose wait for a label ended in the last {window}, the share that got one. "
        "Where it is low or falls, the labels that come may not be like the others.",
        unit="percentunit",
        decimals=1,
    )
    rate = About(
        title="Labels a second",
        description="Labels that were joined to their prediction, and labels that were refused, by reason. "
        "unknown_id: the prediction was never seen here, came to another replica, or its time was over.",
        unit="cps",
    )
    waiting = About(
        title="Predictions that wait for a label",
        description="How many are kept, and how many a second were forgotten without a label: expired, as their time "
        "was over, or evicted by newer ones, as `labels.most` is too small.",
        unit="short",
    )
    refused = pick(sidecar_metrics.LABELS_REJECTED.name, 'namespace=~"$namespace"')
    return [
        Placed(
            width=8,
            panel=lines(coverage, Query(pick(names.label_coverage(window), MODELS), _MODEL)),
        ),
        Placed(
            width=8,
            panel=lines(
                rate,
                Query(f"sum by (namespace, model) (rate({pick(label_metrics.LABELS.name, MODELS)}{_RATE}))", _MODEL),
                Query(f"sum by (namespace, reason) (rate({refused}{_RATE}))", "refused {{namespace}} {{reason}}"),
            ),
        ),
        Placed(
            width=8,
            panel=lines(
                waiting,
                Query(
                    f"sum by (namespace, model) ({pick(label_metrics.LABEL_PENDING.name, MODELS)})", f"kept {_MODEL}"
                ),
                Query(
                    "sum by (namespace, model, reason) "
                    f"(rate({pick(label_metrics.LABEL_PREDICTIONS_UNLABELLED.name, MODELS)}{_RATE}))",
                    f"{{{{reason}}}} a second {_MODEL}",
                ),
            ),
        ),
    ]
