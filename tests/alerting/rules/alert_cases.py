"""For every alert: series that make it fire, values that must not, and the labels it then has."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sidecar.alerting.rules import Settings, names
from sidecar.alerting.rules.recording.service import latency_slo
from sidecar.base.duration import milliseconds

SETTINGS = Settings()
WINDOW = SETTINGS.drift.alert_window
NOW = SETTINGS.service.window

MODEL = {"namespace": "prod", "model": "fraud"}
REFERENCE = {**MODEL, "reference": "aaaa0000"}
REPLICA = {"namespace": "prod", "job": "model-sidecar", "instance": "a:9100", "pod": "a"}


@dataclass(frozen=True)
class Gauge:
    """Describe a series by its value while things are bad and while they are good; None is absent."""

    labels: Mapping[str, str]
    bad: float | None
    good: float | None

    def values(self, phases: list[tuple[bool, int]]) -> str:
        """Write so many minutes of each phase."""
        return " ".join(_constant(self.bad if bad else self.good, minutes) for bad, minutes in phases)


@dataclass(frozen=True)
class Counter:
    """Describe a counter by its rise a minute while things are bad and while they are good."""

    labels: Mapping[str, str]
    bad: int
    good: int

    def values(self, phases: list[tuple[bool, int]]) -> str:
        """Write so many minutes of each phase."""
        total, values = 1000, []
        for bad, minutes in phases:
            for _ in range(minutes):
                values.append(str(total))
                total += self.bad if bad else self.good
        return " ".join(values)


Signal = Gauge | Counter


@dataclass(frozen=True, kw_only=True)
class Case:
    """Describe what one alert looks at; `harmless` lists values in which nothing may fire."""

    alert: str
    signals: Mapping[str, Signal]
    labels: Mapping[str, str]
    harmless: list[Mapping[str, float | None]] = field(default_factory=list)
    for_: str = ""
    settle: int = 8
    """Minutes that the windows of the alert's own expression add."""

    @property
    def name(self) -> str:
        """Name the case among others of the same alert."""
        extra = [self.labels[key] for key in ("slo", "long_window", "variant") if key in self.labels]
        extra += [self.labels["label"]] if "label" in self.labels else []
        return "-".join([self.alert, *extra])

    @property
    def wait(self) -> int:
        """Return the minutes that the alert waits."""
        return milliseconds(self.for_ or SETTINGS.policy(self.alert).for_ or "0s") // 60_000

    @property
    def alert_labels(self) -> dict[str, str]:
        """Return every label of the alert."""
        policy = SETTINGS.policy(self.alert)
        return {"severity": policy.severity or "", "action": policy.action, **self.labels}


def _constant(value: float | None, minutes: int) -> str:
    # As where a series ends: Prometheus writes a marker, so that it is gone at once.
    return " ".join(["stale", *["_"] * (minutes - 1)] if value is None else [repr(value)] * minutes)


def _drift(kind: str, role: str) -> list[Case]:
    feature = {**REFERENCE, "role": role, "feature": "amount"}
    other = {**feature, "role": "input" if role == "output" else "output"}
    bands = {
        "Moderate": (0.15, [0.0999, 0.2, 0.3, 0.7]),
        "Significant": (0.22, [0.1999, 0.251, 0.7]),
        "Critical": (0.3, [0.25, 0.15]),
        "Rollback": (0.6, [0.5, 0.3]),
    }
    return [
        Case(
            alert=f"{level}{kind}",
            signals={
                names.psi(WINDOW): Gauge(feature, bad, 0.02),
                names.psi_threshold(WINDOW): Gauge(feature, 0.05, 0.05),
                "other_role": Gauge({"__name__": names.psi(WINDOW), **other}, 0.0, 0.0),
            },
            labels=feature,
            harmless=[
                *({names.psi(WINDOW): value} for value in outside),
                {names.psi_threshold(WINDOW): bad + 0.01},
                {names.psi_threshold(WINDOW): None},
                {names.psi(WINDOW): 0.0, "other_role": bad},
            ],
        )
        for level, (bad, outside) in bands.items()
    ]


