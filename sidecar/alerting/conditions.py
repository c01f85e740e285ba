"""Conditions: which of the shipped alerts have their condition met by this process right now.

The rules in Prometheus decide, over all replicas and with their durations; this is what one replica sees, by the same
thresholds.
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from msgspec import UNSET, UnsetType

from sidecar.base.cooperative import Steps
from sidecar.config import (
    ACCURACY_LIMIT,
    ERROR_RATIO_LIMIT,
    MIN_PREDICTIONS,
    P95_LIMIT_SECONDS,
    P99_LIMIT_SECONDS,
)
from sidecar.monitor.model import Model
from sidecar.monitor.monitor import Monitor
from sidecar.reports.drift_body import Drift, ModelDrift
from sidecar.reports.drift_report import reporting_drift
from sidecar.reports.latency_report import Objective, WindowLatency, latency_report
from sidecar.reports.report import Report, Role, Share, Time
from sidecar.statistics.levels import LEVELS, Level


class Alert(Report, frozen=True, kw_only=True):
    """Describe an alert whose condition holds, and the limit that its value is beyond."""

    alert: str
    model: str
    role: Role | UnsetType = UNSET
    feature: str | UnsetType = UNSET
    window: str
    value: float
    limit: float


class FeatureLevel(Report, frozen=True):
    """Tell the level of one feature."""

    feature: str
    role: Role
    level: Level
    psi: float | None


class ModelState(Report, frozen=True):
    """Tell the level of each feature, the objectives and the share of errors of one model."""

    features: list[FeatureLevel]
    slos: list[Objective]
    error_ratio: Share | None


class Held(Report, frozen=True):
    """Tell which alerts Alertmanager holds, or why that is not known."""

    alerts: list[dict[str, Any]] | None
    error: str | None


class Alerts(Report, frozen=True):
    """Tell the alerts whose condition holds, and the state of each model; `alertmanager` where its URL is known."""

    timestamp: Time
    alerts: list[Alert]
    models: dict[str, ModelState]
    alertmanager: Held | UnsetType = UNSET


class LatencyLimit(NamedTuple):
    """An alert on a quantile of latency: the limit is that of the objective with this target, or else `seconds`."""

    alert: str
    quantile: str
    target: float
    seconds: float


LATENCY_LIMITS = (
    LatencyLimit("HighP95Latency", "p95", 0.95, P95_LIMIT_SECONDS),
    LatencyLimit("CriticalP99Latency", "p99", 0.99, P99_LIMIT_SECONDS),
)


def reporting_alerts(monitor: Monitor, *, now: float) -> Steps[Alerts]:
    """Take all counts of now, and return the steps to the level of every feature and the alerts that hold."""
    latency = latency_report(monitor, now=now)
    watched = dict(monitor.models)
    traffic = {name: latency.models[name].windows[_shortest_window(model)] for name, model in watched.items()}
    accuracy = {name: list(_accuracy_alerts(model, now=now)) for name, model in watched.items()}
    return _reporting(watched, traffic, accuracy, reporting_drift(monitor, now=now))


def _reporting(
    watched: dict[str, Model],
    traffic: dict[str, WindowLatency],
    accuracy: dict[str, list[Alert]],
    reporting: Steps[Drift],
) -> Steps[Alerts]:
    drift = yield from reporting
    alerts: list[Alert] = []
    models: dict[str, ModelState] = {}
    for name, model in watched.items():
        alerts += _drift_alerts(model, drift.models[name])
        alerts += _traffic_alerts(model, traffic[name])
        alerts += accuracy[name]
        models[name] = ModelState(
            features=[
                FeatureLevel(feature=entry.feature, role=entry.role, level=entry.level, psi=entry.psi)
                for entry in drift.models[name].features
            ],
            slos=traffic[name].slos,
            error_ratio=traffic[name].error_ratio,
        )
    return Alerts(timestamp=drift.timestamp, alerts=alerts, models=models)


def _shortest_window(model: Model) -> str:
    return min(model.config.windows, key=lambda window: window.seconds).text


def _drift_alerts(model: Model, drift: ModelDrift) -> Iterator[Alert]:
    for entry in drift.features:
        if entry.level not in LEVELS[1:] or entry.psi is None:
            continue
        what = "DataDrift" if entry.role == "input" else "PredictionDrift"
        thresholds = entry.thresholds
        names = [(entry.level.capitalize(), getattr(thresholds, entry.level))]
        if entry.psi > thresholds.rollback:
            names.append(("Rollback", thresholds.rollback))
        for prefix, limit in names:
            yield Alert(
                alert=f"{prefix}{what}",
                model=model.name,
                role=entry.role,
                feature=entry.feature,
                window=drift.window,
                value=entry.psi,
                limit=limit,
            )


def _traffic_alerts(model: Model, traffic: WindowLatency) -> Iterator[Alert]:
    if traffic.events < MIN_PREDICTIONS:
        return
    values = [("HighErrorRate", traffic.error_ratio, ERROR_RATIO_LIMIT)]
    for latency in LATENCY_LIMITS:
        own = [slo.seconds for slo in model.config.latency.slos if slo.target == latency.target]
        values.append((latency.alert, getattr(traffic, latency.quantile), own[0] if own else latency.seconds))
    window = _shortest_window(model)
    for alert, value, limit in values:
        if value is not None and value > limit:
            yield Alert(alert=alert, model=model.name, window=window, value=value, limit=limit)


def _accuracy_alerts(model: Model, *, now: float) -> Iterator[Alert]:
    """Tell of a model that is wrong too often: by two standard errors of so many labels, as the rule has it."""
    if model.labels is None:
        return
    window = model.config.drift_window()
    at = model.labels.windows.index(window)
    tally = model.labels.counts(now=now)
    compared = int(tally.outcomes[at].sum())
    if compared < max(model.labels.config.min_labels, 1):
        return
    value = int(tally.correct[at]) / compared
    limit = ACCURACY_LIMIT - 2 * math.sqrt(ACCURACY_LIMIT * (1 - ACCURACY_LIMIT) / compared)
    if value < limit:
        yield Alert(alert="ModelAccuracyLow", model=model.name, window=window.text, value=value, limit=limit)
