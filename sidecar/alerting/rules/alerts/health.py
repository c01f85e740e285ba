"""Alerts on the sidecar itself: what is lost, stale, missing or in disagreement."""

import json
from dataclasses import dataclass

from sidecar.alerting.rules import names
from sidecar.alerting.rules.alerts.common import alert
from sidecar.alerting.rules.names import KEY, MODEL, REFERENCE
from sidecar.alerting.rules.recording.drift import TOLERANCE
from sidecar.alerting.rules.rule import Group
from sidecar.alerting.rules.settings import Settings
from sidecar.base.duration import milliseconds
from sidecar.exposition import model_metrics, sidecar_metrics
from sidecar.exposition.metric import Metric

_REPLICA = "namespace, job, instance, pod"
_WHERE = "{{ $labels.instance }} in namespace {{ $labels.namespace }}"
_MODEL = "model {{ $labels.model }} in namespace {{ $labels.namespace }}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Check:
    name: str
    expr: str
    summary: str
    description: str
    variables: tuple[str, ...] = ("namespace",)


def groups(settings: Settings) -> list[Group]:
    """Return the group of alerts on the sidecar's own health."""
    checks = [
        _down(settings),
        _no_events(settings),
        *_losses(settings),
        _reference_missing(),
        _reference_stale(settings),
        _reference_mismatch(),
        _drift_missing(settings),
        _labels_hidden(),
        _reload_failed(),
        _storage_unhealthy(),
    ]
    return [
        Group(
            name="model-sidecar-health",
            interval=settings.health.interval,
            rules=[
                rule
                for check in checks
                for rule in alert(
                    check.name,
                    settings,
                    expr=check.expr,
                    summary=check.summary,
                    description=check.description,
                    dashboard=settings.links.health_dashboard,
                    variables=check.variables,
                )
            ],
        )
    ]


def _down(settings: Settings) -> _Check:
    return _Check(
        name="ModelSidecarDown",
        expr=f"up{{job=~{json.dumps(settings.health.job)}}} == 0",
        summary="Sidecar {{ $labels.instance }} cannot be scraped",
        description=f"Prometheus gets no answer from the sidecar at {_WHERE}: its model is not watched. "
        "Look at the state and the last log lines of the container.",
    )


def _no_events(settings: Settings) -> _Check:
    health, events = settings.health, sidecar_metrics.EVENTS.name
    recent = f"increase({events}[{health.quiet_window}])"
    before = f"increase({events}[{health.history_window}] offset {health.quiet_window})"
    return _Check(
        name="ModelSidecarNoEvents",
        expr=(
            f"sum by ({_REPLICA}) ({recent}) == 0\n"
            "and (\n"
            f"  sum by ({_REPLICA}) ({before}) > 0\n"
            "or on (namespace, job)\n"
            f"  sum by (namespace, job) ({recent}) > 0\n"
            ")"
        ),
        summary="Sidecar {{ $labels.instance }} gets no events",
        description=f"The sidecar at {_WHERE} had no event for {health.quiet_window}, though other replicas "
        f"of its job "
        "have, or it had before. Check that its model server still gets requests and still sends events.",
    )


