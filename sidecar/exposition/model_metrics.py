"""Metrics of a model: predictions, latency, drift, and the bins of its reference."""

from sidecar.exposition.metric import MODEL, Metric
from sidecar.statistics.drift_table import STATISTICS

_WINDOWED = (*MODEL, "role", "feature", "window")
_REFERENCE = (*MODEL, "reference")
_BIN = (*_REFERENCE, "role", "feature", "bin", "range")

PREDICTIONS = Metric("model_predictions_total", "counter", MODEL, "Prediction events counted, errors included.")
PREDICTION_ERRORS = Metric(
    "model_prediction_errors_total", "counter", MODEL, "Prediction events whose error flag was set."
)
LATENCY = Metric("model_latency_seconds", "histogram", MODEL, "Latency of predictions as reported by the model server.")

DRIFT = {
    statistic.name: Metric(
        statistic.metric, "gauge", _WINDOWED, f"{statistic.help} Absent below the minimum of samples."
    )
    for statistic in STATISTICS
}
"""The gauge of each statistic of drift, by the statistic's name."""

WINDOW_SAMPLES = Metric(
    "model_window_samples", "gauge", _WINDOWED, "Events in the window that this feature has a bin for."
)
SIGNIFICANCE_FACTOR = Metric(
    "model_drift_significance_factor",
    "gauge",
    (*_REFERENCE, "role", "feature"),
    "Multiply by (1/N + 1/M), N live and M reference samples, to get the smallest significant PSI.",
)
BIN_OBSERVATIONS = Metric("model_bin_observations_total", "counter", _BIN, "Events by bin of the reference profile.")
BIN_REFERENCE_RATIO = Metric(
    "model_bin_reference_ratio", "gauge", _BIN, "Share of the reference in this bin; sums to 1."
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
    (*_REFERENCE, "source", "model_version"),
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
    (*MODEL, "role", "feature"),
    "Numeric values below the minimum or above the maximum of the reference.",
)

FAMILIES: tuple[Metric, ...] = (
    PREDICTIONS,
    PREDICTION_ERRORS,
    LATENCY,
    *DRIFT.values(),
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
)
"""These metrics, in the order of exposition."""
