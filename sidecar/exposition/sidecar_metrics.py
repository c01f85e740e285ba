"""Metrics of the sidecar itself: what it received and lost, its configuration and its storage."""

from sidecar.exposition.metric import MODEL, Metric

_LOSS = ("transport", "reason")

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
LABELS_RECEIVED = Metric("model_sidecar_labels_total", "counter", ("transport",), "Labels received and counted.")
LABELS_REJECTED = Metric(
    "model_sidecar_labels_rejected_total",
    "counter",
    _LOSS,
    "Labels refused; a body that cannot be read, or is too large, counts as one.",
)
CONNECTIONS_REFUSED = Metric(
    "model_sidecar_connections_refused_total",
    "counter",
    ("listener",),
    "Connections refused, or closed to make room for others, because the listener had as many as it may keep.",
)
REQUESTS_REFUSED = Metric(
    "model_sidecar_requests_refused_total",
    "counter",
    ("listener", "reason"),
    "Requests refused whatever they ask for: of web pages of other origins, for a foreign host name, or too many at "
    "once.",
)
UNKNOWN_FEATURES = Metric(
    "model_sidecar_unknown_features_total",
    "counter",
    MODEL,
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

FAMILIES: tuple[Metric, ...] = (
    EVENTS,
    EVENTS_REJECTED,
    EVENTS_DROPPED,
    LABELS_RECEIVED,
    LABELS_REJECTED,
    CONNECTIONS_REFUSED,
    REQUESTS_REFUSED,
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
"""These metrics, in the order of exposition."""
