"""What the bodies of requests and answers of `serve` look like, as JSON Schemas."""

from sidecar.http.openapi import BOOLEAN, COUNT, NUMBER, STRING, TIME, Schema, list_of, map_of, object_of, of, or_null
from sidecar.statistics.drift_table import STATISTICS

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
                        **{statistic.name: _MAYBE for statistic in STATISTICS},
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
