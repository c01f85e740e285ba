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
BIN_EXPECTED_OBSERVATIONS = Metric(
    "model_bin_expected_observations_total",
    "counter",
    _BIN,
    "Events that the reference expects in this bin, given the hours in which events came. "
    "Only for references by season.",
)
REFERENCE_INFO = Metric(
    "model_reference_info",
    "gauge",
    ("model", "reference", "source", "model_version"),
    "The reference profile in use, value 1.",
)
REFERENCE_SAMPLES = Metric("model_reference_samples", "gauge", _REFERENCE, "Rows the reference was built from.")
REFERENCE_SEASON_SAMPLES = Metric(
    "model_reference_season_samples",
    "gauge",
    _REFERENCE,
    "Rows the reference has for the hour of now. Only for references by season.",
)
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

_WINDOW = ("model", "window")
_CLASS = ("model", "class", "window")
_CALIBRATION = ("model", "bin", "range")

LABEL_PREDICTIONS = Metric(
    "model_label_predictions_total", "counter", _MODEL, "Predictions with an id, kept until their label comes."
)
LABEL_PREDICTIONS_REPEATED = Metric(
    "model_label_predictions_repeated_total",
    "counter",
    _MODEL,
    "Predictions whose id had been used by one that is still kept; the first one counts.",
)
LABEL_PREDICTIONS_UNLABELLED = Metric(
    "model_label_predictions_unlabelled_total",
    "counter",
    ("model", "reason"),
    "Predictions that were forgotten without a label: their time was over, or newer ones took their room.",
)
LABEL_PENDING = Metric(
    "model_label_pending_predictions", "gauge", _MODEL, "Predictions that are kept and have no label yet."
)
LABELS = Metric("model_labels_total", "counter", _MODEL, "Labels that were joined to their prediction.")
LABELS_COMPARED = Metric("model_labels_compared_total", "counter", _MODEL, "Labels of predictions that were a class.")
LABELS_CORRECT = Metric("model_labels_correct_total", "counter", _MODEL, "Labels that are the class predicted.")
LABEL_OUTCOMES = Metric(
    "model_label_outcomes_total",
    "counter",
    ("model", "predicted", "actual"),
    "Labels by the class predicted and the actual one; classes beyond the first are other.",
)
CALIBRATION_OBSERVATIONS = Metric(
    "model_calibration_observations_total",
    "counter",
    _CALIBRATION,
    "Labels of predictions with a probability, by its bin.",
)
CALIBRATION_CAME_TRUE = Metric(
    "model_calibration_came_true_total",
    "counter",
    _CALIBRATION,
    "Labels that are what the probability was of, by its bin.",
)
CALIBRATION_PROBABILITY = Metric(
    "model_calibration_probability_total", "counter", _CALIBRATION, "Sum of the probabilities, by bin."
)
CALIBRATION_SQUARED_ERROR = Metric(
    "model_calibration_squared_error_total",
    "counter",
    _MODEL,
    "Sum of squared differences of probability and what came true, 0 or 1; divide by observations for the Brier score.",
)
DIFFERENCES = Metric(
    "model_label_differences_total", "counter", _MODEL, "Labels that are numbers, of predictions that were."
)
ABSOLUTE_ERROR = Metric(
    "model_label_absolute_error_total", "counter", _MODEL, "Sum of absolute differences of prediction and label."
)
SQUARED_ERROR = Metric(
    "model_label_squared_error_total", "counter", _MODEL, "Sum of squared differences of prediction and label."
)
WINDOW_LABELS = Metric(
    "model_window_labels", "gauge", _WINDOW, "Labels that came in the window and were joined to their prediction."
)
LABEL_COVERAGE = Metric(
    "model_label_coverage_ratio",
    "gauge",
    _WINDOW,
    "Share of predictions with a label among those that got one in the window or were forgotten in it. Absent below "
    "the minimum of labels, and until the first predictions have had their time.",
)
ACCURACY = Metric(
    "model_accuracy_ratio",
    "gauge",
    _WINDOW,
    "Share of labels that are the class predicted. Absent with too few labels.",
)
PRECISION = Metric(
    "model_precision_ratio",
    "gauge",
    _CLASS,
    "Share of predictions of the class that were right. Absent with too few labels, or none of such predictions.",
)
RECALL = Metric(
    "model_recall_ratio",
    "gauge",
    _CLASS,
    "Share of labels of the class that had been predicted. Absent with too few labels, or none of the class.",
)
BRIER_SCORE = Metric(
    "model_brier_score",
    "gauge",
    _WINDOW,
    "Mean squared difference of probability and what came true, 0 or 1. Absent with too few labels.",
)
CALIBRATION_ERROR = Metric(
    "model_calibration_error_ratio",
    "gauge",
    _WINDOW,
    "Expected calibration error over ten bins of one width. Absent with too few labels.",
)
MEAN_ABSOLUTE_ERROR = Metric(
    "model_mean_absolute_error",
    "gauge",
    _WINDOW,
    "Mean absolute difference of numeric predictions and labels. Absent with too few labels.",
)
ROOT_MEAN_SQUARE_ERROR = Metric(
    "model_root_mean_square_error",
    "gauge",
    _WINDOW,
    "Root of the mean squared difference of numeric predictions and labels. Absent with too few labels.",
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
LABELS_RECEIVED = Metric("model_sidecar_labels_total", "counter", ("transport",), "Labels received and counted.")
LABELS_REJECTED = Metric(
    "model_sidecar_labels_rejected_total",
    "counter",
    _LOSS,
    "Labels refused; a body that cannot be read, or is too large, counts as one.",
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
STORAGE_RESETS = Metric(
    "model_sidecar_storage_begun_anew_total",
    "counter",
    ("part",),
    "Counts of models that were kept but reset, since a changed configuration gives them another meaning. "
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
    BIN_EXPECTED_OBSERVATIONS,
    REFERENCE_INFO,
    REFERENCE_SAMPLES,
    REFERENCE_SEASON_SAMPLES,
    REFERENCE_CREATED,
    OUT_OF_RANGE,
    LABEL_PREDICTIONS,
    LABEL_PREDICTIONS_REPEATED,
    LABEL_PREDICTIONS_UNLABELLED,
    LABEL_PENDING,
    LABELS,
    LABELS_COMPARED,
    LABELS_CORRECT,
    LABEL_OUTCOMES,
    CALIBRATION_OBSERVATIONS,
    CALIBRATION_CAME_TRUE,
    CALIBRATION_PROBABILITY,
    CALIBRATION_SQUARED_ERROR,
    DIFFERENCES,
    ABSOLUTE_ERROR,
    SQUARED_ERROR,
    WINDOW_LABELS,
    LABEL_COVERAGE,
    ACCURACY,
    PRECISION,
    RECALL,
    BRIER_SCORE,
    CALIBRATION_ERROR,
    MEAN_ABSOLUTE_ERROR,
    ROOT_MEAN_SQUARE_ERROR,
    EVENTS,
    EVENTS_REJECTED,
    EVENTS_DROPPED,
    LABELS_RECEIVED,
    LABELS_REJECTED,
    CONNECTIONS_REFUSED,
    UNKNOWN_FEATURES,
    CONFIG_RELOAD_SUCCESSFUL,
    CONFIG_RELOAD_TIMESTAMP,
    STORAGE_HEALTHY,
    STORAGE_FAILURES,
    STORAGE_SET_ASIDE,
    STORAGE_RESETS,
    STORAGE_CHECKPOINT_TIMESTAMP,
    STORAGE_CHECKPOINT_BYTES,
    BUILD_INFO,
)
"""Every family in the order of exposition; the process adds the standard `process_*` families."""

REJECT_REASONS = ("unreadable", "invalid", "unknown_model", "too_large", "too_many_events")
"""Values of `reason` on `model_sidecar_events_rejected_total`, all exported from the start."""

LABEL_REJECT_REASONS = (
    *("unreadable", "invalid", "unknown_model", "not_configured", "unknown_id", "duplicate"),
    *("too_large", "too_many_labels"),
)
"""Values of `reason` on `model_sidecar_labels_rejected_total`, all exported from the start."""

UNLABELLED_REASONS = ("expired", "evicted")
"""Values of `reason` on `model_label_predictions_unlabelled_total`."""

DROP_REASONS = ("overload",)
"""Values of `reason` on `model_sidecar_events_dropped_total`, all exported from the start."""

SET_ASIDE_REASONS = ("damaged", "foreign", "format", "incomplete", "unreadable")
"""Values of `reason` on `model_sidecar_storage_set_aside_total`, all exported from the start."""

STORED_PARTS = ("traffic", "comparison", "learning", "labels")
"""Values of `part` on `model_sidecar_storage_begun_anew_total`, all exported from the start."""
