"""Events to bodies: columns in JSON, and bare errors as lines of JSON.

A column is encoded by a call of its own, so that an application with other threads gets the interpreter in between.
"""

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

from sidecar.client.event import Event

Encode = Callable[[Any], bytes]

_PLAIN = frozenset((float, int, str, bool, type(None)))


class Body(NamedTuple):
    """What is sent at once: its bytes, their media type, and the events that are in them."""

    content: bytes
    media_type: str
    events: Sequence[Event]


class Unfit(Exception):
    """A value that no event can carry."""


@cache
def encoder() -> Encode:
    """Return the fastest JSON encoder there is."""
    try:
        import orjson
    except ImportError:
        pass
    else:
        dumps: Encode = orjson.dumps
        return dumps
    try:
        import msgspec
    except ImportError:
        return standard_encode
    return msgspec.json.Encoder().encode


def standard_encode(value: Any) -> bytes:
    """Encode by the standard library; in a list, what is not finite becomes null, as the other encoders have it."""
    import json

    def text(value: Any) -> str:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))

    if isinstance(value, list) and not all(math.isfinite(x) for x in value if type(x) is float):
        value = [None if type(x) is float and not math.isfinite(x) else x for x in value]
    return text(value).encode()


def bodies(events: Sequence[Event], model: str | None, encode: Encode) -> tuple[list[Body], int]:
    """Return the bodies that carry these events, and the number of events that hold what cannot be sent."""
    made, unfit = [], 0
    rows = [event for event in events if event[0] is not None]
    bare = [event for event in events if event[0] is None]
    for some, write in ((rows, _columns), (bare, _lines)):
        if not some:
            continue
        body = _written(some, write, model, encode)
        if body is None:
            fit = [event for event in some if _written([event], write, model, encode) is not None]
            unfit += len(some) - len(fit)
            body = _written(fit, write, model, encode) if fit else None
        if body is not None:
            made.append(body)
    return made, unfit


def _written(
    events: Sequence[Event],
    write: Callable[[Sequence[Event], str | None, Encode], Body],
    model: str | None,
    encode: Encode,
) -> Body | None:
    try:
        return write(events, model, encode)
    except Exception:  # noqa: BLE001  (values are the caller's objects, and may do anything when they are looked at)
        return None


def _columns(events: Sequence[Event], model: str | None, encode: Encode) -> Body:
    """Write a batch of columns. `columns` comes first, which is how the sidecar tells such a datagram quickly."""
    rows, predictions, probabilities, latencies, errors = zip(*events, strict=True)
    names: dict[Any, Any] = {}
    for row in rows:
        names.update(row)
    features = [_column(name, [row.get(name) for row in rows], encode) for name in names]
    others = [
        _column(name, values, encode)
        for name, values in (("prediction", predictions), ("probability", probabilities), ("latency_ms", latencies))
        if any(value is not None for value in values)
    ]
    if any(errors) or not (features or others):
        others.append(_column("error", errors, encode))
    tail = [] if model is None else [b',"model":', encode(model)]
    columns = b",".join([b'"features":{' + b",".join(features) + b"}", *others])
    return Body(b"".join([b'{"columns":{', columns, b"}", *tail, b"}"]), "application/json", events)


def _column(name: Any, values: Sequence[Any], encode: Encode) -> bytes:
    if not isinstance(name, str):
        raise Unfit(name)
    plain = list(values) if _PLAIN.issuperset(map(type, values)) else [plain_value(value) for value in values]
    return encode(str.__str__(name)) + b":" + encode(plain)


def _lines(events: Sequence[Event], model: str | None, encode: Encode) -> Body:
    """Write errors that came without features; among columns they would count as rows with every feature missing."""
    lines = []
    for _, prediction, probability, latency, _ in events:
        fields = {"prediction": prediction, "probability": probability, "latency_ms": latency, "model": model}
        given = {name: _finite(plain_value(value)) for name, value in fields.items() if value is not None}
        lines.append(encode({"error": True, **given}))
    return Body(b"\n".join(lines), "application/x-ndjson", events)


def plain_value(value: Any) -> Any:
    """Return a value of a feature or output as JSON has it: numbers of NumPy and decimals as numbers; raises Unfit."""
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
