"""The HTTP interface of `serve`, as one table: every operation with its parameters, bodies, statuses and schemas."""

from sidecar.openapi import (
    BOOLEAN,
    COUNT,
    JSON,
    NUMBER,
    STRING,
    TEXT,
    TIME,
    Answer,
    Operation,
    Schema,
    document,
    json,
    list_of,
    map_of,
    object_of,
    of,
    or_null,
    text,
)

_NAME = or_null(STRING)
_MAYBE = or_null(NUMBER)
_SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1}
_VALUE: Schema = {"type": ["number", "string", "boolean", "null"]}
_LEVEL: Schema = {"enum": ["unknown", "none", "moderate", "significant", "critical"]}
_ROLE: Schema = {"enum": ["input", "output"]}
_LEVEL_COUNTS = map_of(COUNT)
_ID: Schema = {"anyOf": [{"type": "string", "minLength": 1}, {"type": "integer"}]}

_SLOS = list_of(
    object_of({"target": NUMBER, "seconds": NUMBER, "within": or_null(_SHARE), "met": or_null(BOOLEAN)}),
)

SCHEMAS: dict[str, Schema] = {
    "Event": {
        "description": "A prediction. `features` may be left out of an error.",
        **object_of(
            {
                "features": {"anyOf": [map_of(_VALUE), {"type": "null"}]},
                "prediction": _VALUE,
                "probability": or_null(_SHARE),
                "latency_ms": or_null({"type": "number", "minimum": 0}),
                "error": BOOLEAN,
                "id": or_null(_ID),
                "model": STRING,
            },
            optional=("features", "prediction", "probability", "latency_ms", "error", "id", "model"),
        ),
        "examples": [
            {
                "features": {"transaction_amount": 150.0, "merchant": "visa", "distance": None},
                "prediction": "legitimate",
                "probability": 0.88,
                "latency_ms": 12.5,
            }
        ],
    },
    "Columns": {
        "description": "Predictions of one model, a list for each feature, all of one length. In MessagePack a column "
        "of numbers may be a binary of little-endian float64, in which NaN is missing.",
        **object_of(
            {
                "columns": object_of(
                    {
                        "features": map_of(list_of(_VALUE)),
                        "prediction": or_null(list_of(_VALUE)),
                        "probability": or_null(list_of(or_null(_SHARE))),
                        "latency_ms": or_null(list_of(or_null({"type": "number", "minimum": 0}))),
                        "error": or_null(list_of(BOOLEAN)),
                        "id": or_null(list_of(or_null(_ID))),
                    },
                    optional=("prediction", "probability", "latency_ms", "error", "id"),
                ),
                "model": STRING,
            },
            optional=("model",),
        ),
        "examples": [
            {
                "columns": {
                    "features": {"transaction_amount": [150.0, 8.5], "merchant": ["visa", None]},
                    "latency_ms": [12.5, 11.0],
                }
            }
        ],
    },
    "Label": {
        "description": "What turned out to be true of a prediction.",
        **object_of(
            {"id": _ID, "label": {"type": ["number", "string", "boolean"]}, "model": or_null(STRING)},
            optional=("model",),
        ),
        "examples": [{"id": "o-17", "label": "fraud"}],
    },
    "Accepted": object_of({"accepted": COUNT, "rejected": {"const": 0}}),
    "Refused": object_of(
        {
            "accepted": COUNT,
            "rejected": {"type": "integer", "minimum": 1},
            "errors": {
                **list_of(object_of({"index": COUNT, "path": STRING, "reason": STRING})),
                "minItems": 1,
                "maxItems": 10,
            },
        }
    ),
    "Error": object_of({"error": STRING}),
    "Drift": object_of(
        {
            "timestamp": TIME,
            "features_monitored": COUNT,
            "drift_detected": BOOLEAN,
            "psi_scores": map_of(_MAYBE),
            "drifted_features": list_of(STRING),
            "models": map_of(of("ModelDrift")),
        }
    ),
    "ModelDrift": object_of(
        {
            "window": STRING,
            "windows": list_of(STRING),
            "reference": or_null(
                object_of(
                    {
                        "fingerprint": STRING,
                        "source": STRING,
                        "model_version": STRING,
                        "rows": COUNT,
                        "created": TIME,
                        "season": or_null(object_of({"cycle": STRING, "time_zone": STRING})),
                    }
                )
            ),
            "learning": or_null(object_of({"events": COUNT, "of": COUNT})),
            "min_samples": COUNT,
            "levels": map_of(object_of({"input": _LEVEL_COUNTS, "output": _LEVEL_COUNTS})),
            "matched": COUNT,
            "features": list_of(of("FeatureDrift")),
        }
    ),
    "FeatureDrift": object_of(
        {
            "feature": STRING,
            "role": _ROLE,
            "kind": {"enum": ["numeric", "categorical"]},
            "level": _LEVEL,
            "psi": _MAYBE,
            "thresholds": object_of(dict.fromkeys(("moderate", "significant", "critical", "rollback"), NUMBER)),
            "windows": map_of(
                object_of(
                    {
                        **dict.fromkeys(("psi", "kl", "js", "ks", "threshold"), _MAYBE),
                        "level": _LEVEL,
                        "samples": COUNT,
                        "missing_ratio": or_null(_SHARE),
                    }
                )
            ),
            "out_of_range": or_null(COUNT),
            "bins_window": STRING,
            "bins": list_of(
                object_of(
                    {
                        **dict.fromkeys(("bin", "range"), STRING),
                        **dict.fromkeys(("reference", "live"), _SHARE),
                        "count": COUNT,
                        "contribution": NUMBER,
                    }
                )
            ),
        },
        optional=("out_of_range", "bins_window", "bins"),
    ),
    "Latency": object_of(
        {
            "timestamp": TIME,
            "unit": {"const": "seconds"},
            "models": map_of(
                object_of(
                    {
                        "error_limit": _SHARE,
                        "min_predictions": COUNT,
                        "windows": map_of(
                            object_of(
                                {
                                    "count": COUNT,
                                    **dict.fromkeys(("p50", "p95", "p99", "mean"), _MAYBE),
                                    "events": COUNT,
                                    "errors": COUNT,
                                    "error_ratio": or_null(_SHARE),
                                    "slos": _SLOS,
                                }
                            )
                        ),
                    }
                )
            ),
        }
    ),
    "Quality": object_of({"timestamp": TIME, "models": map_of(or_null(of("ModelQuality")))}),
    "ModelQuality": object_of(
        {
            "predictions": object_of(dict.fromkeys(("kept", "pending", "expired", "evicted", "repeated"), COUNT)),
            "positive": _NAME,
            "min_labels": COUNT,
            "windows": map_of(
                object_of(
                    {
                        "labels": COUNT,
                        **dict.fromkeys(("coverage", "accuracy"), or_null(_SHARE)),
                        "classes": map_of(object_of(dict.fromkeys(("precision", "recall"), or_null(_SHARE)))),
                        **dict.fromkeys(("brier_score", "calibration_error"), or_null(_SHARE)),
                        **dict.fromkeys(("mean_absolute_error", "root_mean_square_error"), _MAYBE),
                    }
                )
            ),
        }
    ),
    "Alerts": object_of(
        {
            "timestamp": TIME,
            "alerts": list_of(
                object_of(
                    {
                        **dict.fromkeys(("alert", "model"), STRING),
                        "role": _ROLE,
                        **dict.fromkeys(("feature", "window"), STRING),
                        **dict.fromkeys(("value", "limit"), NUMBER),
                    },
                    optional=("role", "feature"),
                )
            ),
            "models": map_of(
                object_of(
                    {
                        "features": list_of(
                            object_of({"feature": STRING, "role": _ROLE, "level": _LEVEL, "psi": _MAYBE})
                        ),
                        "slos": _SLOS,
                        "error_ratio": or_null(_SHARE),
                    }
                )
            ),
            "alertmanager": object_of({"alerts": or_null(list_of({"type": "object"})), "error": _NAME}),
        },
        optional=("alertmanager",),
    ),
    "Health": object_of(
        {
            "status": {"const": "ok"},
            "version": STRING,
            "uptime_seconds": NUMBER,
            "models": map_of({"enum": ["learning", "monitoring"]}),
            "ingest": map_of(object_of({"events": COUNT, "rejected": map_of(COUNT), "dropped": map_of(COUNT)})),
            "unknown_features": map_of(COUNT),
            "last_load": object_of({"successful": BOOLEAN, "last_success": TIME}),
        }
    ),
}
"""What bodies look like, by the names that the operations use."""

