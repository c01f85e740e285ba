"""Alerts: which of the shipped alerts have their condition met by this process right now.

The rules in Prometheus decide, over all replicas and with their durations; this is what one replica sees, by the same
thresholds.
"""

import math
from collections.abc import Iterator

from sidecar.base.cooperative import Steps
from sidecar.monitor.model import Model
from sidecar.monitor.monitor import Monitor
from sidecar.reports.json_report import ERROR_RATE_LIMIT, MIN_PREDICTIONS, Report, latency_report, reporting_drift
from sidecar.statistics.levels import LEVELS

LATENCY_LIMITS = (("HighP95Latency", "p95", 0.95, 0.1), ("CriticalP99Latency", "p99", 0.99, 0.5))
"""Alert, its quantile by name and as the target of an objective, and the limit in seconds where there is none."""

ACCURACY_LIMIT = 0.8
"""Share of labels that are what was predicted, below which the alert on accuracy holds, by more than chance."""


def reporting_alerts(monitor: Monitor, *, now: float) -> Steps[Report]:
    """Report the level of every feature and objective, and the alerts whose condition holds now, in steps."""
    latency = latency_report(monitor, now=now)
    watched = dict(monitor.models)
    accuracy = {name: list(_accuracy_alerts(model, now=now)) for name, model in watched.items()}
    drift = yield from reporting_drift(monitor, now=now)
    alerts: list[Report] = []
    models: Report = {}
    for name, model in watched.items():
        features = drift["models"][name]["features"]
        window = min(model.config.windows, key=lambda window: window.seconds).text
        traffic = latency["models"][name]["windows"][window]
        alerts += _drift_alerts(model, drift["models"][name])
        alerts += _traffic_alerts(model, traffic, window)
        alerts += accuracy[name]
        models[name] = {
            "features": [{key: f[key] for key in ("feature", "role", "level", "psi")} for f in features],
            "slos": traffic["slos"],
            "error_ratio": traffic["error_ratio"],
        }
    return {"timestamp": drift["timestamp"], "alerts": alerts, "models": models}


def _drift_alerts(model: Model, drift: Report) -> Iterator[Report]:
    for entry in drift["features"]:
        if entry["level"] not in LEVELS[1:]:
            continue
        thresholds = model.config.drift.thresholds_for(entry["feature"])
        what = "DataDrift" if entry["role"] == "input" else "PredictionDrift"
        limits = {
            "moderate": thresholds.moderate,
            "significant": thresholds.significant,
            "critical": thresholds.critical,
        }
        names = [(entry["level"].capitalize(), limits[entry["level"]])]
        if entry["psi"] > thresholds.rollback:
            names.append(("Rollback", thresholds.rollback))
        for prefix, limit in names:
            yield {
                "alert": f"{prefix}{what}",
                "model": model.name,
                "role": entry["role"],
                "feature": entry["feature"],
                "window": drift["window"],
                "value": entry["psi"],
                "limit": limit,
            }


def _traffic_alerts(model: Model, traffic: Report, window: str) -> Iterator[Report]:
    if traffic["events"] < MIN_PREDICTIONS:
        return
    values = [("HighErrorRate", traffic["error_ratio"], ERROR_RATE_LIMIT)]
    for alert, quantile, target, usual in LATENCY_LIMITS:
        own = [slo.seconds for slo in model.config.latency.slos if slo.target == target]
        values.append((alert, traffic[quantile], own[0] if own else usual))
    for alert, value, limit in values:
        if value is not None and value > limit:
            yield {"alert": alert, "model": model.name, "window": window, "value": value, "limit": limit}


def _accuracy_alerts(model: Model, *, now: float) -> Iterator[Report]:
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
        yield {"alert": "ModelAccuracyLow", "model": model.name, "window": window.text, "value": value, "limit": limit}
