"""Metrics of labels: how many came, and how right predictions were."""

from sidecar.exposition.metric import MODEL, Metric

_WINDOW = (*MODEL, "window")
_CLASS = (*MODEL, "class", "window")
_CALIBRATION = (*MODEL, "bin", "range")

LABEL_PREDICTIONS = Metric(
    "model_label_predictions_total", "counter", MODEL, "Predictions with an id, kept until their label comes."
)
LABEL_PREDICTIONS_REPEATED = Metric(
    "model_label_predictions_repeated_total",
    "counter",
    MODEL,
    "Predictions whose id had been used by one that is still kept; the first one counts.",
)
LABEL_PREDICTIONS_UNLABELLED = Metric(
    "model_label_predictions_unlabelled_total",
    "counter",
    (*MODEL, "reason"),
    "Predictions that were forgotten without a label: their time was over, or newer ones took their room.",
)
LABEL_PENDING = Metric(
    "model_label_pending_predictions", "gauge", MODEL, "Predictions that are kept and have no label yet."
)
LABELS = Metric("model_labels_total", "counter", MODEL, "Labels that were joined to their prediction.")
LABELS_COMPARED = Metric("model_labels_compared_total", "counter", MODEL, "Labels of predictions that were a class.")
LABELS_CORRECT = Metric("model_labels_correct_total", "counter", MODEL, "Labels that are the class predicted.")
LABEL_OUTCOMES = Metric(
    "model_label_outcomes_total",
    "counter",
    (*MODEL, "predicted", "actual"),
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
    MODEL,
    "Sum of squared differences of probability and what came true, 0 or 1; divide by observations for the Brier score.",
)
DIFFERENCES = Metric(
    "model_label_differences_total", "counter", MODEL, "Labels that are numbers, of predictions that were."
)
ABSOLUTE_ERROR = Metric(
    "model_label_absolute_error_total", "counter", MODEL, "Sum of absolute differences of prediction and label."
)
SQUARED_ERROR = Metric(
    "model_label_squared_error_total", "counter", MODEL, "Sum of squared differences of prediction and label."
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

FAMILIES: tuple[Metric, ...] = (
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
)
"""These metrics, in the order of exposition."""