_TAG = {"ETag": ("what tells this page from another", STRING)}
_RETRY_AFTER = {"Retry-After": ("seconds to wait before it is sent again", COUNT)}

MONITOR = Operation(
    method="post",
    path="/monitor",
    summary="Submit prediction events. A body of any media type that is not listed is taken for JSON.",
    bodies={
        JSON: {"anyOf": [of("Event"), list_of(of("Event")), of("Columns")]},
        "application/x-ndjson": {
            "type": "string",
            "description": "an event on each line",
            "examples": ['{"features": {"transaction_amount": 150.0}}\n{"error": true}\n'],
        },
        "application/x-msgpack": of("Columns"),
        "application/vnd.apache.arrow.stream": {
            "type": "string",
            "format": "binary",
            "description": "record batches of the columns, where the extra `arrow` is installed",
        },
    },
    answers={
        200: json("Some events were counted, some refused.", of("Refused")),
        202: json("Every event was counted.", of("Accepted")),
        400: json("The body cannot be read.", of("Error")),
        408: json("The body did not arrive in time; nothing of it was counted.", of("Error")),
        413: json("The body is too large, or has too many events.", of("Error")),
        415: json("The body is an Arrow stream, and the extra for those is not installed.", of("Error")),
        422: json("Every event was refused.", of("Refused")),
        503: Answer(
            when="Too many bodies at once; nothing of this one was counted, so send it again.",
            content={JSON: of("Error")},
            headers=_RETRY_AFTER,
        ),
    },
)

