"""The catalogue: every metric the sidecar exports, with its type, labels and help.

Rules, dashboards and documentation are tested against this table. Names are never changed; new ones are added.
"""

from dataclasses import dataclass
from typing import Literal

MetricType = Literal["counter", "gauge", "histogram"]


@dataclass(frozen=True, slots=True)
class Metric:
    """Describe one metric family: full sample name, type, label names in order, help text."""

    name: str
    type: MetricType
    labels: tuple[str, ...]
    help: str


_MODEL = ("model",)
_WINDOWED = ("model", "role", "feature", "window")
_REFERENCE = ("model", "reference")
_BIN = ("model", "reference", "role", "feature", "bin", "range")
_LOSS = ("transport", "reason")

PREDICTIONS = Metric("model_predictions_total", "counter", _MODEL, "Prediction events counted, errors included.")
PREDICTION_ERRORS = Metric(
    "model_prediction_errors_total", "counter", _MODEL, "Prediction events whose error flag was set."
)
LATENCY = Metric(
    "model_latency_seconds", "histogram", _MODEL, "Latency of predictions as reported by the model server."
)

DRIFT_PSI = Metric(
    "model_drift_psi",
    "gauge",
    _WINDOWED,
    "Population stability index of the window against the reference. Absent below the minimum of samples.",
)
DRIFT_KL = Metric(
    "model_drift_kl_divergence",
    "gauge",
    _WINDOWED,
    "Kullback-Leibler divergence of the window from the reference, in nats. Absent below the minimum of samples.",
)
DRIFT_JS = Metric(
    "model_drift_js_divergence",
    "gauge",
    _WINDOWED,
    "Jensen-Shannon divergence, base 2, between 0 and 1. Absent below the minimum of samples.",
)
DRIFT_KS = Metric(
    "model_drift_ks_statistic",
    "gauge",
    _WINDOWED,
    "Largest difference of the cumulative shares at the bin edges, numeric features only, missing left out. "
    "Absent below the minimum of samples.",
)
DRIFT_PSI_THRESHOLD = Metric(
    "model_drift_psi_threshold",
    "gauge",
    _WINDOWED,
    "Smallest PSI that is significant for the samples in the window. Absent below the minimum of samples.",
)
WINDOW_SAMPLES = Metric(
    "model_window_samples", "gauge", _WINDOWED, "Events in the window that this feature has a bin for."
)
SIGNIFICANCE_FACTOR = Metric(
    "model_drift_significance_factor",
    "gauge",
    ("model", "reference", "role", "feature"),
    "Multiply by (1/N + 1/M), N live and M reference samples, to get the smallest significant PSI.",
)

BIN_OBSERVATIONS = Metric("model_bin_observations_total", "counter", _BIN, "Events by bin of the reference profile.")
BIN_REFERENCE_RATIO = Metric(
    "model_bin_reference_ratio", "gauge", _BIN, "Smoothed share of the reference in this bin; sums to 1."
)
REFERENCE_INFO = Metric(
    "model_reference_info",
    "gauge",
    ("model", "reference", "source", "model_version"),
    "The reference profile in use, value 1.",
)
REFERENCE_SAMPLES = Metric("model_reference_samples", "gauge", _REFERENCE, "Rows the reference was built from.")
REFERENCE_CREATED = Metric(
    "model_reference_created_timestamp_seconds",
    "gauge",
    _REFERENCE,
    "When the reference was built, Unix time.",
)
OUT_OF_RANGE = Metric(
    "model_out_of_range_total",
    "counter",
    ("model", "role", "feature"),
    "Numeric values below the minimum or above the maximum of the reference.",
)

