"""Configuration of `serve`: what the file may say, with defaults, and what is allowed."""

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from sidecar.base.configfile import ByteSize, ConfigError, convert_yaml, read_text, shown
from sidecar.base.duration import Duration

WINDOWS = (Duration("5m"), Duration("1h"), Duration("24h"))
"""Windows of the sidecar and of the recording rules, the shortest first."""

JUDGED_WINDOW = Duration("1h")
"""The window by which drift has a level and alerts fire."""

# Limits of alerts: of the conditions in the sidecar, and of the rules, whose settings may change them.
P95_LIMIT_SECONDS = 0.1
P99_LIMIT_SECONDS = 0.5
ERROR_RATIO_LIMIT = 0.05
MIN_PREDICTIONS = 100
"""Predictions in the window below which no alert on errors or latency fires."""
ACCURACY_LIMIT = 0.8
"""Share of labels that are the class predicted; the alert fires where it is less by more than chance explains."""


class _Struct(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Thresholds(_Struct, frozen=True):
    """PSI from which drift has a level."""

    moderate: float = 0.1
    significant: float = 0.2
    critical: float = 0.25
    rollback: float = 0.5


class FeatureThresholds(_Struct, frozen=True):
    """Thresholds that differ for one feature; the others stay as they are for the model."""

    moderate: float | None = None
    significant: float | None = None
    critical: float | None = None
    rollback: float | None = None


class FeatureDrift(_Struct, frozen=True):
    """What differs for one feature."""

    thresholds: FeatureThresholds = FeatureThresholds()


class DriftConfig(_Struct, frozen=True):
    """How drift is judged."""

    min_samples: int = 200
    alpha: float = 0.001
    window: Duration | None = None
    thresholds: Thresholds = Thresholds()
    features: dict[str, FeatureDrift] = {}

    def thresholds_for(self, feature: str) -> Thresholds:
        """Return the thresholds of a feature, its own where it has any."""
        own = self.features.get(feature, FeatureDrift()).thresholds
        changed = {k: v for k, v in msgspec.structs.asdict(own).items() if v is not None}
        return msgspec.structs.replace(self.thresholds, **changed)


class Slo(_Struct, frozen=True):
    """A latency objective: the share `target` of predictions takes at most `seconds`."""

    target: float
    seconds: float


class LatencyConfig(_Struct, frozen=True):
    """Bounds of the latency histogram, in seconds, and the objectives."""

    buckets: tuple[float, ...] = (
        *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15),
        *(0.2, 0.3, 0.5, 0.75, 1.0, 2.5, 5.0, 10.0),
    )
    slos: tuple[Slo, ...] = (
        Slo(target=0.95, seconds=P95_LIMIT_SECONDS),
        Slo(target=0.99, seconds=P99_LIMIT_SECONDS),
    )

    def bounds(self) -> tuple[float, ...]:
        """Return the bounds of the histogram: the buckets, the limits of the alerts, and those of the objectives."""
        limits = (P95_LIMIT_SECONDS, P99_LIMIT_SECONDS)
        return tuple(sorted({*self.buckets, *limits, *(slo.seconds for slo in self.slos)}))


class Learn(_Struct, frozen=True):
    """Learn the reference from the first `events`."""

    events: int = 10_000
    bins: int = 10
    categories: int = 50


FIRST_CLASSES = 20
"""Classes that are told apart where none are configured: the first that come up."""

MOST_CLASSES = 50

OTHER_CLASS = "other"
"""What all classes are called that are not told apart."""


class LabelsConfig(_Struct, frozen=True):
    """Keep predictions that have an id, to compare them with labels that come later.

    At most `most` predictions are kept, each for `ttl`. `positive` is the class whose probability is logged; without
    it, that is the one predicted. `classes` are told apart, others are not. Fewer than `min_labels` in a window say
    nothing.
    """

    ttl: Duration = Duration("24h")
    most: int = 100_000
    positive: str | None = None
    classes: tuple[str, ...] = ()
    min_labels: int = 100


class ModelConfig(_Struct, frozen=True):
    """One model: its name and reference, and how it is watched."""

    name: str
    version: str = ""
    reference: str | None = None
    learn: Learn = Learn()
    windows: tuple[Duration, ...] = WINDOWS
    latency: LatencyConfig = LatencyConfig()
    drift: DriftConfig = DriftConfig()
    labels: LabelsConfig | None = None

    def drift_window(self) -> Duration:
        """Return the window that levels are judged on: the configured one, or JUDGED_WINDOW, or else the first."""
        wanted = self.drift.window or JUDGED_WINDOW
        return next((window for window in self.windows if window == wanted), self.windows[0])


class Limits(_Struct, frozen=True):
    """Bounds on what is accepted."""

    body_bytes: ByteSize = ByteSize(8 * 2**20)
    inflight_bytes: ByteSize = ByteSize(64 * 2**20)
    body_timeout: Duration = Duration("30s")
    events_per_body: int = 100_000
    values_per_body: int = 5_000_000
    features: int = 1000
    categories: int = 200
    string_length: int = 1024


class Config(_Struct, frozen=True):
    """Everything the file says."""

    models: tuple[ModelConfig, ...] = (ModelConfig(name="default"),)
    limits: Limits = Limits()


def load(path: Path) -> Config:
    """Read and check a configuration file; raises ConfigError."""
    return parse(read_text(path), path)


