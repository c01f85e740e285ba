"""Recording rules for latency, errors and service level objectives of the whole fleet."""

from sidecar.alerting.rules import names
from sidecar.alerting.rules.duration import just_under
from sidecar.alerting.rules.names import MODEL
from sidecar.alerting.rules.rule import Group, Record
from sidecar.alerting.rules.settings import LatencyObjective, Objectives, Settings
from sidecar.base.duration import milliseconds
from sidecar.exposition import model_metrics

ERRORS_SLO = "errors"
"""Value of the label `slo` for the objective on failed predictions."""


def groups(settings: Settings) -> list[Group]:
    """Return the groups for what is measured now and for the objectives."""
    return [_service_group(settings), _events_group(settings.objectives), _windows_group(settings.objectives)]


def latency_slo(objective: LatencyObjective) -> str:
    """Name a latency objective in the label `slo`.

    >>> latency_slo(LatencyObjective(target=0.95, seconds=0.1))
    'latency_100ms'
    """
    return f"latency_{objective.seconds * 1000:g}ms"


def _service_group(settings: Settings) -> Group:
    window, drift_window = settings.service.window, settings.drift.alert_window
    predictions, errors = model_metrics.PREDICTIONS.name, model_metrics.PREDICTION_ERRORS.name
    rules = [
        Record(
            record=names.latency_buckets(window),
            expr=f"sum by ({MODEL}, le) (rate({model_metrics.LATENCY.name}_bucket[{window}]))",
        ),
        *(
            Record(
                record=names.latency_quantile(percent, window),
                expr=f"histogram_quantile({percent / 100:g}, {names.latency_buckets(window)})",
            )
            for percent in (50, 95, 99)
        ),
        Record(
            record=names.latency_count(window),
            expr=f"sum by ({MODEL}) (increase({model_metrics.LATENCY.name}_count[{window}]))",
        ),
        Record(record=names.predictions(window), expr=f"sum by ({MODEL}) (increase({predictions}[{window}]))"),
        Record(
            record=names.error_ratio(window),
            expr=f"sum by ({MODEL}) (increase({errors}[{window}]))\n/\n  ({names.predictions(window)} > 0)",
            comment="Absent without predictions.",
        ),
    ]
    if drift_window != window:
        rules.append(
            Record(
                record=names.predictions(drift_window),
                expr=f"sum by ({MODEL}) (increase({predictions}[{drift_window}]))",
            )
        )
    return Group(
        name="model-service",
        interval=settings.service.interval,
        comment="Latency and errors now.",
        rules=rules,
    )


def _events_group(objectives: Objectives) -> Group:
    window = objectives.windows[0]
    rules = []
    for objective in objectives.latency:
        labels = {"slo": latency_slo(objective)}
        count = f"sum by ({MODEL}) (increase({model_metrics.LATENCY.name}_count[{window}]))"
        bucket = f"{model_metrics.LATENCY.name}_bucket{{{_le(objective.seconds)}}}"
        good = f"sum by ({MODEL}) (increase({bucket}[{window}]))"
        rules += [
            Record(
                record=names.slo_events(window),
                labels=labels,
                expr=count,
                comment=f"{objective.target * 100:g} % of predictions take at most {objective.seconds:g} s.",
            ),
            Record(
                record=names.slo_errors(window),
                labels=labels,
                expr=f"clamp_min(\n  {count}\n  - {good},\n  0\n)",
            ),
        ]
    labels = {"slo": ERRORS_SLO}
    rules += [
        Record(
            record=names.slo_events(window),
            labels=labels,
            expr=f"sum by ({MODEL}) (increase({model_metrics.PREDICTIONS.name}[{window}]))",
            comment=f"{objectives.success * 100:g} % of predictions succeed.",
        ),
        Record(
            record=names.slo_errors(window),
            labels=labels,
            expr=f"sum by ({MODEL}) (increase({model_metrics.PREDICTION_ERRORS.name}[{window}]))",
        ),
    ]
    return Group(
        name="model-slo-events",
        interval=objectives.interval,
        comment="Events that an objective counts and those that miss it. Longer windows are added up from these.",
        rules=rules,
    )


def _windows_group(objectives: Objectives) -> Group:
    base = objectives.windows[0]
    overlap = milliseconds(base) // milliseconds(objectives.interval)
    rules = [_ratio(base)]
    for window in objectives.windows[1:]:
        rules += [
            Record(record=name(window), expr=f"sum_over_time({name(base)}[{just_under(window)}]) / {overlap}")
            for name in (names.slo_events, names.slo_errors)
        ]
        rules.append(_ratio(window))
    return Group(
        name="model-slo-windows",
        interval=objectives.interval,
        comment=f"Every event is in {overlap} of the overlapping counts of {base}, one each "
        f"{objectives.interval}. The "
        "ranges are a hair short, so that they hold the same number of samples whether or not their left end "
        "is "
        "part of them.",
        rules=rules,
    )


def _ratio(window: str) -> Record:
    return Record(
        record=names.slo_error_ratio(window),
        expr=f"{names.slo_errors(window)} / ({names.slo_events(window)} > 0)",
    )


def _le(seconds: float) -> str:
    # Prometheus 3 writes le="1.0" where Prometheus 2 wrote le="1", so whole numbers must match both.
    return f'le=~"{seconds:g}([.]0)?"' if seconds == int(seconds) else f'le="{seconds:g}"'
