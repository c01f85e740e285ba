"""The HTTP interface of `serve`, as one table: every operation with its parameters, bodies and statuses."""

from collections.abc import Mapping

from sidecar.http.openapi import (
    COUNT,
    JSON,
    STRING,
    TEXT,
    Answer,
    Operation,
    Schema,
    document,
    json,
    list_of,
    object_of,
    of,
    text,
)
from sidecar.serve.schemas import SCHEMAS

_TAG = {"ETag": ("what tells this page from another", STRING)}
_RETRY_AFTER = {"Retry-After": ("seconds to wait before it is sent again", COUNT)}

_BUSY = Answer(when="Too many ask for long answers at once.", content={TEXT: STRING}, headers=_RETRY_AFTER)
_FOREIGN = json("It comes from a web page of another origin, or is for a foreign host name.", of("Error"))


def _submit(path: str, summary: str, bodies: Mapping[str, Schema], *, one: str, unsupported: str) -> Operation:
    """Describe how bodies of many things are taken; `one` is the name of one of them, `unsupported` when 415 comes."""
    return Operation(
        method="post",
        path=path,
        summary=summary,
        bodies=bodies,
        answers={
            200: json(f"Some {one}s were counted, some refused.", of("Refused")),
            202: json(f"Every {one} was counted.", of("Accepted")),
            400: json("The body cannot be read.", of("Error")),
            403: _FOREIGN,
            408: json("The body did not arrive in time; nothing of it was counted.", of("Error")),
            413: json(f"The body is too large, or has too many {one}s.", of("Error")),
            415: json(f"The media type is not one of these, or {unsupported}.", of("Error")),
            422: json(f"Every {one} was refused.", of("Refused")),
            503: Answer(
                when="Too many bodies at once; nothing of this one was counted, so send it again.",
                content={JSON: of("Error")},
                headers=_RETRY_AFTER,
            ),
        },
    )


def _lines(what: str, example: str) -> Schema:
    return {"type": "string", "description": f"{what} on each line", "examples": [example]}


_LABELS: Schema = {"anyOf": [of("Label"), list_of(of("Label")), object_of({"labels": list_of(of("Label"))})]}

MONITOR = _submit(
    "/monitor",
    "Submit prediction events. A body whose media type says nothing is read as JSON.",
    {
        JSON: {"anyOf": [of("Event"), list_of(of("Event")), of("Columns")]},
        "application/x-ndjson": _lines("an event", '{"features": {"transaction_amount": 150.0}}\n{"error": true}\n'),
        "application/x-msgpack": of("Columns"),
        "application/vnd.apache.arrow.stream": {
            "type": "string",
            "format": "binary",
            "description": "record batches of the columns, where the extra `arrow` is installed",
        },
    },
    one="event",
    unsupported="needs the extra `arrow`, which is not installed",
)

LABELS = _submit(
    "/labels",
    "Submit what turned out to be true of predictions, by their id. A label that is joined to one is counted.",
    {
        JSON: _LABELS,
        "application/x-ndjson": _lines("a label", '{"id": "o-17", "label": "fraud"}\n'),
        "application/x-msgpack": _LABELS,
    },
    one="label",
    unsupported="labels are not accepted as it",
)

RELOAD = Operation(
    method="post",
    path="/-/reload",
    summary="Load configuration and references again.",
    answers={
        200: text("They are in use."),
        403: Answer(
            when="Not switched on: --web.enable-lifecycle; or a web page of another origin asks for it.",
            content={TEXT: STRING, JSON: of("Error")},
        ),
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
            503: _BUSY,
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
        answers={200: json("Alerts and levels.", of("Alerts")), 503: _BUSY},
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
        answers={200: Answer(when="The exposition.", content=formats), 503: _BUSY},
    )


def ingest_description(*, telemetry_path: str) -> bytes:
    """Describe the ingest listener and the Unix stream."""
    operations = (MONITOR, LABELS, *READ_ONLY, metrics_operation(telemetry_path), RELOAD)
    return document("model-sidecar", operations, SCHEMAS)


def web_description(*, telemetry_path: str, open_paths: frozenset[str]) -> bytes:
    """Describe a listener for the network, which has nothing that writes."""
    operations = (*READ_ONLY, metrics_operation(telemetry_path))
    return document("model-sidecar", operations, SCHEMAS, guarded=True, open_paths=open_paths)
