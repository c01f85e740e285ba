"""The drift report: how far each feature has moved, in every window."""

from dataclasses import dataclass
from typing import Any, get_args

import msgspec
import numpy as np
from numpy.typing import NDArray

from sidecar.base.cooperative import Steps
from sidecar.config import ModelConfig, Thresholds
from sidecar.monitor.comparison import Comparison, DriftReading
from sidecar.monitor.model import Model
from sidecar.monitor.monitor import Monitor
from sidecar.reference.profile import Profile
from sidecar.reports.drift_body import (
    BinDrift,
    Drift,
    DriftThresholds,
    FeatureDrift,
    Learning,
    LevelCounts,
    ModelDrift,
    Reference,
    Season,
    WindowDrift,
)
from sidecar.reports.report import Role, choose_models, not_there, utc_text
from sidecar.statistics import drift
from sidecar.statistics.drift_table import PSI
from sidecar.statistics.levels import LEVELS, UNKNOWN, level_name


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """Which features of a model are asked for, and the window of their order; None is all, and the one judged on."""

    feature: str | None
    match: str | None
    limit: int | None
    window: str | None

    def by_name(self, name: str) -> bool:
        """Tell whether a feature of this name is asked for."""
        if self.feature is not None and name != self.feature:
            return False
        return self.match is None or self.match.casefold() in name.casefold()


@dataclass(frozen=True, slots=True)
class _Compared:
    """What a model with a reference had counted when the report was asked for."""

    comparison: Comparison
    thresholds: list[Thresholds]
    out_of_range: NDArray[np.int64]
    reading: Steps[DriftReading]


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """A model as it was when the report was asked for; `compared` is None without a reference."""

    name: str
    config: ModelConfig
    learning: Learning | None
    compared: _Compared | None


def reporting_drift(
    monitor: Monitor,
    *,
    now: float,
    model: str | None = None,
    feature: str | None = None,
    window: str | None = None,
    match: str | None = None,
    limit: int | None = None,
) -> Steps[Drift]:
    """Take all counts of now, and return the steps to the drift of every feature in every window.

    Features come by level and then PSI in `window`, the worst first; without it in the window that levels are judged
    on. With `feature` only that one, with its bins in that window; with `match` those whose name contains it, whatever
    the case; with `limit` at most so many of each model. Raises NotThere.
    """
    monitor.flush(now=now)
    chosen = choose_models(monitor, model)
    names = [f.name for m in chosen if m.comparison for f in m.comparison.features]
    if feature is not None and feature not in names:
        raise not_there("feature", feature, names, none="none yet")
    for m in chosen:
        texts = [w.text for w in m.config.windows]
        if window is not None and window not in texts:
            raise not_there("window", window, texts)
    wanted = _Wanted(feature=feature, match=match, limit=limit, window=window)
    return _reporting([_snapshot(m, now=now) for m in chosen], wanted, timestamp=utc_text(monitor.wall(now)))


def _snapshot(model: Model, *, now: float) -> _Snapshot:
    learner, comparison = model.learner, model.comparison
    learning = None if learner is None else Learning(events=learner.rows, of=learner.wanted_rows)
    compared = None
    if comparison is not None:
        out_of_range = comparison.out_of_range.copy()
        compared = _Compared(comparison, comparison.thresholds, out_of_range, comparison.reading(now=now))
    return _Snapshot(model.name, model.config, learning, compared)


def _reporting(snapshots: list[_Snapshot], wanted: _Wanted, *, timestamp: str) -> Steps[Drift]:
    models: dict[str, ModelDrift] = {}
    for snapshot in snapshots:
        models[snapshot.name] = yield from _model_drift(snapshot, wanted)
    inputs = {
        (entry.feature if len(models) == 1 else f"{name}/{entry.feature}"): entry
        for name, report in models.items()
        for entry in report.features
        if entry.role == "input"
    }
    drifted = [name for name, entry in inputs.items() if entry.level not in ("none", UNKNOWN)]
    drifted.sort(key=lambda name: inputs[name].psi or 0.0, reverse=True)
    return Drift(
        timestamp=timestamp,
        features_monitored=len(inputs),
        drift_detected=bool(drifted),
        psi_scores={name: entry.psi for name, entry in inputs.items()},
        drifted_features=drifted,
        models=models,
    )


