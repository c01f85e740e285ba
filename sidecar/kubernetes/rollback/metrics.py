"""The catalogue of what the receiver exports, and the values.

The documentation is tested against this table. Names are never changed; new ones are added.
"""

import platform
from collections import defaultdict
from itertools import product

from prometheus_client import CollectorRegistry, ProcessCollector

from sidecar import __version__
from sidecar.exposition.metric import Metric
from sidecar.exposition.negotiation import OPENMETRICS_TYPE, TEXT_TYPE, prefers_openmetrics, process_families
from sidecar.exposition.sidecar_metrics import BUILD_INFO, CONNECTIONS_REFUSED
from sidecar.exposition.text import header, number, prefix
from sidecar.kubernetes.rollback.outcome import Outcome
from sidecar.kubernetes.rollback.policy import ACTIONS, Rollback

NOTIFICATIONS = Metric(
    "model_rollback_notifications_total", "counter", ("code",), "Notifications answered, by HTTP status."
)
MALFORMED_ALERTS = Metric(
    "model_rollback_malformed_alerts_total", "counter", (), "Alerts in notifications that could not be used."
)
TRUNCATED_ALERTS = Metric(
    "model_rollback_truncated_alerts_total",
    "counter",
    (),
    "Alerts that Alertmanager left out of notifications, by its max_alerts.",
)
DECISIONS = Metric(
    "model_rollback_decisions_total",
    "counter",
    ("action", "outcome"),
    "Alerts decided on; the action is none where no policy matched.",
)
LAST_ACTION = Metric(
    "model_rollback_last_action_timestamp_seconds",
    "gauge",
    ("policy", "action"),
    "When this process last carried out an action, Unix time. Absent before the first.",
)
MODEL_LAST_ACTION = Metric(
    "model_rollback_model_last_action_timestamp_seconds",
    "gauge",
    ("model_namespace", "model", "action", "outcome"),
    "When this process last acted on the workload of a model, or as a dry run said that it would, Unix time. "
    "Absent before the first.",
)
COOLDOWN = Metric(
    "model_rollback_policy_cooldown_seconds",
    "gauge",
    ("policy", "action"),
    "How long a workload is left alone after an action of a policy.",
)
KUBERNETES_REQUESTS = Metric(
    "model_rollback_kubernetes_requests_total",
    "counter",
    ("verb", "resource", "result"),
    "Requests to the Kubernetes API. Absent before the first.",
)
EVENT_FAILURES = Metric(
    "model_rollback_event_failures_total", "counter", (), "Kubernetes Events that could not be written."
)
POLICIES = Metric("model_rollback_policies", "gauge", ("mode",), "Policies loaded, by what they may do.")
CONFIG_RELOAD_SUCCESSFUL = Metric(
    "model_rollback_config_last_reload_successful", "gauge", (), "Whether the last load of the policies succeeded."
)
CONFIG_RELOAD_TIMESTAMP = Metric(
    "model_rollback_config_last_reload_success_timestamp_seconds",
    "gauge",
    (),
    "When the policies were last loaded successfully, Unix time.",
)

CATALOGUE: tuple[Metric, ...] = (
    NOTIFICATIONS,
    MALFORMED_ALERTS,
    TRUNCATED_ALERTS,
    DECISIONS,
    LAST_ACTION,
    MODEL_LAST_ACTION,
    COOLDOWN,
    KUBERNETES_REQUESTS,
    EVENT_FAILURES,
    POLICIES,
    CONFIG_RELOAD_SUCCESSFUL,
    CONFIG_RELOAD_TIMESTAMP,
    CONNECTIONS_REFUSED,
    BUILD_INFO,
)
"""Every family in the order of exposition; the process adds the standard `process_*` families."""

NO_ACTION = "none"
_LISTENER = "web"
CODES = ("200", "400", "408", "413", "415", "503")
"""Values of `code`, all exported from the start."""


class Metrics:
    """Values of the catalogue. Labels are bounded by the policies and by this program, never by what is sent."""

    def __init__(self) -> None:
        self._values: dict[Metric, dict[tuple[str, ...], float]] = defaultdict(dict)
        self._process = CollectorRegistry()
        ProcessCollector(registry=self._process)
        for code in CODES:
            self.add(NOTIFICATIONS, code, by=0)
        for action, outcome in [
            *product(ACTIONS, Outcome),
            (NO_ACTION, Outcome.NO_POLICY),
            (NO_ACTION, Outcome.DEFERRED),
        ]:
            self.add(DECISIONS, action, outcome.value, by=0)
        for metric in (MALFORMED_ALERTS, TRUNCATED_ALERTS, EVENT_FAILURES):
            self.add(metric, by=0)
        self.add(CONNECTIONS_REFUSED, _LISTENER, by=0)
        self.set(BUILD_INFO, __version__, platform.python_version(), to=1)

    def add(self, metric: Metric, *labels: str, by: float = 1) -> None:
        """Add to a counter."""
        values = self._values[metric]
        values[labels] = values.get(labels, 0) + by

    def set(self, metric: Metric, *labels: str, to: float) -> None:
        """Set a gauge."""
        self._values[metric][labels] = to

    def loaded(self, config: Rollback, *, at: float) -> None:
        """Note that policies were loaded."""
        dry = sum(config.is_dry_run(policy) for policy in config.policies)
        self.set(POLICIES, "active", to=len(config.policies) - dry)
        self.set(POLICIES, "dry_run", to=dry)
        self._values[COOLDOWN] = {(policy.name, policy.action): policy.cooldown.seconds for policy in config.policies}
        self.set(CONFIG_RELOAD_SUCCESSFUL, to=1)
        self.set(CONFIG_RELOAD_TIMESTAMP, to=at)

    def refused_connection(self) -> None:
        """Count a connection that was refused, or closed to make room for another."""
        self.add(CONNECTIONS_REFUSED, _LISTENER)

    def requested(self, verb: str, resource: str, result: str) -> None:
        """Count a request to the Kubernetes API."""
        self.add(KUBERNETES_REQUESTS, verb, resource, result)

    def expose(self, accept: str) -> tuple[bytes, str]:
        """Return the exposition in the format that an `Accept` header prefers, and its content type."""
        openmetrics = prefers_openmetrics(accept)
        parts: list[str] = []
        for metric in CATALOGUE:
            if values := self._values[metric]:
                parts.append(header(metric, openmetrics=openmetrics))
                parts += [f"{prefix(metric.name, metric.labels, labels)}{number(v)}\n" for labels, v in values.items()]
        text = "".join(parts).encode() + process_families(self._process, openmetrics=openmetrics)
        return text, OPENMETRICS_TYPE if openmetrics else TEXT_TYPE