def _candidate() -> list[Case]:
    window, (psi, least) = (
        SETTINGS.canary.window,
        (name(SETTINGS.canary.window) for name in (names.candidate_psi, names.candidate_psi_threshold)),
    )
    excess, chance = names.candidate_excess_errors(window), names.candidate_excess_errors_threshold(window)
    drift = []
    for alert, role in (("CandidateDataDrift", "input"), ("CandidatePredictionDrift", "output")):
        feature = {**REFERENCE, "role": role, "feature": "amount"}
        drift.append(
            Case(
                alert=alert,
                signals={psi: Gauge(feature, 0.3, 0.02), least: Gauge(feature, 0.05, 0.05)},
                labels=feature,
                harmless=[{psi: 0.0999}, {least: 0.31}, {least: None}, {psi: None}],
            )
        )
    return [
        *drift,
        Case(
            alert="CandidateHighErrorRate",
            signals={excess: Gauge(MODEL, 0.03, -0.01), chance: Gauge(MODEL, 0.008, 0.008)},
            labels=MODEL,
            harmless=[{excess: 0.01}, {chance: 0.031}, {chance: None}, {excess: None}],
        ),
    ]


def _service() -> list[Case]:
    count = names.latency_count(NOW)
    return [
        *(
            Case(
                alert=alert,
                signals={
                    names.latency_quantile(percent, NOW): Gauge(MODEL, bad, 0.02),
                    count: Gauge(MODEL, 5000.0, 5000.0),
                },
                labels=MODEL,
                harmless=[{names.latency_quantile(percent, NOW): limit}, {count: 99.0}, {count: None}],
            )
            for alert, percent, bad, limit in (
                ("HighP95Latency", 95, 0.15, 0.1),
                ("CriticalP99Latency", 99, 0.7, 0.5),
            )
        ),
        Case(
            alert="HighErrorRate",
            signals={
                names.error_ratio(NOW): Gauge(MODEL, 0.08, 0.001),
                names.predictions(NOW): Gauge(MODEL, 5000.0, 5000.0),
            },
            labels=MODEL,
            # One failure of two is no reason to roll back.
            harmless=[
                {names.error_ratio(NOW): 0.05},
                {names.error_ratio(NOW): 0.5, names.predictions(NOW): 2.0},
            ],
        ),
    ]


def _quality() -> list[Case]:
    window = SETTINGS.quality.window
    accuracy, labels = names.accuracy(window), names.labels_compared(window)
    return [
        Case(
            alert="ModelAccuracyLow",
            signals={accuracy: Gauge(MODEL, 0.7, 0.9), labels: Gauge(MODEL, 400.0, 400.0)},
            labels=MODEL,
            # At 400 labels 0.76 is just what chance may do to 0.8.
            harmless=[{accuracy: 0.7601}, {labels: 99.0}, {labels: None}, {accuracy: None}],
        )
    ]


def _burns() -> list[Case]:
    objectives = SETTINGS.objectives
    slos = [("LatencyBudgetBurn", latency_slo(one), one.target) for one in objectives.latency]
    slos.append(("ErrorBudgetBurn", "errors", objectives.success))
    cases = []
    for alert, slo, target in slos:
        for burn in objectives.burn:
            labels, limit = {**MODEL, "slo": slo}, burn.factor * (1 - target)
            long, short = names.slo_error_ratio(burn.long), names.slo_error_ratio(burn.short)
            cases.append(
                Case(
                    alert=alert,
                    signals={
                        long: Gauge(labels, limit * 1.05, limit * 0.5),
                        short: Gauge(labels, limit * 1.05, 0.0),
                        names.slo_events(burn.long): Gauge(labels, 5000.0, 5000.0),
                    },
                    labels={
                        **labels,
                        "severity": burn.severity,
                        "long_window": burn.long,
                        "short_window": burn.short,
                    },
                    harmless=[
                        {short: limit * 0.95},
                        {long: limit * 0.95},
                        {names.slo_events(burn.long): 50.0},
                    ],
                    for_=burn.for_,
                )
            )
    return cases


