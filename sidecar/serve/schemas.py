"""What the bodies of requests and answers of `serve` look like, as JSON Schemas.

Those of reports are written from their structs. Those of requests, and of the answers to them, are written by hand:
what a decoder accepts depends on the references.
"""

from typing import Literal

import msgspec

from sidecar.alerting.conditions import Alerts
from sidecar.http.openapi import BOOLEAN, COUNT, STRING, Schema, list_of, map_of, object_of, or_null
from sidecar.reports.drift_body import Drift
from sidecar.reports.latency_report import Latency
from sidecar.reports.quality_report import Quality
from sidecar.reports.report import Count, Report, Time


class Error(Report, frozen=True):
    """Say why there is no answer."""

    error: str


class TransportCounts(Report, frozen=True):
    """Count the events of one transport: those counted, and those rejected and dropped by reason."""

    events: Count
    rejected: dict[str, Count]
    dropped: dict[str, Count]


class LastLoad(Report, frozen=True):
    """Tell how the last load of configuration and references went, and when one succeeded."""

    successful: bool
    last_success: Time


class Health(Report, frozen=True):
    """Tell that the process is well, what it received and lost since the start, and how it last loaded."""

    status: Literal["ok"]
    version: str
    uptime_seconds: float
    models: dict[str, Literal["learning", "monitoring"]]
    ingest: dict[str, TransportCounts]
    unknown_features: dict[str, Count]
    last_load: LastLoad


_SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1}
_VALUE: Schema = {"type": ["number", "string", "boolean", "null"]}
_ID: Schema = {"anyOf": [{"type": "string", "minLength": 1}, {"type": "integer"}]}

_REQUESTS: dict[str, Schema] = {
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
}

_, _REPORTS = msgspec.json.schema_components(
    [Drift, Latency, Quality, Alerts, Health, Error], ref_template="#/components/schemas/{name}"
)

SCHEMAS: dict[str, Schema] = {**_REQUESTS, **_REPORTS}
"""What bodies look like, by the names that the operations use."""