EVENTS = Metric("model_sidecar_events_total", "counter", ("transport",), "Events received and counted.")
EVENTS_REJECTED = Metric(
    "model_sidecar_events_rejected_total",
    "counter",
    _LOSS,
    "Events refused as invalid; a body that cannot be read, or is too large, counts as one.",
)
EVENTS_DROPPED = Metric(
    "model_sidecar_events_dropped_total",
    "counter",
    _LOSS,
    "Events lost; a body turned away with status 503 counts as one and may have been sent again.",
)
CONNECTIONS_REFUSED = Metric(
    "model_sidecar_connections_refused_total",
    "counter",
    ("listener",),
    "Connections refused, or closed to make room for others, because the listener had as many as it may keep.",
)
UNKNOWN_FEATURES = Metric(
    "model_sidecar_unknown_features_total",
    "counter",
    _MODEL,
    "Values ignored because the reference has no such feature.",
)
CONFIG_RELOAD_SUCCESSFUL = Metric(
    "model_sidecar_config_last_reload_successful",
    "gauge",
    (),
    "Whether the last load of configuration and references succeeded.",
)
CONFIG_RELOAD_TIMESTAMP = Metric(
    "model_sidecar_config_last_reload_success_timestamp_seconds",
    "gauge",
    (),
    "When configuration and references were last loaded successfully, Unix time.",
)
STORAGE_HEALTHY = Metric(
    "model_sidecar_storage_healthy",
    "gauge",
    (),
    "Whether counts are kept in files, so that they survive a crash. Absent without --storage.path.",
)
STORAGE_FAILURES = Metric(
    "model_sidecar_storage_failures_total",
    "counter",
    (),
    "Attempts to keep counts in files that failed. Absent without --storage.path.",
)
STORAGE_SET_ASIDE = Metric(
    "model_sidecar_storage_set_aside_total",
    "counter",
    ("reason",),
    "Files found at the start that could not be used and were set aside. Absent without --storage.path.",
)
STORAGE_BEGUN_ANEW = Metric(
    "model_sidecar_storage_begun_anew_total",
    "counter",
    ("part",),
    "Counts of models that were kept but begun anew, since a changed configuration gives them another meaning. "
    "Absent without --storage.path.",
)
STORAGE_CHECKPOINT_TIMESTAMP = Metric(
    "model_sidecar_storage_last_checkpoint_timestamp_seconds",
    "gauge",
    (),
    "When all counts were last written as a whole, Unix time. Absent before, and without --storage.path.",
)
STORAGE_CHECKPOINT_BYTES = Metric(
    "model_sidecar_storage_last_checkpoint_bytes",
    "gauge",
    (),
    "Size of all counts as last written. Absent before, and without --storage.path.",
)
BUILD_INFO = Metric(
    "model_sidecar_build_info", "gauge", ("version", "pythonversion"), "Version of the sidecar, value 1."
)

CATALOGUE: tuple[Metric, ...] = (
    PREDICTIONS,
    PREDICTION_ERRORS,
    LATENCY,
    DRIFT_PSI,
    DRIFT_KL,
    DRIFT_JS,
    DRIFT_KS,
    DRIFT_PSI_THRESHOLD,
    WINDOW_SAMPLES,
    SIGNIFICANCE_FACTOR,
    BIN_OBSERVATIONS,
    BIN_REFERENCE_RATIO,
    REFERENCE_INFO,
    REFERENCE_SAMPLES,
    REFERENCE_CREATED,
    OUT_OF_RANGE,
    EVENTS,
    EVENTS_REJECTED,
    EVENTS_DROPPED,
    CONNECTIONS_REFUSED,
    UNKNOWN_FEATURES,
    CONFIG_RELOAD_SUCCESSFUL,
    CONFIG_RELOAD_TIMESTAMP,
    STORAGE_HEALTHY,
    STORAGE_FAILURES,
    STORAGE_SET_ASIDE,
    STORAGE_BEGUN_ANEW,
    STORAGE_CHECKPOINT_TIMESTAMP,
    STORAGE_CHECKPOINT_BYTES,
    BUILD_INFO,
)
"""Every family in the order of exposition; the process adds the standard `process_*` families."""

REJECT_REASONS = ("unreadable", "invalid", "unknown_model", "too_large", "too_many_events")
"""Values of `reason` on `model_sidecar_events_rejected_total`, all exported from the start."""

DROP_REASONS = ("overload",)
"""Values of `reason` on `model_sidecar_events_dropped_total`, all exported from the start."""

SET_ASIDE_REASONS = ("damaged", "foreign", "format", "incomplete", "unreadable")
"""Values of `reason` on `model_sidecar_storage_set_aside_total`, all exported from the start."""

STORED_PARTS = ("traffic", "comparison", "learning")
"""Values of `part` on `model_sidecar_storage_begun_anew_total`, all exported from the start."""