def _health() -> list[Case]:
    events, info = "model_sidecar_events_total", "model_reference_info"
    counted = {**REPLICA, "transport": "http"}
    neighbour = {**counted, "instance": "b:9100", "pod": "b"}
    lost = {**counted, "reason": "overload"}
    invalid = {**counted, "reason": "invalid"}
    seen, feature = names.observations(WINDOW), {**REFERENCE, "role": "input", "feature": "amount"}
    day = 86_400.0
    return [
        Case(
            alert="ModelSidecarDown",
            signals={"up": Gauge(REPLICA, 0.0, 1.0)},
            labels=REPLICA,
        ),
        Case(
            alert="ModelSidecarNoEvents",
            signals={
                events: Counter(counted, 0, 60),
                "neighbour": Counter({"__name__": events, **neighbour}, 60, 60),
            },
            labels=REPLICA,
            # At night, when nobody has had an event for long, nobody is woken.
            harmless=[{events: 1.0}, {events: 0.0, "neighbour": 0.0}],
            settle=20,
        ),
        Case(
            alert="ModelSidecarEventsDropped",
            signals={"model_sidecar_events_dropped_total": Counter(lost, 3, 0)},
            labels={**REPLICA, "reason": "overload"},
        ),
        Case(
            alert="ModelSidecarEventsRejected",
            signals={
                events: Counter(counted, 1000, 1000),
                "model_sidecar_events_rejected_total": Counter(invalid, 30, 1),
            },
            labels={**REPLICA, "reason": "invalid"},
            harmless=[{"model_sidecar_events_rejected_total": 9.0}],
        ),
        Case(
            alert="ModelSidecarUnknownFeatures",
            signals={"model_sidecar_unknown_features_total": Counter({**REPLICA, **MODEL}, 5, 0)},
            labels=MODEL,
        ),
        Case(
            alert="ModelSidecarReferenceMissing",
            signals={
                "model_predictions_total": Counter({**REPLICA, **MODEL}, 60, 60),
                info: Gauge({**REPLICA, **REFERENCE}, None, 1.0),
            },
            labels=MODEL,
        ),
        Case(
            alert="ModelSidecarReferenceStale",
            signals={"model_reference_created_timestamp_seconds": Gauge(REFERENCE, -31 * day, 0.0)},
            labels=REFERENCE,
            harmless=[{"model_reference_created_timestamp_seconds": -29 * day}],
        ),
        Case(
            alert="ModelSidecarReferenceMismatch",
            signals={
                info: Gauge({**REPLICA, **REFERENCE}, 1.0, 1.0),
                "other": Gauge({"__name__": info, **REPLICA, **MODEL, "reference": "bbbb1111"}, 1.0, None),
            },
            labels=MODEL,
        ),
        Case(
            alert="ModelSidecarReferenceMismatch",
            signals={
                names.REFERENCE_ANY: Gauge({**feature, "bin": "00"}, 0.7, 0.7),
                "bin": Gauge({"__name__": names.REFERENCE_ANY, **feature, "bin": "01"}, 0.5, 0.3),
            },
            labels=feature,
            harmless=[{"bin": 0.3005}],
        ),
        Case(
            alert="ModelSidecarDriftMissing",
            signals={
                seen: Gauge(feature, 900.0, 900.0),
                names.REFERENCE_SAMPLES: Gauge(REFERENCE, 10_000.0, 10_000.0),
                names.psi(WINDOW): Gauge(feature, None, 0.01),
            },
            labels=feature,
            # Too few events, or the pods with this reference are gone.
            harmless=[{seen: 199.0}, {names.REFERENCE_SAMPLES: None}],
        ),
        Case(
            alert="ModelSidecarDriftMissing",
            signals={
                names.predictions(WINDOW): Gauge(MODEL, 900.0, 900.0),
                names.REFERENCE_SAMPLES: Gauge(REFERENCE, 10_000.0, 10_000.0),
                seen: Gauge(feature, None, 900.0),
                names.psi(WINDOW): Gauge(feature, None, 0.01),
            },
            labels=MODEL,
            harmless=[{names.predictions(WINDOW): 199.0}, {names.REFERENCE_SAMPLES: None}],
        ),
        Case(
            alert="ModelSidecarLabelsHidden",
            signals={
                "model_predictions_total": Gauge(
                    {**REPLICA, "model": "of-the-target", "exported_model": "fraud"}, 60.0, None
                ),
                "ours": Gauge({"__name__": "model_predictions_total", **REPLICA, **MODEL}, 60.0, 60.0),
            },
            labels={"namespace": "prod", "job": "model-sidecar", "label": "model"},
            harmless=[{"model_predictions_total": None}],
        ),
        Case(
            alert="ModelSidecarLabelsHidden",
            signals={
                "model_drift_significance_factor": Gauge({**REPLICA, **feature, "role": "serving"}, 27.9, None),
                "ours": Gauge({"__name__": "model_drift_significance_factor", **REPLICA, **feature}, 27.9, 27.9),
            },
            labels={"namespace": "prod", "job": "model-sidecar", "label": "role"},
            harmless=[{"model_drift_significance_factor": None}],
        ),
        Case(
            alert="ModelSidecarReloadFailed",
            signals={"model_sidecar_config_last_reload_successful": Gauge(REPLICA, 0.0, 1.0)},
            labels=REPLICA,
        ),
        Case(
            alert="ModelSidecarStorageUnhealthy",
            signals={"model_sidecar_storage_healthy": Gauge(REPLICA, 0.0, 1.0)},
            labels=REPLICA,
            harmless=[{"model_sidecar_storage_healthy": None}],
        ),
    ]


CASES = [
    *_drift("DataDrift", "input"),
    *_drift("PredictionDrift", "output"),
    *_service(),
    *_candidate(),
    *_burns(),
    *_quality(),
    *_health(),
]