def parse(text: str, path: Path) -> Config:
    """Read and check the text of a configuration file; `path` names it in errors."""
    config = convert_yaml(text, path, Config)
    for key, value, allowed in _mistakes(config):
        raise ConfigError(f"{path}: {key}: {shown(value)} is not allowed: {allowed}")
    models = tuple(_beside(model, path.parent) for model in config.models)
    return msgspec.structs.replace(config, models=models)


def _beside(model: ModelConfig, directory: Path) -> ModelConfig:
    """Make the path of the reference, which is relative to the file, relative to the working directory."""
    if model.reference is None:
        return model
    return msgspec.structs.replace(model, reference=str(directory / model.reference))


def _mistakes(config: Config) -> list[tuple[str, object, str]]:
    """List what types alone cannot refuse, as key, value and what is allowed."""
    found: list[tuple[str, object, str]] = []

    def allow(condition: bool, key: str, value: object, allowed: str) -> None:
        if not condition:
            found.append((key, value, allowed))

    names = [model.name for model in config.models]
    allow(bool(names), "models", [], "at least one model")
    for i, model in enumerate(config.models):
        at = f"models[{i}]"
        named = 0 < len(model.name) <= 200 and model.name.isprintable()
        allow(named, f"{at}.name", model.name, "1 to 200 printable characters")
        allow(len(model.version) <= 200, f"{at}.version", model.version, "at most 200 characters")
        allow(model.name not in names[:i], f"{at}.name", model.name, "each model has a name of its own")
        allow(model.learn.events >= 100, f"{at}.learn.events", model.learn.events, "at least 100")
        allow(2 <= model.learn.bins <= 100, f"{at}.learn.bins", model.learn.bins, "2 to 100")
        allow(
            1 <= model.learn.categories <= config.limits.categories,
            f"{at}.learn.categories",
            model.learn.categories,
            f"1 to limits.categories, {config.limits.categories}",
        )
        _check_windows(model, at, allow)
        _check_latency(model.latency, f"{at}.latency", allow)
        _check_drift(model.drift, f"{at}.drift", allow)
        if model.labels is not None:
            _check_labels(model.labels, f"{at}.labels", allow)
    for name, value in msgspec.structs.asdict(config.limits).items():
        if isinstance(value, Duration):
            allow(value.seconds >= 1, f"limits.{name}", value.text, "at least 1s")
        else:
            allow(value >= 1, f"limits.{name}", value, "at least 1")
    return found


def _check_windows(model: ModelConfig, at: str, allow: Any) -> None:
    texts = [window.text for window in model.windows]
    allow(1 <= len(texts) <= 8, f"{at}.windows", texts, "1 to 8 windows")
    allow(len(set(model.windows)) == len(texts), f"{at}.windows", texts, "each window once")
    shortest = min((window.seconds for window in model.windows), default=1)
    allow(shortest >= 1, f"{at}.windows", texts, "windows of at least 1s")
    wanted = model.drift.window
    allow(
        wanted is None or wanted in model.windows,
        f"{at}.drift.window",
        wanted.text if wanted else None,
        "one of the windows, " + ", ".join(texts),
    )


def _check_latency(latency: LatencyConfig, at: str, allow: Any) -> None:
    buckets = latency.buckets
    rising = all(low < high for low, high in pairwise(buckets))
    positive = all(math.isfinite(bound) and bound > 0 for bound in buckets)
    allow(
        rising and positive and 1 <= len(buckets) <= 100,
        f"{at}.buckets",
        buckets,
        "1 to 100 rising bounds above 0",
    )
    for i, slo in enumerate(latency.slos):
        allow(0 < slo.target < 1, f"{at}.slos[{i}].target", slo.target, "a share between 0 and 1")
        allow(
            math.isfinite(slo.seconds) and slo.seconds > 0,
            f"{at}.slos[{i}].seconds",
            slo.seconds,
            "more than 0",
        )


def _check_drift(drift: DriftConfig, at: str, allow: Any) -> None:
    allow(drift.min_samples >= 1, f"{at}.min_samples", drift.min_samples, "at least 1")
    allow(1e-12 <= drift.alpha <= 0.5, f"{at}.alpha", drift.alpha, "a probability of at most 0.5, such as 0.001")
    for name in (None, *drift.features):
        where = f"{at}.thresholds" if name is None else f"{at}.features.{name}.thresholds"
        t = drift.thresholds if name is None else drift.thresholds_for(name)
        steps = (t.moderate, t.significant, t.critical, t.rollback)
        allow(
            0 < t.moderate <= t.significant <= t.critical <= t.rollback < math.inf,
            where,
            steps,
            "0 < moderate <= significant <= critical <= rollback",
        )


def _check_labels(labels: LabelsConfig, at: str, allow: Any) -> None:
    allow(labels.ttl.seconds >= 1, f"{at}.ttl", labels.ttl.text, "at least 1s")
    allow(1 <= labels.most <= 100_000_000, f"{at}.most", labels.most, "1 to 100000000 predictions")
    allow(labels.min_labels >= 1, f"{at}.min_labels", labels.min_labels, "at least 1")
    names = labels.classes
    fit = len(set(names)) == len(names) and all(names) and OTHER_CLASS not in names
    allow(fit and len(names) <= MOST_CLASSES, f"{at}.classes", names, f"at most {MOST_CLASSES}, each once, no 'other'")
    allow(
        not names or labels.positive is None or labels.positive in names,
        f"{at}.positive",
        labels.positive,
        "one of the classes, " + ", ".join(names),
    )