def _losses(settings: Settings) -> list[_Check]:
    window = settings.health.loss_window
    events, rejected = sidecar_metrics.EVENTS.name, sidecar_metrics.EVENTS_REJECTED.name
    dropped, unknown = sidecar_metrics.EVENTS_DROPPED.name, sidecar_metrics.UNKNOWN_FEATURES.name
    return [
        _Check(
            name="ModelSidecarEventsDropped",
            expr=f"sum by ({_REPLICA}, reason) (increase({dropped}[{window}])) > 0",
            summary="Sidecar {{ $labels.instance }} drops events: {{ $labels.reason }}",
            description=f'The sidecar at {_WHERE} dropped about {{{{ $value | printf "%.0f" }}}} events or '
            f"bodies in "
            f"{window} ({{{{ $labels.reason }}}}): drift and rates are computed from the rest. Send batches "
            f"rather than "
            "single events, or give the sidecar more CPU.",
        ),
        _Check(
            name="ModelSidecarEventsRejected",
            expr=(
                f"sum by ({_REPLICA}, reason) (increase({rejected}[{window}]))\n"
                f"/ on ({_REPLICA}) group_left () (\n"
                f"    sum by ({_REPLICA}) (increase({events}[{window}]))\n"
                f"  + sum by ({_REPLICA}) (increase({rejected}[{window}]))\n"
                ")\n"
                f"> {settings.health.rejected_ratio:g}"
            ),
            summary="Sidecar {{ $labels.instance }} refuses events: {{ $labels.reason }}",
            description=f"{{{{ $value | humanizePercentage }}}} of the events sent to the sidecar at "
            f"{_WHERE} in {window} "
            f"were refused ({{{{ $labels.reason }}}}); the limit is {settings.health.rejected_ratio * 100:g} "
            f"%. The "
            "reply to the sender names index, field and reason of the first ones.",
        ),
        _Check(
            name="ModelSidecarUnknownFeatures",
            expr=f"sum by ({MODEL}) (increase({unknown}[{window}])) > 0",
            summary="Model {{ $labels.model }} is sent features that its reference does not know",
            description=f'About {{{{ $value | printf "%.0f" }}}} values sent for {_MODEL} in {window} were '
            f"ignored: the "
            "reference has no such feature. Build a new reference if the model has new inputs, else correct "
            "the sender.",
            variables=("namespace", "model"),
        ),
    ]


def _reference_missing() -> _Check:
    return _Check(
        name="ModelSidecarReferenceMissing",
        expr=(
            f"count by ({MODEL}) (\n"
            f"  {model_metrics.PREDICTIONS.name}\n"
            "  unless on (namespace, job, instance, model)\n"
            f"    {model_metrics.REFERENCE_INFO.name}\n"
            ")"
        ),
        summary="{{ $value }} replicas of model {{ $labels.model }} have no reference",
        description=f"{{{{ $value }}}} replicas of {_MODEL} count predictions but have nothing to compare "
        f"them with, so "
        "their drift is unknown. Check the path of the reference in the configuration, or how far learning "
        "has come.",
        variables=("namespace", "model"),
    )


def _reference_stale(settings: Settings) -> _Check:
    created, age = model_metrics.REFERENCE_CREATED.name, settings.health.reference_max_age
    return _Check(
        name="ModelSidecarReferenceStale",
        expr=f"time() - max by ({REFERENCE}) ({created}) > {milliseconds(age) // 1000}",
        summary="The reference of model {{ $labels.model }} is {{ $value | humanizeDuration }} old",
        description=f"Reference {{{{ $labels.reference }}}} of {_MODEL} was built {{{{ $value | "
        f"humanizeDuration }}}} ago; "
        f"the limit is {age}. Build one from recent data that is known to be good, or raise the limit.",
        variables=("namespace", "model"),
    )


def _reference_mismatch() -> _Check:
    return _Check(
        name="ModelSidecarReferenceMismatch",
        expr=(
            f"count by ({MODEL}) (count by ({REFERENCE}) ({model_metrics.REFERENCE_INFO.name})) > 1\n"
            "or\n"
            f"abs(sum by ({KEY}) ({names.REFERENCE_ANY}) - 1) >= {TOLERANCE}"
        ),
        summary="Replicas of model {{ $labels.model }} disagree on their reference",
        description=f"Replicas of {_MODEL} compare with different references"
        "{{ if $labels.feature }} (shares of {{ $labels.feature }} in {{ $labels.reference }} do not add up "
        "to 1, so its "
        "drift is left out){{ else }} ({{ $value }} at once){{ end }}. Expected while a new reference rolls "
        "out; "
        "otherwise give every replica the same file.",
        variables=("namespace", "model"),
    )


