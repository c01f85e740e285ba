"""Recording rules for how right predictions are, by the labels that come back, over the whole fleet."""

from sidecar.alerting.rules import names
from sidecar.alerting.rules.names import MODEL
from sidecar.alerting.rules.rule import Group, Record
from sidecar.alerting.rules.settings import Quality
from sidecar.config import OTHER_CLASS
from sidecar.exposition import label_metrics
from sidecar.exposition.metric import Metric

_CELL = f"{MODEL}, predicted, actual"
_READY = f"max without (window) ({label_metrics.LABEL_COVERAGE.name})"


def groups(settings: Quality) -> list[Group]:
    """Return the group. All of it is absent where no labels come."""
    window = settings.window
    return [
        Group(
            name="model-quality",
            interval=settings.interval,
            comment="Statistics of the labels that came in the window, exact over the fleet: sums of counters, then "
            "the formula. Absent where no labels come.",
            rules=[*_classes(window), *_probabilities(window), *_numbers(window), *_coverage(window)],
        )
    ]


def _classes(window: str) -> list[Record]:
    """Return the records of predictions that are a class."""
    cells, hits = names.label_outcomes(window), names.label_hits(window)
    return [
        Record(record=cells, expr=_increase(label_metrics.LABEL_OUTCOMES, window, by=_CELL)),
        Record(record=names.labels_compared(window), expr=_increase(label_metrics.LABELS_COMPARED, window)),
        Record(
            record=names.accuracy(window),
            expr=f"{_increase(label_metrics.LABELS_CORRECT, window)}\n/\n  ({names.labels_compared(window)} > 0)",
        ),
        Record(
            record=hits,
            expr=f"{_as_class(cells, 'predicted')}\nand on ({_CELL}, class)\n  {_as_class(cells, 'actual')}",
            comment="Where the class predicted is the actual one.",
        ),
        *(
            Record(
                record=record,
                expr=(f"sum by ({MODEL}, class) ({hits})\n/\n  (sum by ({MODEL}, class) ({_as_class(cells, of)}) > 0)"),
            )
            for record, of in ((names.precision(window), "predicted"), (names.recall(window), "actual"))
        ),
    ]


def _probabilities(window: str) -> list[Record]:
    """Return the records of predictions with a probability."""
    return [
        Record(
            record=names.brier_score(window),
            expr=_mean(label_metrics.CALIBRATION_SQUARED_ERROR, label_metrics.CALIBRATION_OBSERVATIONS, window),
        ),
        Record(
            record=names.calibration_error(window),
            expr=(
                f"sum by ({MODEL}) (\n  abs(\n"
                f"    {_increase(label_metrics.CALIBRATION_PROBABILITY, window, by=f'{MODEL}, bin')}\n"
                f"    - {_increase(label_metrics.CALIBRATION_CAME_TRUE, window, by=f'{MODEL}, bin')}\n"
                f"  )\n)\n/\n  ({_increase(label_metrics.CALIBRATION_OBSERVATIONS, window)} > 0)"
            ),
        ),
    ]


def _numbers(window: str) -> list[Record]:
    """Return the records of predictions that are a number."""
    return [
        Record(
            record=names.mean_absolute_error(window),
            expr=_mean(label_metrics.ABSOLUTE_ERROR, label_metrics.DIFFERENCES, window),
        ),
        Record(
            record=names.root_mean_square_error(window),
            expr=(
                f"sqrt(\n  {_increase(label_metrics.SQUARED_ERROR, window)}\n  /\n"
                f"    ({_increase(label_metrics.DIFFERENCES, window)} > 0)\n)"
            ),
        ),
    ]


def _coverage(window: str) -> list[Record]:
    """Return the records of how many predictions got a label."""
    labels, unlabelled = names.labels(window), label_metrics.LABEL_PREDICTIONS_UNLABELLED.name
    return [
        Record(
            record=labels,
            expr=f"sum by ({MODEL}) (\n  increase({label_metrics.LABELS.name}[{window}]) and {_READY}\n)",
            comment="Of replicas whose first predictions have had their time: before, a replica knows only of "
            "those that got a label.",
        ),
        Record(
            record=names.label_coverage(window),
            expr=(
                f"{labels}\n/\n  (\n    {labels}\n    + sum by ({MODEL}) (\n"
                f"        sum without (reason) (increase({unlabelled}[{window}]))\n"
                f"        and {_READY}\n      )\n    > 0\n  )"
            ),
            comment="Of the predictions whose wait for a label ended in the window, the share that got one.",
        ),
    ]


def _increase(metric: Metric, window: str, *, by: str = MODEL) -> str:
    return f"sum by ({by}) (increase({metric.name}[{window}]))"


def _mean(total: Metric, observations: Metric, window: str) -> str:
    return f"{_increase(total, window)}\n/\n  ({_increase(observations, window)} > 0)"


def _as_class(cells: str, label: str) -> str:
    """Put the class that is predicted, or actual, in the label `class`."""
    return f'label_replace({cells}{{{label}!="{OTHER_CLASS}"}}, "class", "$1", "{label}", "(.*)")'
