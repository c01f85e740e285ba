"""The product: every file of `rules/` and its text."""

from pathlib import Path
from typing import Any

import yaml

from sidecar.alerting.rules import alertmanager, progressive_delivery
from sidecar.alerting.rules.alerts import canary as canary_alerts
from sidecar.alerting.rules.alerts import drift as drift_alerts
from sidecar.alerting.rules.alerts import health as health_alerts
from sidecar.alerting.rules.alerts import quality as quality_alerts
from sidecar.alerting.rules.alerts import service as service_alerts
from sidecar.alerting.rules.recording import canary as canary_recording
from sidecar.alerting.rules.recording import drift as drift_recording
from sidecar.alerting.rules.recording import pod_gauges
from sidecar.alerting.rules.recording import quality as quality_recording
from sidecar.alerting.rules.recording import service as service_recording
from sidecar.alerting.rules.rule import Group, comment_lines, plain, render
from sidecar.alerting.rules.settings import Settings
from sidecar.exposition import model_metrics

GENERATED = "Written by `model-sidecar rules`; change the settings rather than this file (see README.md)."

_DRIFT_RECORDING = (
    "Drift of every feature over the whole fleet, from the bin counters of all replicas.\n"
    "The first groups are the only ones that read series of every replica. Each takes a slice of the "
    "fleet, by the last character of the address, so that none takes long; every replica is in one "
    "slice. All longer windows are added up from what they record.\n"
    "Record names read level:metric:operation; the README lists them."
)
_SERVICE_RECORDING = "Latency, errors and service level objectives of every model over the whole fleet."
_DRIFT_ALERTS = (
    "Alerts on drift. A level alone is not enough: PSI must also exceed what chance explains for the samples at hand."
)
_SERVICE_ALERTS = "Alerts on latency, errors and the budgets of the service level objectives."
_CANARY_RECORDING = (
    "A candidate against the stable version that serves beside it, from the same bin counters.\n"
    "Needs drift.recording.yml. "
    "Pods are told apart by a target label (canary.label of the settings). Where none has it, there is no series."
)
_CANARY_ALERTS = "Alerts on a candidate that differs from stable in inputs, predictions or errors."
_ANALYSIS_TEMPLATE = (
    "Argo Rollouts: what to ask before a candidate gets more traffic. Without enough events a measurement is "
    "inconclusive, and too many of those pause the rollout."
)
_METRIC_TEMPLATES = (
    "Flagger: what to ask before a candidate gets more traffic. Without enough events there is no value, and Flagger "
    "goes no further."
)
_CANARY = "Flagger: a Canary that asks it. Copy the metrics to yours; `model` is the name of the model in the metrics."
_QUALITY_RECORDING = "How right predictions are, by the labels that come back, over the whole fleet."
_QUALITY_ALERTS = "The alert on accuracy. It needs labels, and is silent without."
_HEALTH_ALERTS = "Alerts on the sidecar itself."
_POD_GAUGES = (
    "INSTEAD OF ../drift.recording.yml, never beside it: the same records from the drift gauges of "
    f"each replica, for sites that do not store {model_metrics.BIN_OBSERVATIONS.name} and "
    f"{model_metrics.BIN_REFERENCE_RATIO.name}.\n"
    "A mean over replicas weighted by samples: never less than drift of the fleet, often a little more."
)
_ALERTMANAGER = (
    "Alertmanager: alerts by their action to a webhook, people told of everything.\n"
    "Put in your own URLs and the file with the bearer token. Actions repeat a minute after the "
    "cooldown of their receiver: a notification that comes during the cooldown would be wasted."
)
_CUSTOM_RESOURCE = (
    "The same routes for the Prometheus operator. It adds a matcher on the namespace of this object to "
    "the route and to both sides of every inhibition, so put one into each namespace that has models; "
    "every alert keeps the label namespace for this reason. The bearer token is in a Secret of that "
    "namespace."
)


def rule_groups(settings: Settings) -> list[Group]:
    """Return all groups of the default set."""
    return [group for _, groups in _rule_files(settings).values() for group in groups]


def product(settings: Settings) -> dict[Path, str]:
    """Return the text of every file by its path below the output directory."""
    texts = {
        Path(name): render(groups, comment=f"{comment}\n{GENERATED}")
        for name, (comment, groups) in _rule_files(settings).items()
    }
    texts[Path("alternatives/drift.pod-gauges.recording.yml")] = render(
        pod_gauges.groups(settings.drift), comment=f"{_POD_GAUGES}\n{GENERATED}"
    )
    texts[Path("alertmanager/alertmanager.yml")] = _yaml(_ALERTMANAGER, alertmanager.configuration(settings.routing))
    texts[Path("alertmanager/alertmanagerconfig.yml")] = _yaml(
        _CUSTOM_RESOURCE, alertmanager.custom_resource(settings.routing)
    )
    delivery = Path("progressive-delivery")
    texts[delivery / "argo-rollouts.analysis-template.yml"] = _yaml(
        _ANALYSIS_TEMPLATE, progressive_delivery.analysis_template(settings)
    )
    texts[delivery / "flagger.metric-templates.yml"] = _yaml(
        _METRIC_TEMPLATES, *progressive_delivery.metric_templates(settings)
    )
    texts[delivery / "flagger.canary.yml"] = _yaml(_CANARY, progressive_delivery.canary(settings))
    return texts


def prometheus_rule(settings: Settings) -> str:
    """Return the default set as a PrometheusRule object of the Prometheus operator."""
    return _yaml(
        "All rules of model-sidecar for the Prometheus operator.",
        {
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "PrometheusRule",
            "metadata": {"name": "model-sidecar"},
            "spec": {"groups": plain(rule_groups(settings))},
        },
    )


def _rule_files(settings: Settings) -> dict[str, tuple[str, list[Group]]]:
    return {
        "drift.recording.yml": (_DRIFT_RECORDING, drift_recording.groups(settings.drift)),
        "service.recording.yml": (_SERVICE_RECORDING, service_recording.groups(settings)),
        "canary.recording.yml": (_CANARY_RECORDING, canary_recording.groups(settings)),
        "quality.recording.yml": (_QUALITY_RECORDING, quality_recording.groups(settings.quality)),
        "drift.alerts.yml": (_DRIFT_ALERTS, drift_alerts.groups(settings)),
        "service.alerts.yml": (_SERVICE_ALERTS, service_alerts.groups(settings)),
        "canary.alerts.yml": (_CANARY_ALERTS, canary_alerts.groups(settings)),
        "quality.alerts.yml": (_QUALITY_ALERTS, quality_alerts.groups(settings)),
        "health.alerts.yml": (_HEALTH_ALERTS, health_alerts.groups(settings)),
    }


class _Dumper(yaml.SafeDumper):
    """Indent lists below their key, as people write them."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, indentless=False)

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def _yaml(comment: str, *documents: dict[str, Any]) -> str:
    header = "\n".join(comment_lines(f"{comment}\n{GENERATED}"))
    texts = [yaml.dump(content, Dumper=_Dumper, sort_keys=False, width=110) for content in documents]
    return header + "\n" + "---\n".join(texts)
