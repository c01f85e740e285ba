"""Events to bodies: columns in MessagePack, bare errors as lines of JSON, and labels as a list in JSON.

A column is encoded by a call of its own, so that an application with other threads gets the interpreter in between.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Optional

from model_sidecar_client.event import Event, Label
from model_sidecar_client.wire import messagepack

_PLAIN = frozenset((float, int, str, bool, type(None)))


class Body(NamedTuple):
    """What is sent at once: its bytes, their media type, the events or labels in them, and the path they go to."""

    content: bytes
    media_type: str
    events: Sequence[Event | Label]
    path: str = "/monitor"


_Write = Callable[[Sequence[Any], Optional[str]], Body]


class Unfit(Exception):
    """A value that no event can carry."""


def bodies(queued: Sequence[Event | Label], model: str | None) -> tuple[list[Body], int]:
    """Return the bodies that carry events and then labels, and the number of those that hold what cannot be sent."""
    made, unfit = [], 0
    events = [item for item in queued if len(item) != 2]
    rows = [event for event in events if event[0] is not None]
    bare = [event for event in events if event[0] is None]
    labels = [item for item in queued if len(item) == 2] if len(events) < len(queued) else []
    kinds: tuple[tuple[Sequence[Any], _Write], ...] = ((rows, _columns), (bare, _lines), (labels, _labels))
    for some, write in kinds:
        if not some:
            continue
        body = _written(some, write, model)
        if body is None:
            fit = [event for event in some if _written([event], write, model) is not None]
            unfit += len(some) - len(fit)
            body = _written(fit, write, model) if fit else None
        if body is not None:
            made.append(body)
    return made, unfit


def _written(events: Sequence[Any], write: _Write, model: str | None) -> Body | None:
    try:
        return write(events, model)
    except Exception:  # noqa: BLE001  (values are the caller's objects, and may do anything when they are looked at)
        return None


def _columns(events: Sequence[Event], model: str | None) -> Body:
    rows, predictions, probabilities, latencies, errors, ids = zip(*events)
    names: dict[Any, Any] = {}
    for row in rows:
        names.update(row)
    features = {_name(name): _column([row.get(name) for row in rows]) for name in names}
    others = {
        name: _column(values)
        for name, values in (("prediction", predictions), ("probability", probabilities), ("latency_ms", latencies))
        if any(value is not None for value in values)
    }
    if any(errors) or not (features or others):
        others["error"] = _column(errors)
    if ids.count(None) < len(ids):
        others["id"] = messagepack.column([None if id_ is None else str(id_) for id_ in ids])
    document = {"columns": messagepack.mapping({"features": messagepack.mapping(features)} | others)}
    if model is not None:
        document["model"] = messagepack.text(model)
    return Body(messagepack.mapping(document), "application/x-msgpack", events)


def _name(name: Any) -> str:
    if not isinstance(name, str):
        raise Unfit(name)
    return name


def _column(values: Sequence[Any]) -> bytes:
    return messagepack.column(values if _PLAIN.issuperset(map(type, values)) else [plain_value(x) for x in values])


def _lines(events: Sequence[Event], model: str | None) -> Body:
    """Write errors that came without features; among columns they would count as rows with every feature missing."""
    import json

    lines = []
    for _, prediction, probability, latency, _, _ in events:
        fields = {"prediction": prediction, "probability": probability, "latency_ms": latency, "model": model}
        given = {name: _finite(plain_value(value)) for name, value in fields.items() if value is not None}
        lines.append(json.dumps({"error": True, **given}, ensure_ascii=False).encode())
    return Body(b"\n".join(lines), "application/x-ndjson", events)


def _labels(labels: Sequence[Label], model: str | None) -> Body:
    import json

    named = {} if model is None else {"model": model}
    documents = [{"id": str(id_), "label": _label(label), **named} for id_, label in labels]
    content = json.dumps({"labels": documents}, ensure_ascii=False).encode()
    return Body(content, "application/json", labels, "/labels")


def _label(value: Any) -> Any:
    value = _finite(plain_value(value))
    if value is None:
        raise Unfit(value)
    return value


def plain_value(value: Any) -> Any:
    """Return a value of a feature or output as text, boolean, number or None, whatever class it is of; raises Unfit."""
    if type(value) in _PLAIN:
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if hasattr(value, "item"):
        value = value.item()
        if type(value) in _PLAIN:
            return value
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, int):
        return int(value)
    if hasattr(value, "__float__"):
        return float(value)
    raise Unfit(type(value))


def _finite(value: Any) -> Any:
    return None if type(value) is float and not math.isfinite(value) else value
