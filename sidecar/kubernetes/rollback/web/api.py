"""The HTTP interface of the receiver, as one table: every operation with its bodies, statuses and schemas."""

from sidecar.http.openapi import (
    BOOLEAN,
    COUNT,
    JSON,
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

_NOTIFICATION: Schema = object_of(
    {
        "alerts": list_of(
            object_of(
                {
                    "status": {"enum": ["firing", "resolved"]},
                    "labels": map_of(STRING),
                    "startsAt": TIME,
                    "fingerprint": STRING,
                },
                optional=("fingerprint",),
            )
        ),
        "truncatedAlerts": COUNT,
    },
    optional=("truncatedAlerts",),
)

_BRIEF = object_of(dict.fromkeys(("alert", "fingerprint", "action", "outcome", "reason", "workload"), STRING))

SCHEMAS: dict[str, Schema] = {
    "Notification": {
        "description": "What Alertmanager's webhook sends, version 4, as far as it is read.",
        **_NOTIFICATION,
    },
    "Decided": object_of({"alerts": list_of(_BRIEF), "malformed": list_of(STRING)}),
    "History": object_of(
        {
            "decisions": list_of(
                object_of({"at": TIME, "outcome": STRING, "reason": STRING, "dry_run": or_null(BOOLEAN)}),
            ),
            "workloads": list_of(object_of(dict.fromkeys(("kind", "namespace", "name"), STRING))),
            "error": STRING,
        },
        optional=("workloads", "error"),
    ),
    "Error": object_of({"error": STRING}),
}
"""What bodies look like, by the names that the operations use."""

_METRICS = {TEXT: STRING, "application/openmetrics-text": STRING}

OPERATIONS = (
    Operation(
        method="post",
        path="/alerts",
        summary="Decide on every alert of a notification.",
        bodies={JSON: of("Notification")},
        answers={
            200: json("All of it is settled, done or not.", of("Decided")),
            400: json("The body cannot be read, or no alert in it.", of("Error")),
            408: json("The body did not arrive in time.", of("Error")),
            413: json("The body is too large.", of("Error")),
            415: json("The content coding is not known.", of("Error")),
            503: Answer(
                when="Something should be tried again: send the notification again.",
                content={JSON: of("Decided")},
                headers={"Retry-After": ("seconds to wait before it is sent again", COUNT)},
            ),
        },
    ),
    Operation(method="get", path="/", summary="A list of what is here.", answers={200: text("The list.")}),
    Operation(
        method="get",
        path="/history",
        summary="Decisions of this process, and what was done to each workload.",
        answers={200: json("The history.", of("History"))},
    ),
    Operation(
        method="get",
        path="/metrics",
        summary="Everything for Prometheus, in the format that `Accept` prefers.",
        answers={200: Answer(when="The exposition.", content=_METRICS)},
    ),
    Operation(
        method="get", path="/-/healthy", summary="Whether the process is alive.", answers={200: text("It is alive.")}
    ),
    Operation(
        method="get",
        path="/-/ready",
        summary="Whether notifications are taken.",
        answers={200: text("They are."), 503: text("The process is stopping.")},
    ),
)


def description(*, open_paths: frozenset[str]) -> bytes:
    """Describe the listener."""
    return document("model-sidecar rollback receiver", OPERATIONS, SCHEMAS, guarded=True, open_paths=open_paths)
