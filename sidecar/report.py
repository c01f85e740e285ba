"""Reports: what the read endpoints answer, as plain objects for JSON. Numbers that are not known are None."""

import math
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import numpy as np

from sidecar import drift
from sidecar.comparison import Comparison, DriftReading
from sidecar.levels import level_name
from sidecar.monitor import Model, Monitor
from sidecar.traffic import TrafficReading

Report = dict[str, Any]


class NotThere(Exception):
    """A model, feature or window that was asked for does not exist; the message lists those that do."""


def drift_report(
    monitor: Monitor,
    *,
    now: float,
    model: str | None = None,
    feature: str | None = None,
    window: str | None = None,
) -> Report:
    """Report the drift of every feature in every window, worst first.

    With `feature` only that one, with its bins in `window` or in the window that levels are judged on.
    Raises NotThere.
    """
    monitor.flush(now=now)
    chosen = _chosen(monitor, model)
    if feature is not None:
        _require_feature(chosen, feature)
    models = {m.name: _model_drift(m, now=now, feature=feature, window=window) for m in chosen}
    inputs = {
        (name if len(models) == 1 else f"{model_name}/{name}"): entry
        for model_name, report in models.items()
        for entry in report["features"]
        if entry["role"] == "input"
        for name in [entry["feature"]]
    }
    drifted = [name for name, entry in inputs.items() if entry["level"] not in ("none", "unknown")]
    drifted.sort(key=lambda name: inputs[name]["psi"], reverse=True)
    return {
        "timestamp": _time(monitor.wall(now)),
        "features_monitored": len(inputs),
        "drift_detected": bool(drifted),
        "psi_scores": {name: entry["psi"] for name, entry in inputs.items()},
        "drifted_features": drifted,
        "models": models,
    }


def _chosen(monitor: Monitor, model: str | None) -> list[Model]:
    if model is None:
        return list(monitor.models.values())
    if model not in monitor.models:
        raise NotThere(f"no model {model!r}; there is: {', '.join(monitor.models)}")
    return [monitor.models[model]]


def _require_feature(models: Iterable[Model], feature: str) -> None:
    names = [f.name for m in models if m.comparison for f in m.comparison.features]
    if feature not in names:
        raise NotThere(f"no feature {feature!r}; there is: {', '.join(names) or 'none yet'}")


def _model_drift(model: Model, *, now: float, feature: str | None, window: str | None) -> Report:
    judged = model.config.drift_window().text
    report: Report = {"window": judged, "reference": None, "learning": None, "features": []}
    if model.learner is not None:
        report["learning"] = {"events": model.learner.rows, "of": model.learner.wanted_rows}
    if model.comparison is None:
        return report
    comparison = model.comparison
    profile = comparison.profile
    report["reference"] = {
        "fingerprint": profile.fingerprint,
        "source": profile.source,
        "model_version": model.config.version or profile.model_version,
        "rows": profile.rows,
        "created": _time(profile.created),
    }
    reading = comparison.read(now=now)
    texts = [w.text for w in comparison.windows]
    at = texts.index(judged)
    for i, f in enumerate(comparison.features):
        if feature is not None and f.name != feature:
            continue
        windows = {text: _statistics(reading, w, i) for w, text in enumerate(texts)}
        entry = {
            "feature": f.name,
            "role": f.role,
            "kind": "numeric" if i < len(comparison.schema.numeric) else "categorical",
            "level": level_name(int(reading.level[at, i])),
            "psi": windows[judged]["psi"],
            "windows": windows,
        }
        if feature is not None:
            if window is not None and window not in texts:
                raise NotThere(f"no window {window!r}; there is: {', '.join(texts)}")
            entry["bins_window"] = window or judged
            entry["bins"] = _bins(comparison, i, texts.index(window or judged), now=now)
        report["features"].append(entry)
    report["features"].sort(key=lambda e: -1 if e["psi"] is None else e["psi"], reverse=True)
    return report


def _statistics(reading: DriftReading, window: int, feature: int) -> Report:
    place = (window, feature)
    enough = reading.level[place] >= 0
    samples = int(reading.samples[place])

    def shown(values: Any) -> float | None:
        return _finite(values[place]) if enough else None

    return {
        "psi": shown(reading.psi),
        "kl": shown(reading.kl),
        "js": shown(reading.js),
        "ks": shown(reading.ks),
        "threshold": shown(reading.threshold),
        "level": level_name(int(reading.level[place])),
        "samples": samples,
        "missing_ratio": int(reading.missing[place]) / samples if samples else None,
    }


def _bins(comparison: Comparison, feature: int, window: int, *, now: float) -> list[Report]:
    bins = comparison.bins[feature]
    place = slice(comparison.starts[feature], comparison.starts[feature] + bins.size)
    counts = comparison.counts(now=now)[window]
    live = comparison.live_shares(counts)[place]
    reference = comparison.reference_shares[place]
    contributions = drift.psi_terms(live, reference)
    return [
        {
            "bin": name,
            "range": text,
            "reference": reference_share,
            "live": live_share,
            "count": count,
            "contribution": contribution,
        }
        for name, text, reference_share, live_share, count, contribution in zip(
            bins.names,
            bins.ranges,
            reference.tolist(),
            live.tolist(),
            counts[place].tolist(),
            contributions.tolist(),
            strict=True,
        )
    ]


def latency_report(monitor: Monitor, *, now: float) -> Report:
    """Report latency, in seconds, and errors of every model in every window, and whether the objectives are met."""
    monitor.flush(now=now)
    models = {
        name: {
            "windows": {
                window.text: _latency(model, reading)
                for window, reading in zip(model.config.windows, _traffic(model, now=now), strict=True)
            }
        }
        for name, model in monitor.models.items()
    }
    return {"timestamp": _time(monitor.wall(now)), "unit": "seconds", "models": models}


def _traffic(model: Model, *, now: float) -> list[TrafficReading]:
    return model.traffic.readings([slo.seconds for slo in model.config.latency.slos], now=now)


def _latency(model: Model, reading: TrafficReading) -> Report:
    p50, p95, p99 = map(_finite, reading.quantiles)
    return {
        "count": reading.latencies,
        "p50": p50,
        "p95": p95,
        "p99": p99,
        "mean": _finite(reading.mean),
        "events": reading.events,
        "errors": reading.errors,
        "error_ratio": reading.errors / reading.events if reading.events else None,
        "slos": [
            {
                "target": slo.target,
                "seconds": slo.seconds,
                "within": _finite(share),
                "met": None if math.isnan(share) else share >= slo.target,
            }
            for slo, share in zip(model.config.latency.slos, reading.within, strict=True)
        ],
    }


def _finite(value: float | np.floating[Any]) -> float | None:
    return float(value) if math.isfinite(value) else None


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
