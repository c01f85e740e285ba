"""Alerts on latency, errors and on how fast the budgets of the objectives burn."""

from sidecar.alerting.rules import names
from sidecar.alerting.rules.alerts.common import alert
from sidecar.alerting.rules.recording.service import ERRORS_SLO, latency_slo
from sidecar.alerting.rules.rule import Alert, Group
from sidecar.alerting.rules.settings import Burn, Settings

_WHOSE = "model {{ $labels.model }} in namespace {{ $labels.namespace }}"


def groups(settings: Settings) -> list[Group]:
    """Return a group for what is bad now and one for the budgets."""
    return [
        Group(
            name="model-latency-and-errors",
            interval=settings.service.interval,
            comment=f"Too slow or too often wrong now. Fewer than {settings.service.min_predictions} "
            f"predictions in "
            f"{settings.service.window} say nothing: one slow or failed prediction of two is no reason to "
            f"act.",
            rules=[*_latency(settings), *_errors(settings)],
        ),
        Group(
            name="model-slo-burn",
            interval=settings.objectives.interval,
            comment="Several windows, several burn rates: the long window shows that it matters, the short "
            "one that it "
            "still goes on.",
            rules=_burns(settings),
        ),
    ]


def _latency(settings: Settings) -> list[Alert]:
    service = settings.service
    rules = []
    for name, percent, limit, advice in (
        (
            "HighP95Latency",
            95,
            service.p95_seconds,
            "Compare replicas and look for a recent release or more traffic.",
        ),
        (
            "CriticalP99Latency",
            99,
            service.p99_seconds,
            "A change of scale is asked for. Check that it was carried out and look for the slow replica.",
        ),
    ):
        rules += alert(
            name,
            settings,
            expr=(
                f"{names.latency_quantile(percent, service.window)} > {limit:g}\n"
                "and\n"
                f"  {names.latency_count(service.window)} >= {service.min_predictions}"
            ),
            summary=f"p{percent} latency of model {{{{ $labels.model }}}} is {{{{ $value | humanizeDuration }}}}",
            description=f"{percent} % of predictions of {_WHOSE} took up to {{{{ $value | humanizeDuration "
            f"}}}} over the "
            f"last {service.window}; the limit is {limit * 1000:g} ms. {advice}",
            dashboard=settings.links.service_dashboard,
        )
    return rules


def _errors(settings: Settings) -> list[Alert]:
    service = settings.service
    return alert(
        "HighErrorRate",
        settings,
        expr=(
            f"{names.error_ratio(service.window)} > {service.error_ratio:g}\n"
            "and\n"
            f"  {names.predictions(service.window)} >= {service.min_predictions}"
        ),
        summary="{{ $value | humanizePercentage }} of predictions of model {{ $labels.model }} fail",
        description=f"{{{{ $value | humanizePercentage }}}} of predictions of {_WHOSE} failed over the last "
        f"{service.window}; the limit is {service.error_ratio * 100:g} %. A rollback is asked for where this "
        f"alert "
        "has that action. Check the model server's log first.",
        dashboard=settings.links.service_dashboard,
    )


def _burns(settings: Settings) -> list[Alert]:
    rules = []
    for objective in settings.objectives.latency:
        promise = f"{objective.target * 100:g} % of predictions within {objective.seconds * 1000:g} ms"
        for burn in settings.objectives.burn:
            rules += _burn("LatencyBudgetBurn", settings, burn, latency_slo(objective), objective.target, promise)
    for burn in settings.objectives.burn:
        success = settings.objectives.success
        promise = f"{success * 100:g} % of predictions succeed"
        rules += _burn("ErrorBudgetBurn", settings, burn, ERRORS_SLO, success, promise)
    return rules


def _burn(name: str, settings: Settings, burn: Burn, slo: str, target: float, promise: str) -> list[Alert]:
    limit = f"{burn.factor:g} * {1 - target:.6g}"
    which = f'{{slo="{slo}"}}'
    return alert(
        name,
        settings,
        expr=(
            f"{names.slo_error_ratio(burn.long)}{which} > {limit}\n"
            "and\n"
            f"  {names.slo_error_ratio(burn.short)}{which} > {limit}\n"
            "and\n"
            f"  {names.slo_events(burn.long)}{which} >= {settings.objectives.min_predictions}"
        ),
        summary=f"Model {{{{ $labels.model }}}} burns its budget for {slo} more than {burn.factor:g} times too fast",
        description=f"Promised: {promise}. Of {_WHOSE}, {{{{ $value | humanizePercentage }}}} missed it over "
        f"the last "
        f"{burn.long}, and more than {burn.factor * (1 - target) * 100:.4g} % over the last {burn.short} "
        f"too. At this "
        f"rate the budget of a month is gone in {30 / burn.factor:.2g} days. See when it began and what was "
        f"released "
        "then.",
        dashboard=settings.links.service_dashboard,
        labels={"slo": slo, "long_window": burn.long, "short_window": burn.short},
        severity=burn.severity,
        for_=burn.for_,
    )