LABELS = Operation(
    method="post",
    path="/labels",
    summary="Submit what turned out to be true of predictions, by their id.",
    bodies={
        JSON: {"anyOf": [of("Label"), list_of(of("Label")), object_of({"labels": list_of(of("Label"))})]},
        "application/x-ndjson": {
            "type": "string",
            "description": "a label on each line",
            "examples": ['{"id": "o-17", "label": "fraud"}\n'],
        },
        "application/x-msgpack": {"anyOf": [of("Label"), list_of(of("Label"))]},
    },
    answers={
        200: json("Some labels were joined to their prediction, some refused.", of("Refused")),
        202: json("Every label was joined to its prediction.", of("Accepted")),
        400: json("The body cannot be read.", of("Error")),
        408: json("The body did not arrive in time; nothing of it was counted.", of("Error")),
        413: json("The body is too large, or has too many labels.", of("Error")),
        422: json("Every label was refused.", of("Refused")),
        503: Answer(
            when="Too many bodies at once; nothing of this one was counted, so send it again.",
            content={JSON: of("Error")},
            headers=_RETRY_AFTER,
        ),
    },
)

RELOAD = Operation(
    method="post",
    path="/-/reload",
    summary="Load configuration and references again.",
    answers={
        200: text("They are in use."),
        403: text("Not switched on: --web.enable-lifecycle."),
        500: text("They are bad, for this reason; the old ones stay in use."),
    },
)

READ_ONLY = (
    Operation(
        method="get",
        path="/",
        summary="A page for people.",
        answers={
            200: Answer(when="The page.", content={"text/html": STRING}, headers=_TAG),
            304: Answer(when="The page is still the one of `If-None-Match`.", content={}, headers=_TAG),
        },
    ),
    Operation(
        method="get",
        path="/drift",
        summary="How far each feature and output has moved.",
        query={
            "model": "limits the answer to a model",
            "feature": "limits the answer to a feature, and adds its bins",
            "window": "the window of the bins, and of the order",
            "match": "limits the answer to features whose name contains it",
            "limit": ("features of each model at the most", {**COUNT, "maximum": 999_999_999}),
        },
        answers={
            200: json("The drift of every window.", of("Drift")),
            400: json("`limit` is not a whole number.", of("Error")),
            404: json("There is no such model, feature or window.", of("Error")),
        },
    ),
    Operation(
        method="get",
        path="/latency",
        summary="Latency, errors and objectives.",
        query={"model": "limits the answer to a model"},
        answers={
            200: json("Latency of every window.", of("Latency")),
            404: json("There is no such model.", of("Error")),
        },
    ),
    Operation(
        method="get",
        path="/quality",
        summary="How right predictions were, by the labels that came; null for models that take none.",
        answers={200: json("Statistics of every window.", of("Quality"))},
    ),
    Operation(
        method="get",
        path="/alerts",
        summary="The conditions of alerts that hold now.",
        answers={200: json("Alerts and levels.", of("Alerts"))},
    ),
    Operation(
        method="get",
        path="/health",
        summary="Whether the process is well, and what it watches.",
        answers={200: json("It is well.", of("Health"))},
    ),
    Operation(
        method="get", path="/-/healthy", summary="Whether the process is alive.", answers={200: text("It is alive.")}
    ),
    Operation(
        method="get",
        path="/-/ready",
        summary="Whether configuration and references are loaded.",
        answers={200: text("They are."), 503: text("The process is stopping.")},
    ),
)


def metrics_operation(path: str) -> Operation:
    """Describe the scrape, whose path may be chosen."""
    formats = {TEXT: STRING, "application/openmetrics-text": STRING}
    return Operation(
        method="get",
        path=path,
        summary="Everything for Prometheus, in the format that `Accept` prefers.",
        answers={200: Answer(when="The exposition.", content=formats)},
    )


def ingest_description(*, telemetry_path: str) -> bytes:
    """Describe the ingest listener and the Unix stream."""
    operations = (MONITOR, LABELS, *READ_ONLY, metrics_operation(telemetry_path), RELOAD)
    return document("model-sidecar", operations, SCHEMAS)


def web_description(*, telemetry_path: str, open_paths: frozenset[str]) -> bytes:
    """Describe a listener for the network, which has nothing that writes."""
    operations = (*READ_ONLY, metrics_operation(telemetry_path))
    return document("model-sidecar", operations, SCHEMAS, guarded=True, open_paths=open_paths)
