"""Names of the records and the labels they keep: `level:metric:operation`.

The level says which labels are left: `model_feature_bin` keeps `MODEL`, `reference`, `role`, `feature` and
`bin`.
"""

from typing import Literal

from sidecar.statistics.drift_table import PSI, THRESHOLD, Statistic

MODEL = "namespace, model"
REFERENCE = f"{MODEL}, reference"
KEY = f"{REFERENCE}, role, feature"
BIN = f"{KEY}, bin"

REFERENCE_SLICE = "model_feature_bin:reference_slice:ratio"
REFERENCE_RANGE = "model_feature_bin:reference_range:ratio"
REFERENCE_ANY = "model_feature_bin:reference_any:ratio"
REFERENCE_RATIO = "model_feature_bin:reference:ratio"
BINS_COUNT = "model_feature:bins:count"
SIGNIFICANCE = "model_feature:drift_significance_factor:max"
REFERENCE_SAMPLES = "model_reference:samples:max"
SEASON_SAMPLES = "model_reference:season_samples:max"


def bin_observations_slice(window: str) -> str:
    """Name the events of a window by bin and by slice of the fleet."""
    return f"model_feature_bin:observations_slice:increase{window}"


def bin_observations(window: str) -> str:
    """Name the events of a window by bin."""
    return f"model_feature_bin:observations:increase{window}"


def observations(window: str) -> str:
    """Name the events of a window by feature."""
    return f"model_feature:observations:increase{window}"


def bin_expected_slice(window: str) -> str:
    """Name what a reference by season expects of the events of a window, by bin and by slice of the fleet."""
    return f"model_feature_bin:expected_observations_slice:increase{window}"


def bin_expected(window: str) -> str:
    """Name what a reference by season expects of the events of a window, by bin."""
    return f"model_feature_bin:expected_observations:increase{window}"


def reference_ratio(window: str) -> str:
    """Name the share of each bin in the reference that a window is compared with."""
    return f"model_feature_bin:reference:ratio{window}"


def reference_samples(window: str) -> str:
    """Name the rows of the reference that a window is compared with."""
    return f"model_reference:samples:compared{window}"


def live_ratio(window: str) -> str:
    """Name the live share of each bin."""
    return f"model_feature_bin:live:ratio{window}"


def contribution(window: str) -> str:
    """Name what each bin adds to the PSI of its feature."""
    return f"model_feature_bin:drift_psi_contribution:ratio{window}"


def top_contribution(window: str) -> str:
    """Name the bins that add most, with the range that people read."""
    return f"model_feature_bin:drift_psi_contribution:top{window}"


def statistic(described: Statistic, window: str) -> str:
    """Name a statistic of drift that has a record."""
    return f"model_feature:{described.record}{window}"


def psi(window: str) -> str:
    """Name the population stability index."""
    return statistic(PSI, window)


def psi_threshold(window: str) -> str:
    """Name the smallest PSI that means anything for the samples at hand."""
    return statistic(THRESHOLD, window)


def predictions(window: str) -> str:
    """Name the predictions of a window."""
    return f"model:predictions:increase{window}"


def error_ratio(window: str) -> str:
    """Name the share of predictions that failed."""
    return f"model:prediction_errors:ratio{window}"


def latency_count(window: str) -> str:
    """Name the predictions of a window that came with a latency."""
    return f"model:latency_seconds_count:increase{window}"


def latency_buckets(window: str) -> str:
    """Name the latency histogram of the whole fleet."""
    return f"model:latency_seconds_bucket:rate{window}"


def latency_quantile(percent: int, window: str) -> str:
    """Name a latency quantile of the whole fleet."""
    return f"model:latency_seconds:p{percent}_{window}"


def slo_events(window: str) -> str:
    """Name the events that an objective counts."""
    return f"model:slo_events:increase{window}"


def slo_errors(window: str) -> str:
    """Name the events that miss an objective."""
    return f"model:slo_errors:increase{window}"


def slo_error_ratio(window: str) -> str:
    """Name the share of events that miss an objective."""
    return f"model:slo_errors:ratio{window}"


