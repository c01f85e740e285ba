"""Reports: what the read endpoints answer, as plain objects for JSON. Numbers that are not known are None."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from sidecar.base.cooperative import Steps
from sidecar.monitor.comparison import Comparison, DriftReading
from sidecar.monitor.model import Model
from sidecar.monitor.monitor import Monitor
from sidecar.monitor.traffic import TrafficReading
from sidecar.reference.profile import Profile
from sidecar.statistics import drift
from sidecar.statistics.drift_table import PSI
from sidecar.statistics.levels import LEVELS, UNKNOWN, level_name

Report = dict[str, Any]

ERROR_RATE_LIMIT = 0.05
"""Share of errors above which HighErrorRate holds."""

MIN_PREDICTIONS = 100
"""Predictions in the window below which no alert on errors or latency holds."""

ROLES = ("input", "output")
"""What a feature is to the model, in the order of the reports."""


class NotThere(Exception):
    """A model, feature or window that was asked for does not exist; the message lists those that do."""


def reporting_drift(
    monitor: Monitor,
    *,
    now: float,
    model: str | None = None,
    feature: str | None = None,
    window: str | None = None,
    match: str | None = None,
    limit: int | None = None,
) -> Steps[Report]:
    """Report the drift of every feature in every window, by level and then PSI in `window`, the worst first, in steps.

    Without `window` the one that levels are judged on orders them. With `feature` only that one, with its bins in that
    window; with `match` those whose name contains it, whatever the case; with `limit` so many of each model at the
    most. Raises NotThere.
    """
    monitor.flush(now=now)
    chosen = _chosen(monitor, model)
    if feature is not None:
        _require_feature(chosen, feature)
    wanted = _Wanted(feature=feature, match=match, limit=limit)
    models = {}
    for m in chosen:
        models[m.name] = yield from _model_drift(m, wanted, now=now, window=window)
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
        "timestamp": utc_text(monitor.wall(now)),
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """Which features of a model are asked for; None is all of them."""

    feature: str | None
    match: str | None
    limit: int | None

    def by_name(self, name: str) -> bool:
        """Tell whether a feature of this name is asked for."""
        if self.feature is not None and name != self.feature:
            return False
        return self.match is None or self.match.casefold() in name.casefold()


def _model_drift(model: Model, wanted: _Wanted, *, now: float, window: str | None) -> Steps[Report]:
    judged = model.config.drift_window().text
    texts = [w.text for w in model.config.windows]
    if window is not None and window not in texts:
        raise NotThere(f"no window {window!r}; there is: {', '.join(texts)}")
    report: Report = {
        "window": judged,
        "windows": texts,
        "reference": None,
        "learning": None,
        "min_samples": model.config.drift.min_samples,
        "levels": {},
        "matched": 0,
        "features": [],
    }
    if model.learner is not None:
        report["learning"] = {"events": model.learner.rows, "of": model.learner.wanted_rows}
    if model.comparison is None:
        return report
    comparison = model.comparison
    report["reference"] = _reference(model, comparison.profile)
    thresholds, at = comparison.thresholds, texts.index(window or judged)
    out_of_range = comparison.out_of_range.copy()
    reading = yield from comparison.reading(now=now)
    roles = np.array([f.role for f in comparison.features])
    report["levels"] = {
        text: {role: _level_counts(reading.level[w][roles == role]) for role in ROLES} for w, text in enumerate(texts)
    }
    matching = [i for i, f in enumerate(comparison.features) if wanted.by_name(f.name)]
    report["matched"] = len(matching)
    yield
    psi, level = reading.statistics[PSI.name][at].tolist(), reading.level[at].tolist()
    matching.sort(key=lambda i: (level[i], psi[i]), reverse=True)
    yield
    statistics = {}
    for w, text in enumerate(texts):
        statistics[text] = _statistics(reading, w)
        yield
    for i in matching[: wanted.limit]:
        f = comparison.features[i]
        windows = {text: {name: values[i] for name, values in found.items()} for text, found in statistics.items()}
        numeric = i < len(comparison.schema.numeric)
        entry: Report = {
            "feature": f.name,
            "role": f.role,
            "kind": "numeric" if numeric else "categorical",
            "level": windows[judged]["level"],
            "psi": windows[judged]["psi"],
            "thresholds": msgspec.structs.asdict(thresholds[i]),
            "windows": windows,
        }
        if wanted.feature is not None:
            entry["out_of_range"] = int(out_of_range[i]) if numeric else None
            entry["bins_window"] = texts[at]
            entry["bins"] = _bins(comparison, i, reading, at)
        report["features"].append(entry)
        yield
    return report


def _reference(model: Model, profile: Profile) -> Report:
    season = profile.season
    return {
        "fingerprint": profile.fingerprint,
        "source": profile.source,
        "model_version": model.config.version or profile.model_version,
        "rows": profile.rows,
        "created": utc_text(profile.created),
        "season": None if season is None else {"cycle": season.cycle, "time_zone": season.time_zone},
    }


def _level_counts(levels: NDArray[np.int64]) -> dict[str, int]:
    """Count the features at each level, the gravest first."""
    words = (*enumerate(LEVELS), (-1, UNKNOWN))
    return {word: int((levels == index).sum()) for index, word in sorted(words, reverse=True)}


def _statistics(reading: DriftReading, window: int) -> dict[str, list[Any]]:
    """Return what the report says of a window, by name, a value for each feature."""
    level, samples = reading.level[window], reading.samples[window]
    return {
        **{
            name: _finite_or_none(np.where(level >= 0, values[window], np.nan))
            for name, values in reading.statistics.items()
        },
        "level": list(map(level_name, level.tolist())),
        "samples": samples.tolist(),
        "missing_ratio": _finite_or_none(reading.missing[window] / np.where(samples > 0, samples, np.nan)),
    }


def _finite_or_none(values: NDArray[np.float64]) -> list[float | None]:
    return [value if finite else None for value, finite in zip(values.tolist(), np.isfinite(values), strict=True)]


def _bins(comparison: Comparison, feature: int, reading: DriftReading, window: int) -> list[Report]:
    bins = comparison.bins[feature]
    place = slice(comparison.starts[feature], comparison.starts[feature] + bins.size)
    live, reference = reading.live[window, place], reading.reference[window, place]
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
            reading.counts[window, place].tolist(),
            contributions.tolist(),
            strict=True,
        )
    ]


def latency_report(monitor: Monitor, *, now: float, model: str | None = None) -> Report:
    """Report latency, in seconds, and errors of every model in every window, and whether the objectives are met.

    Raises NotThere.
    """
    monitor.flush(now=now)
    models = {
        m.name: {
            "error_limit": ERROR_RATE_LIMIT,
            "min_predictions": MIN_PREDICTIONS,
            "windows": {
                window.text: _latency(m, reading)
                for window, reading in zip(m.config.windows, _traffic(m, now=now), strict=True)
            },
        }
        for m in _chosen(monitor, model)
    }
    return {"timestamp": utc_text(monitor.wall(now)), "unit": "seconds", "models": models}


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


def quality_report(monitor: Monitor, *, now: float) -> Report:
    """Report how right the predictions were whose labels came in each window; None for models that take no labels."""
    monitor.flush(now=now)
    models = {name: _quality(model, now=now) for name, model in monitor.models.items()}
    return {"timestamp": utc_text(monitor.wall(now)), "models": models}


def _quality(model: Model, *, now: float) -> Report | None:
    labels = model.labels
    if labels is None:
        return None
    reading, classes = labels.read(now=now), labels.classes
    return {
        "predictions": {
            "kept": labels.kept,
            "pending": labels.pending.waiting,
            "expired": labels.expired,
            "evicted": labels.evicted,
            "repeated": labels.repeated,
        },
        "positive": labels.config.positive,
        "min_labels": labels.config.min_labels,
        "windows": {
            window.text: {
                "labels": int(reading.labels[w]),
                "coverage": _finite(reading.coverage[w]),
                "accuracy": _finite(reading.accuracy[w]),
                "classes": {
                    name: {"precision": _finite(reading.precision[w, c]), "recall": _finite(reading.recall[w, c])}
                    for c, name in enumerate(classes)
                },
                "brier_score": _finite(reading.brier_score[w]),
                "calibration_error": _finite(reading.calibration_error[w]),
                "mean_absolute_error": _finite(reading.mean_absolute_error[w]),
                "root_mean_square_error": _finite(reading.root_mean_square_error[w]),
            }
            for w, window in enumerate(labels.windows)
        },
    }


def _finite(value: float | np.floating[Any]) -> float | None:
    return float(value) if math.isfinite(value) else None


def utc_text(moment: datetime) -> str:
    """Write a time of day, UTC, as the reports do."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
