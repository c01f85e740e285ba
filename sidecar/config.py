"""Configuration: YAML parsed into frozen, typed structs; a mistake stops start-up with one sentence."""

import math
import re
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec
import yaml


class ConfigError(Exception):
    """The configuration cannot be used; the message names file, key, value and what is allowed."""


class Duration:
    """A time span written as Prometheus writes it: `30s`, `5m`, `1h30m`, `1d`."""

    __slots__ = ("seconds", "text")
    _UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "y": 31536000}  # noqa: RUF012
    _FORM = re.compile(r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?")

    def __init__(self, text: str) -> None:
        match = self._FORM.fullmatch(text)
        if not text or not match:
            raise ValueError(f"{text!r} is not a duration such as 30s, 5m, 1h30m or 1d")
        self.text = text
        units = ("y", "w", "d", "h", "m", "s", "ms")
        try:
            self.seconds = float(sum(int(n) * self._UNITS[u] for n, u in zip(match.groups(), units, strict=True) if n))
        except OverflowError:
            raise ValueError("it is too long a duration") from None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Duration) and self.seconds == other.seconds

    def __hash__(self) -> int:
        return hash(self.seconds)

    def __repr__(self) -> str:
        return f"Duration({self.text!r})"


class ByteSize(int):
    """A number of bytes, written as a number or with a unit: `512KiB`, `8MiB`, `1GB`."""

    _UNITS = {"": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "KB": 10**3, "MB": 10**6, "GB": 10**9}  # noqa: RUF012

    @classmethod
    def parse(cls, value: object) -> "ByteSize":
        """Read a number or a text with a unit; raises ValueError."""
        match = re.fullmatch(r"(\d+) ?([KMG]i?B)?", str(value))
        if isinstance(value, bool) or not match:
            raise ValueError(f"{value!r} is not a size such as 65536, 512KiB or 8MiB")
        return cls(int(match[1]) * cls._UNITS[match[2] or ""])


