"""Names of the records and the labels they keep: `level:metric:operation`.

The level says which labels are left: `model_feature_bin` keeps `MODEL`, `reference`, `role`, `feature` and
`bin`.
"""

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


def bin_observations_slice(window: str) -> str:
    """Name the events of a window by bin and by slice of the fleet."""
    return f"model_feature_bin:observations_slice:increase{window}"


def bin_observations(window: str) -> str:
    """Name the events of a window by bin."""
    return f"model_feature_bin:observations:increase{window}"


def observations(window: str) -> str:
    """Name the events of a window by feature."""
    return f"model_feature:observations:increase{window}"


def live_ratio(window: str) -> str:
    """Name the smoothed live share of each bin."""
    return f"model_feature_bin:live:ratio{window}"


def contribution(window: str) -> str:
    """Name what each bin adds to the PSI of its feature."""
    return f"model_feature_bin:drift_psi_contribution:ratio{window}"


def top_contribution(window: str) -> str:
    """Name the bins that add most, with the range that people read."""
    return f"model_feature_bin:drift_psi_contribution:top{window}"


def psi(window: str) -> str:
    """Name the population stability index."""
    return f"model_feature:drift_psi:ratio{window}"


def psi_threshold(window: str) -> str:
    """Name the smallest PSI that means anything for the samples at hand."""
    return f"model_feature:drift_psi_threshold:ratio{window}"


def kl(window: str) -> str:
    """Name the Kullback-Leibler divergence, in nats."""
    return f"model_feature:drift_kl_divergence:nats{window}"


def js(window: str) -> str:
    """Name the Jensen-Shannon divergence, in bits and so between 0 and 1."""
    return f"model_feature:drift_js_divergence:bits{window}"


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