def _drift_missing(settings: Settings) -> _Check:
    window, least = settings.drift.alert_window, settings.drift.min_samples
    seen, samples = names.observations(window), names.REFERENCE_SAMPLES
    return _Check(
        name="ModelSidecarDriftMissing",
        expr=(
            "(\n"
            f"  {seen} >= {least}\n"
            f"  and on ({REFERENCE}) {samples}\n"
            f"  unless on ({KEY}) {names.psi(window)}\n"
            ")\n"
            "or\n"
            "(\n"
            f"  {names.predictions(window)} >= {least}\n"
            f"  and on ({MODEL}) {samples}\n"
            f"  unless on ({MODEL}) {seen}\n"
            ")"
        ),
        summary="Drift of model {{ $labels.model }} is not computed",
        description=f"{{{{ $value | humanize }}}} events of {_MODEL} in {window} are enough, there is a "
        f"reference, and yet "
        "there is no drift{{ if $labels.feature }} of {{ $labels.feature }}{{ end }}: no drift alert can "
        "fire. "
        "Look for bin series dropped on the way to Prometheus, and for rules that fail.",
        variables=("namespace", "model"),
    )


_CARRIERS: dict[Metric, tuple[str, ...]] = {
    model_metrics.PREDICTIONS: ("model",),
    model_metrics.REFERENCE_INFO: ("reference", "source", "model_version"),
    model_metrics.SIGNIFICANCE_FACTOR: ("role", "feature"),
    model_metrics.WINDOW_SAMPLES: ("window",),
    model_metrics.BIN_REFERENCE_RATIO: ("bin", "range"),
    sidecar_metrics.EVENTS: ("transport",),
    sidecar_metrics.EVENTS_REJECTED: ("reason",),
}
"""Labels that rules and dashboards read, each looked for on a metric that always has it."""


def _labels_hidden() -> _Check:
    where = "namespace, job"
    hidden = [
        f'label_replace(count by ({where}) ({metric.name}{{exported_{label}!=""}}), "label", "{label}", "", "")'
        for metric, labels in _CARRIERS.items()
        for label in labels
    ]
    roles = f'{model_metrics.SIGNIFICANCE_FACTOR.name}{{role!~"input|output", exported_role=""}}'
    hidden.append(f'label_replace(count by ({where}) ({roles}), "label", "role", "", "")')
    return _Check(
        name="ModelSidecarLabelsHidden",
        expr="\nor\n".join(hidden),
        summary="Labels of the targets of {{ $labels.job }} hide the label {{ $labels.label }} of the sidecar",
        description="{{ $value }} series of job {{ $labels.job }} in namespace {{ $labels.namespace }} have the label "
        "{{ $labels.label }} of their target instead of the sidecar's own: rules look at the wrong model or feature, "
        "or at none, and alerts may stay silent. Set honor_labels: true (honorLabels in a PodMonitor), or give the "
        "target label another name.",
    )


def _reload_failed() -> _Check:
    return _Check(
        name="ModelSidecarReloadFailed",
        expr=f"{sidecar_metrics.CONFIG_RELOAD_SUCCESSFUL.name} == 0",
        summary="Sidecar {{ $labels.instance }} could not load its configuration",
        description=f"The sidecar at {_WHERE} refused its new configuration or reference and goes on with "
        f"the old one. "
        "Its log names file, key and value.",
    )


def _storage_unhealthy() -> _Check:
    return _Check(
        name="ModelSidecarStorageUnhealthy",
        expr=f"{sidecar_metrics.STORAGE_HEALTHY.name} == 0",
        summary="Sidecar {{ $labels.instance }} cannot keep its counts in files",
        description=f"The sidecar at {_WHERE} goes on counting in memory, but a crash now would begin its windows "
        "and a learned reference anew. Its log and /-/ready say why.",
    )
