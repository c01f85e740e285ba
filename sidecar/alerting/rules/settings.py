"""Every value of the rules that a site may want to change, with its default.

What the sidecar judges by too, such as windows and thresholds, has the defaults of `sidecar.config`. Durations,
severities, actions and links are written here and nowhere else. A YAML file with the same keys changes any of them; an
unknown key or a value that cannot work is refused with one sentence.
"""

from itertools import pairwise
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from sidecar.alerting.rules.duration import Duration
from sidecar.alerting.rules.policy import ALERTS, Policy, PolicyChange, Severity
from sidecar.base.configfile import convert_yaml, read_text
from sidecar.base.duration import milliseconds
from sidecar.config import (
    ACCURACY_LIMIT,
    ERROR_RATIO_LIMIT,
    JUDGED_WINDOW,
    MIN_PREDICTIONS,
    P95_LIMIT_SECONDS,
    P99_LIMIT_SECONDS,
    WINDOWS,
    DriftConfig,
    LabelsConfig,
    LatencyConfig,
)

_DRIFT = DriftConfig()

Positive = Annotated[float, Meta(gt=0)]
Share = Annotated[float, Meta(gt=0, lt=1)]
Count = Annotated[int, Meta(ge=1)]
Text = Annotated[str, Meta(min_length=1)]
LabelName = Annotated[str, Meta(pattern="^[a-zA-Z_][a-zA-Z0-9_]*$")]


