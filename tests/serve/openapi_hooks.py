"""Hooks of schemathesis: how our media types are written, and a check that keeps account of what was answered.

The sums of `accepted` and `rejected` are written to the file that SIDECAR_ANSWERED names.
"""

import os
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import schemathesis

answered: Counter[str] = Counter()


@schemathesis.serializer("application/x-msgpack")
def as_msgpack(context: Any, value: Any) -> bytes:
    """Write a body in MessagePack; what that cannot hold, such as huge numbers, as JSON, which is to be refused."""
    try:
        return msgspec.msgpack.encode(value)
    except (OverflowError, TypeError, UnicodeError):
        return repr(value).encode("utf-8", "replace")


@schemathesis.serializer("application/x-ndjson")
def as_lines(context: Any, value: Any) -> bytes:
    """Write a body of lines, whatever they hold."""
    return str(value).encode("utf-8", "replace")


@schemathesis.check
def answers_are_added_up(context: Any, response: Any, case: Any) -> None:
    """Add up what `POST /monitor` says it accepted and refused."""
    if case.path == "/monitor" and case.method.lower() == "post":
        answered["requests"] += 1
        if response.status_code in (200, 202, 422):
            answered["accepted"] += response.json()["accepted"]
            answered["rejected"] += response.json()["rejected"]
        else:
            answered["unread"] += 1
        Path(os.environ["SIDECAR_ANSWERED"]).write_bytes(msgspec.json.encode(answered))