class _Struct(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


Level = Literal["none", "moderate", "significant", "critical"]


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
    slos: tuple[Slo, ...] = (Slo(target=0.95, seconds=0.1), Slo(target=0.99, seconds=0.5))

    def bounds(self) -> tuple[float, ...]:
        """Return the bounds of the histogram: the buckets, 0.1 and 0.5, and those of the objectives."""
        return tuple(sorted({*self.buckets, 0.1, 0.5, *(slo.seconds for slo in self.slos)}))


class Learn(_Struct, frozen=True):
    """Learn the reference from the first `events`."""

    events: int = 10_000
    bins: int = 10
    categories: int = 50


WINDOWS = (Duration("5m"), Duration("1h"), Duration("24h"))


class ModelConfig(_Struct, frozen=True):
    """One model: its name and reference, and how it is watched."""

    name: str
    version: str = ""
    reference: str | None = None
    learn: Learn = Learn()
    windows: tuple[Duration, ...] = WINDOWS
    latency: LatencyConfig = LatencyConfig()
    drift: DriftConfig = DriftConfig()

    def drift_window(self) -> Duration:
        """Return the window that levels are judged on: the configured one, or 1h where there is one, or the first."""
        wanted = self.drift.window or Duration("1h")
        return next((window for window in self.windows if window == wanted), self.windows[0])


class Limits(_Struct, frozen=True):
    """Bounds on what is accepted."""

    body_bytes: ByteSize = ByteSize(8 * 2**20)
    inflight_bytes: ByteSize = ByteSize(64 * 2**20)
    events_per_body: int = 100_000
    features: int = 1000
    categories: int = 200
    string_length: int = 1024


class Config(_Struct, frozen=True):
    """Everything the file says."""

    models: tuple[ModelConfig, ...] = (ModelConfig(name="default"),)
    limits: Limits = Limits()


T = TypeVar("T")


def load(path: Path) -> Config:
    """Read and check a configuration file; raises ConfigError."""
    return parse(read_text(path), path)


def parse(text: str, path: Path) -> Config:
    """Read and check the text of a configuration file; `path` names it in errors."""
    config = convert_yaml(text, path, Config)
    for key, value, allowed in _mistakes(config):
        raise ConfigError(f"{path}: {key}: {_shown(value)} is not allowed: {allowed}")
    models = tuple(_beside(model, path.parent) for model in config.models)
    return msgspec.structs.replace(config, models=models)


def read_text(path: Path) -> str:
    """Read a file of UTF-8 text; raises ConfigError."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: it is not UTF-8: {error}") from error


def convert_yaml(text: str, path: Path, kind: type[T]) -> T:
    """Convert a YAML document to a struct, an empty one to its defaults; raises ConfigError."""
    document = _read_yaml(text, path)
    if document is None:
        document = {}
    try:
        return msgspec.convert(document, kind, dec_hook=_convert_special)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {_sentence(str(error), document)}") from error


def _beside(model: ModelConfig, directory: Path) -> ModelConfig:
    """Make the path of the reference, which is relative to the file, relative to the working directory."""
    if model.reference is None:
        return model
    return msgspec.structs.replace(model, reference=str(directory / model.reference))


class _UniqueKeys(yaml.SafeLoader):
    """SafeLoader that refuses a key given twice, where YAML would silently take the last."""

    def construct_scalar(self, node: yaml.ScalarNode | yaml.MappingNode) -> str:
        text = str(super().construct_scalar(node))
        if re.search("[\ud800-\udfff]", text):
            problem = "half a surrogate pair is no character"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
        return text

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[object] = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                raise yaml.constructor.ConstructorError(
                    None, None, "merge keys (<<) are not supported", key_node.start_mark
                )
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str) and key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is there twice", key_node.start_mark
                )
            seen.add(key if isinstance(key, str) else id(key_node))
        return super().construct_mapping(node, deep=deep)


def _read_yaml(text: str, path: Path) -> Any:
    try:
        return yaml.load(text, Loader=_UniqueKeys)  # noqa: S506  (a SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f" line {mark.line + 1}:" if mark else ""
        raise ConfigError(f"{path}:{line} {error.problem or error.context}") from error
    except Exception as error:  # whatever PyYAML's constructors stumble over, such as the ValueError of 2026-13-45
        raise ConfigError(f"{path}: not YAML: {' '.join(str(error).split())}") from error


def _convert_special(kind: type, value: Any) -> Any:
    if kind is Duration:
        if not isinstance(value, str):
            raise ValueError(f"{value!r} is not a duration such as 30s, 5m, 1h30m or 1d")
        return Duration(value)
    if kind is ByteSize:
        return ByteSize.parse(value)
    raise NotImplementedError(kind)


def _sentence(message: str, document: Any) -> str:
    what, _, place = message.partition(" - at `$")
    keys = place.rstrip("`").lstrip(".")
    value = document
    for name, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", keys):
        try:
            value = value[int(index)] if index else value[name]
        except (LookupError, TypeError):
            return f"{keys}: {what}"
    what = what.replace("Object contains unknown field", "there is no such key:").replace(
        "Object missing required field", "it lacks the key"
    )
    if not keys:
        return what
    if isinstance(value, dict | list):
        return f"{keys}: {what}"
    shown = _shown(value)
    return f"{keys}: {what}" if what.startswith(shown) else f"{keys}: {shown}: {what}"


def _shown(value: object) -> str:
    """Return a value as people are told it, cut short; an integer may even have more digits than Python shows."""
    try:
        shown = repr(value)
    except ValueError:
        return "a huge number"
    return shown if len(shown) <= 200 else shown[:199] + "…"


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
    for field in msgspec.structs.fields(Limits):
        value = getattr(config.limits, field.name)
        allow(value >= 1, f"limits.{field.name}", value, "at least 1")
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