def _check_stages(windows: tuple[str, ...], interval: str) -> None:
    step = milliseconds(interval)
    if step == 0:
        raise ValueError(f"interval {interval} must be longer than nothing")
    if milliseconds(windows[0]) < 2 * step:
        raise ValueError(f"shortest window {windows[0]} must be at least twice interval {interval}")
    for window in windows:
        if milliseconds(window) % step:
            raise ValueError(f"window {window} must be a multiple of interval {interval}")


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Refuse unknown keys."""


class Thresholds(_Section, frozen=True):
    """Give the PSI at which each level of drift begins."""

    moderate: Positive = _DRIFT.thresholds.moderate
    significant: Positive = _DRIFT.thresholds.significant
    critical: Positive = _DRIFT.thresholds.critical
    rollback: Positive = _DRIFT.thresholds.rollback

    def __post_init__(self) -> None:
        if not self.moderate < self.significant < self.critical < self.rollback:
            raise ValueError("thresholds must ascend: moderate < significant < critical < rollback")


class Drift(_Section, frozen=True):
    """Say over which windows drift is recorded, and what the alerts make of it.

    The first window is counted from the counters of every replica, each `interval`, in so many `slices` of
    the fleet that none takes long; the longer ones are added up from it, so that the cost does not grow with
    their length.
    """

    windows: Annotated[tuple[Duration, ...], Meta(min_length=1)] = tuple(window.text for window in WINDOWS)
    alert_window: Duration = JUDGED_WINDOW.text
    interval: Duration = "1m"
    slices: Annotated[int, Meta(ge=1, le=10)] = 10
    min_samples: Count = _DRIFT.min_samples
    top_bins: Count = 3
    thresholds: Thresholds = Thresholds()

    def __post_init__(self) -> None:
        lengths = [milliseconds(window) for window in self.windows]
        if any(a >= b for a, b in pairwise(lengths)):
            raise ValueError("windows must ascend, without repetition")
        if self.alert_window not in self.windows:
            raise ValueError(f"alert_window {self.alert_window} is not one of windows")
        _check_stages(self.windows, self.interval)


class Service(_Section, frozen=True):
    """Say when latency and errors, as they are right now, are too bad."""

    window: Duration = WINDOWS[0].text
    interval: Duration = "30s"
    min_predictions: Count = MIN_PREDICTIONS
    p95_seconds: Positive = P95_LIMIT_SECONDS
    p99_seconds: Positive = P99_LIMIT_SECONDS
    error_ratio: Share = ERROR_RATIO_LIMIT


class LatencyObjective(_Section, frozen=True):
    """Promise that a share `target` of predictions takes at most `seconds`, a bucket of the histogram."""

    target: Share
    seconds: Positive


class Burn(_Section, frozen=True):
    """Alert when a budget burns `factor` times as fast as it may, over a long and a short window at once."""

    factor: Positive
    long: Duration
    short: Duration
    severity: Severity
    for_: Duration = msgspec.field(name="for")

    def __post_init__(self) -> None:
        if milliseconds(self.short) >= milliseconds(self.long):
            raise ValueError(f"short window {self.short} must be shorter than long window {self.long}")


class Objectives(_Section, frozen=True):
    """State the service level objectives and how fast their budgets may burn."""

    latency: tuple[LatencyObjective, ...] = tuple(
        LatencyObjective(target=slo.target, seconds=slo.seconds) for slo in LatencyConfig().slos
    )
    success: Share = 0.99
    interval: Duration = "1m"
    min_predictions: Count = MIN_PREDICTIONS
    burn: Annotated[tuple[Burn, ...], Meta(min_length=1)] = (
        Burn(factor=14.4, long="1h", short="5m", severity="critical", for_="2m"),
        Burn(factor=6.0, long="6h", short="30m", severity="critical", for_="15m"),
        Burn(factor=3.0, long="1d", short="2h", severity="warning", for_="1h"),
        Burn(factor=1.0, long="3d", short="6h", severity="warning", for_="3h"),
    )

    def __post_init__(self) -> None:
        targets = (*(objective.target for objective in self.latency), self.success)
        for burn in self.burn:
            for target in targets:
                share = burn.factor * (1 - target)
                if share >= 1:
                    raise ValueError(
                        f"burn factor {burn.factor:g} on target {target:g} needs {share:.0%} bad predictions "
                        "and could never fire"
                    )
        _check_stages(self.windows, self.interval)

    @property
    def windows(self) -> tuple[Duration, ...]:
        """Every burn window once, shortest first."""
        windows = {window for burn in self.burn for window in (burn.long, burn.short)}
        return tuple(sorted(windows, key=milliseconds))


class Quality(_Section, frozen=True):
    """Say over which window labels are looked at, and how often predictions are to be right."""

    window: Duration = JUDGED_WINDOW.text
    interval: Duration = "1m"
    min_labels: Count = LabelsConfig().min_labels
    accuracy: Share = ACCURACY_LIMIT


class Health(_Section, frozen=True):
    """Say when the sidecar itself needs a person."""

    job: Text = ".*model-sidecar.*"
    """Regular expression of the scrape jobs that are sidecars."""
    interval: Duration = "30s"
    loss_window: Duration = "5m"
    """Over which lost and refused events are counted."""
    quiet_window: Duration = "15m"
    """Without any event this long, a replica counts as quiet."""
    history_window: Duration = "1h"
    """A replica alone is expected to serve if it had events this long before it went quiet."""
    rejected_ratio: Share = 0.01
    reference_max_age: Duration = "30d"


class Canary(_Section, frozen=True):
    """Say how a candidate is told from the stable version that serves beside it, and how far apart they may be.

    `candidate` and `stable` are regular expressions of values of the target label `label`.
    """

    label: LabelName = "track"
    candidate: Text = "canary|candidate"
    stable: Text = "stable|primary"
    window: Duration = "30m"
    psi: Positive = 0.1
    """From which PSI of candidate against stable on it matters, if chance does not explain it."""
    error_ratio: Share = 0.01
    """By how much the share of failed predictions may be higher."""
    latency_ratio: Annotated[float, Meta(gt=1)] = 1.25
    """How many times as long the slowest 5 % of predictions may take."""
    prometheus: Text = "http://prometheus.monitoring.svc:9090"
    """Where the controllers of progressive delivery ask."""

    def __post_init__(self) -> None:
        if self.candidate == self.stable:
            raise ValueError("candidate and stable must differ")


class Links(_Section, frozen=True):
    """Say where runbooks and dashboards live at this site."""

    runbook: Text = "https://runbooks.example.com/model-sidecar/{alert}.md"
    drift_dashboard: Text = "https://grafana.example.com/d/model-drift"
    service_dashboard: Text = "https://grafana.example.com/d/model-service"
    health_dashboard: Text = "https://grafana.example.com/d/model-sidecar"

    def __post_init__(self) -> None:
        if "{alert}" not in self.runbook:
            raise ValueError("runbook must contain {alert}, which becomes the name of the alert")


class Webhook(_Section, frozen=True):
    """Name a webhook: where it listens and which bearer token it asks for."""

    url: Text
    credentials_file: Text = "/etc/alertmanager/secrets/model-sidecar/token"


class Routing(_Section, frozen=True):
    """Say where Alertmanager sends alerts, by their action.

    `cooldown` is how long the receiver of rollbacks and scale-downs ignores repetition. The repeat interval
    is a minute longer: a notification that comes while the cooldown still runs would be wasted.
    """

    rollback: Webhook = Webhook(url="http://model-sidecar-rollback:8080/alerts")
    scale_down: Webhook = Webhook(url="http://model-sidecar-rollback:8080/alerts")
    alert: Webhook = Webhook(url="http://notifier.example.com/alerts")
    secret_name: Text = "model-sidecar-webhook"  # noqa: S105 - the name of a Kubernetes Secret, not a secret
    secret_key: Text = "token"  # noqa: S105 - a key inside it
    group_wait: Duration = "30s"
    action_group_wait: Duration = "5s"
    group_interval: Duration = "5m"
    repeat_interval: Duration = "4h"
    cooldown: Duration = "30m"


class Settings(_Section, frozen=True):
    """Hold everything that may be changed without changing a rule."""

    drift: Drift = Drift()
    service: Service = Service()
    objectives: Objectives = Objectives()
    quality: Quality = Quality()
    health: Health = Health()
    canary: Canary = Canary()
    links: Links = Links()
    routing: Routing = Routing()
    alerts: dict[str, PolicyChange] = {}

    def __post_init__(self) -> None:
        unknown = sorted(set(self.alerts) - set(ALERTS))
        if unknown:
            raise ValueError(f"alerts has no alert named {unknown[0]}; known are {', '.join(ALERTS)}")
        window, base, step = (milliseconds(d) for d in (self.canary.window, self.drift.windows[0], self.drift.interval))
        if window < base or window % step:
            raise ValueError(
                f"canary.window {self.canary.window} must be a multiple of drift.interval {self.drift.interval} and "
                f"no shorter than the shortest of drift.windows, {self.drift.windows[0]}"
            )

    def policy(self, alert: str) -> Policy:
        """Return duration, severity and action of an alert, with this site's changes."""
        return ALERTS[alert].changed(self.alerts.get(alert, PolicyChange()))


def load(path: Path) -> Settings:
    """Read settings from a YAML file; raises ConfigError."""
    return convert_yaml(read_text(path), path, Settings)