Side = Literal["candidate", "stable"]
"""The two versions that serve side by side."""


def side_bin_observations_slice(side: Side, window: str) -> str:
    """Name the events of one side by bin and by slice of the fleet."""
    return f"model_feature_bin:{side}_observations_slice:increase{window}"


def side_bin_observations(side: Side, window: str) -> str:
    """Name the events of one side by bin."""
    return f"model_feature_bin:{side}_observations:increase{window}"


def side_observations(side: Side, window: str) -> str:
    """Name the events of one side by feature."""
    return f"model_feature:{side}_observations:increase{window}"


def side_ratio(side: Side, window: str) -> str:
    """Name the share of each bin on one side."""
    return f"model_feature_bin:{side}:ratio{window}"


def candidate_contribution(window: str) -> str:
    """Name what each bin adds to the PSI of candidate against stable."""
    return f"model_feature_bin:candidate_drift_psi_contribution:ratio{window}"


def candidate_psi(window: str) -> str:
    """Name the PSI of candidate against stable."""
    return f"model_feature:candidate_drift_psi:ratio{window}"


def candidate_psi_threshold(window: str) -> str:
    """Name the smallest PSI of candidate against stable that means anything."""
    return f"model_feature:candidate_drift_psi_threshold:ratio{window}"


def side_predictions(side: Side, window: str) -> str:
    """Name the predictions of one side."""
    return f"model:{side}_predictions:increase{window}"


def side_error_ratio(side: Side, window: str) -> str:
    """Name the share of predictions of one side that failed."""
    return f"model:{side}_prediction_errors:ratio{window}"


def candidate_excess_errors(window: str) -> str:
    """Name by how much the candidate's share of failed predictions is higher than that of stable."""
    return f"model:candidate_excess_errors:ratio{window}"


def candidate_excess_errors_threshold(window: str) -> str:
    """Name the smallest excess of failed predictions that means anything."""
    return f"model:candidate_excess_errors_threshold:ratio{window}"


def side_latency_count(side: Side, window: str) -> str:
    """Name the predictions of one side that came with a latency."""
    return f"model:{side}_latency_seconds_count:increase{window}"


def side_latency_p95(side: Side, window: str) -> str:
    """Name the latency quantile of one side."""
    return f"model:{side}_latency_seconds:p95_{window}"


def candidate_latency_ratio(window: str) -> str:
    """Name how many times as long the candidate takes as stable, at p95."""
    return f"model:candidate_latency:p95_ratio{window}"


def label_outcomes(window: str) -> str:
    """Name the labels of a window by predicted and actual class."""
    return f"model_label:outcomes:increase{window}"


def labels_compared(window: str) -> str:
    """Name the labels of a window whose prediction was a class."""
    return f"model:labels_compared:increase{window}"


def label_hits(window: str) -> str:
    """Name the labels of a window that are what was predicted, by class."""
    return f"model_class:label_hits:increase{window}"


def accuracy(window: str) -> str:
    """Name the share of labels that are what was predicted."""
    return f"model:accuracy:ratio{window}"


def precision(window: str) -> str:
    """Name the share of predictions of a class that were right."""
    return f"model_class:precision:ratio{window}"


def recall(window: str) -> str:
    """Name the share of what was of a class that had been predicted."""
    return f"model_class:recall:ratio{window}"


def brier_score(window: str) -> str:
    """Name the Brier score."""
    return f"model:brier_score:mean{window}"


def calibration_error(window: str) -> str:
    """Name the expected calibration error."""
    return f"model:calibration_error:ratio{window}"


def mean_absolute_error(window: str) -> str:
    """Name the mean absolute error of predictions that are numbers."""
    return f"model:absolute_error:mean{window}"


def root_mean_square_error(window: str) -> str:
    """Name the root of their mean squared error."""
    return f"model:squared_error:root_mean{window}"


def labels(window: str) -> str:
    """Name the labels of a window."""
    return f"model:labels:increase{window}"


def label_coverage(window: str) -> str:
    """Name the share of predictions that got a label."""
    return f"model:label_coverage:ratio{window}"
