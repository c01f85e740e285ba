"""Routing by action, for Alertmanager itself and as an AlertmanagerConfig object: one table for both."""

from dataclasses import dataclass
from typing import Any

from sidecar.alerting.rules.duration import longer
from sidecar.alerting.rules.settings import Routing, Webhook

GROUP_BY = ["namespace", "model"]
_FEATURE = ["namespace", "model", "role", "feature"]


@dataclass(frozen=True, slots=True)
class Inhibition:
    """Silence the target alerts while a source alert fires for the same thing."""

    source: str
    target: str
    equal: list[str]


INHIBITIONS = (
    Inhibition("Rollback(Data|Prediction)Drift", "(Critical|Significant|Moderate)(Data|Prediction)Drift", _FEATURE),
    Inhibition("Critical(Data|Prediction)Drift", "(Significant|Moderate)(Data|Prediction)Drift", _FEATURE),
    Inhibition("Significant(Data|Prediction)Drift", "Moderate(Data|Prediction)Drift", _FEATURE),
    Inhibition("CriticalP99Latency", "HighP95Latency|LatencyBudgetBurn", GROUP_BY),
    Inhibition("HighErrorRate", "ErrorBudgetBurn", GROUP_BY),
)
"""The graver over the lesser, by name: without names, alerts that lack the labels in `equal` would match."""


def configuration(routing: Routing) -> dict[str, Any]:
    """Return a complete Alertmanager configuration."""
    return {
        "route": {
            "receiver": "alert",
            "group_by": GROUP_BY,
            "group_wait": routing.group_wait,
            "group_interval": routing.group_interval,
            "repeat_interval": routing.repeat_interval,
            "routes": [
                *(
                    {
                        "receiver": _receiver_name(action),
                        "matchers": [f'action="{action}"'],
                        "group_wait": routing.action_group_wait,
                        "repeat_interval": _repeat_interval(routing),
                        "continue": True,
                    }
                    for action in _webhooks(routing)
                    if action != "alert"
                ),
                {"receiver": "alert"},
            ],
        },
        "inhibit_rules": [
            {
                "source_matchers": [f'alertname=~"{rule.source}"'],
                "target_matchers": [f'alertname=~"{rule.target}"'],
                "equal": rule.equal,
            }
            for rule in INHIBITIONS
        ],
        "receivers": [
            {
                "name": _receiver_name(action),
                "webhook_configs": [
                    {
                        "url": webhook.url,
                        "send_resolved": True,
                        "http_config": {
                            "authorization": {"type": "Bearer", "credentials_file": webhook.credentials_file}
                        },
                    }
                ],
            }
            for action, webhook in _webhooks(routing).items()
        ],
    }


def custom_resource(routing: Routing) -> dict[str, Any]:
    """Return the same routes as an AlertmanagerConfig object of the Prometheus operator."""
    return {
        "apiVersion": "monitoring.coreos.com/v1alpha1",
        "kind": "AlertmanagerConfig",
        "metadata": {"name": "model-sidecar"},
        "spec": {
            "route": {
                "receiver": "alert",
                "groupBy": GROUP_BY,
                "groupWait": routing.group_wait,
                "groupInterval": routing.group_interval,
                "repeatInterval": routing.repeat_interval,
                "routes": [
                    *(
                        {
                            "receiver": _receiver_name(action),
                            "matchers": [_matcher("action", "=", action)],
                            "groupWait": routing.action_group_wait,
                            "repeatInterval": _repeat_interval(routing),
                            "continue": True,
                        }
                        for action in _webhooks(routing)
                        if action != "alert"
                    ),
                    {"receiver": "alert"},
                ],
            },
            "inhibitRules": [
                {
                    "sourceMatch": [_matcher("alertname", "=~", rule.source)],
                    "targetMatch": [_matcher("alertname", "=~", rule.target)],
                    "equal": rule.equal,
                }
                for rule in INHIBITIONS
            ],
            "receivers": [
                {
                    "name": _receiver_name(action),
                    "webhookConfigs": [
                        {
                            "url": webhook.url,
                            "sendResolved": True,
                            "httpConfig": {
                                "authorization": {
                                    "type": "Bearer",
                                    "credentials": {"name": routing.secret_name, "key": routing.secret_key},
                                }
                            },
                        }
                    ],
                }
                for action, webhook in _webhooks(routing).items()
            ],
        },
    }


def _webhooks(routing: Routing) -> dict[str, Webhook]:
    return {"rollback": routing.rollback, "scale_down": routing.scale_down, "alert": routing.alert}


def _receiver_name(action: str) -> str:
    return action.replace("_", "-")


def _repeat_interval(routing: Routing) -> str:
    return longer(routing.cooldown, by="1m")


def _matcher(name: str, kind: str, value: str) -> dict[str, str]:
    return {"name": name, "matchType": kind, "value": value}