def _model_drift(snapshot: _Snapshot, wanted: _Wanted) -> Steps[ModelDrift]:
    config, compared = snapshot.config, snapshot.compared
    judged, texts = config.drift_window().text, [w.text for w in config.windows]
    levels: dict[str, LevelCounts] = {}
    matching: list[int] = []
    features: list[FeatureDrift] = []
    if compared is not None:
        comparison, at = compared.comparison, texts.index(wanted.window or judged)
        reading = yield from compared.reading
        levels = _level_counts(comparison, reading, texts)
        matching = [i for i, f in enumerate(comparison.features) if wanted.by_name(f.name)]
        yield
        psi, level = reading.statistics[PSI.name][at].tolist(), reading.level[at].tolist()
        matching.sort(key=lambda i: (level[i], psi[i]), reverse=True)
        yield
        columns: dict[str, dict[str, list[Any]]] = {}
        for w, text in enumerate(texts):
            columns[text] = _columns(reading, w)
            yield
        for i in matching[: wanted.limit]:
            entry = _feature_drift(compared, i, columns, judged=judged)
            if wanted.feature is not None:
                entry = _with_bins(entry, compared, i, reading, texts[at], at)
            features.append(entry)
            yield
    return ModelDrift(
        window=judged,
        windows=texts,
        reference=None if compared is None else _reference(config, compared.comparison.profile),
        learning=snapshot.learning,
        min_samples=config.drift.min_samples,
        levels=levels,
        matched=len(matching),
        features=features,
    )


def _reference(config: ModelConfig, profile: Profile) -> Reference:
    season = profile.season
    return Reference(
        fingerprint=profile.fingerprint,
        source=profile.source,
        model_version=config.version or profile.model_version,
        rows=profile.rows,
        created=utc_text(profile.created),
        season=None if season is None else Season(cycle=season.cycle, time_zone=season.time_zone),
    )


def _level_counts(comparison: Comparison, reading: DriftReading, windows: list[str]) -> dict[str, LevelCounts]:
    """Count the features at each level in each window, the gravest first."""
    words = sorted((*enumerate(LEVELS), (-1, UNKNOWN)), reverse=True)
    roles = np.array([f.role for f in comparison.features])

    def counts(levels: NDArray[np.int64]) -> dict[str, int]:
        return {word: int((levels == index).sum()) for index, word in words}

    return {
        text: LevelCounts(**{role: counts(reading.level[w][roles == role]) for role in get_args(Role)})
        for w, text in enumerate(windows)
    }


def _columns(reading: DriftReading, window: int) -> dict[str, list[Any]]:
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


def _feature_drift(
    compared: _Compared, i: int, columns: dict[str, dict[str, list[Any]]], *, judged: str
) -> FeatureDrift:
    feature = compared.comparison.features[i]
    windows = {text: WindowDrift(**{name: values[i] for name, values in of.items()}) for text, of in columns.items()}
    return FeatureDrift(
        feature=feature.name,
        role=feature.role,
        kind="numeric" if i < len(compared.comparison.schema.numeric) else "categorical",
        level=windows[judged].level,
        psi=windows[judged].psi,
        thresholds=DriftThresholds(**msgspec.structs.asdict(compared.thresholds[i])),
        windows=windows,
    )


def _with_bins(
    entry: FeatureDrift, compared: _Compared, i: int, reading: DriftReading, window: str, at: int
) -> FeatureDrift:
    return msgspec.structs.replace(
        entry,
        out_of_range=int(compared.out_of_range[i]) if entry.kind == "numeric" else None,
        bins_window=window,
        bins=_bins(compared.comparison, i, reading, at),
    )


def _bins(comparison: Comparison, feature: int, reading: DriftReading, window: int) -> list[BinDrift]:
    bins = comparison.bins[feature]
    place = slice(comparison.starts[feature], comparison.starts[feature] + bins.size)
    live, reference = reading.live[window, place], reading.reference[window, place]
    found = zip(
        bins.names,
        bins.ranges,
        reference.tolist(),
        live.tolist(),
        reading.counts[window, place].tolist(),
        drift.psi_terms(live, reference).tolist(),
        strict=True,
    )
    return [
        BinDrift(bin=name, range=text, reference=share, live=live_share, count=count, contribution=contribution)
        for name, text, share, live_share, count, contribution in found
    ]
