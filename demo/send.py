"""Send events to a sidecar, and read what it says."""

import json
import urllib.request
from collections.abc import Iterable, Mapping
from typing import Any

BODY_EVENTS = 500


def send(url: str, events: Iterable[dict[str, Any]]) -> None:
    """Send events to `POST /monitor` as NDJSON, a few hundred at a time."""
    lines: list[str] = []
    for event in events:
        lines.append(json.dumps(event))
        if len(lines) == BODY_EVENTS:
            post(url, lines)
            lines = []
    post(url, lines)


def post(url: str, lines: list[str]) -> None:
    """Send one body; raises RuntimeError unless every event was accepted."""
    if not lines:
        return
    body = "\n".join(lines).encode()
    request = urllib.request.Request(f"{url}/monitor", body, {"Content-Type": "application/x-ndjson"})
    with urllib.request.urlopen(request, timeout=30) as reply:
        answer = json.load(reply)
    if answer != {"accepted": len(lines), "rejected": 0}:
        raise RuntimeError(f"the sidecar refused events: {answer}")


def get(url: str, headers: Mapping[str, str] | None = None) -> Any:
    """Return what a read endpoint answers."""
    with urllib.request.urlopen(urllib.request.Request(url, headers=dict(headers or {})), timeout=30) as reply:
        return json.load(reply)
