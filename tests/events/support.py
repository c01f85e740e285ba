"""Decoders, bodies of the same events in every form, and what decoding gives as plain values."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
from hypothesis import strategies as st

from sidecar.events import forms
from sidecar.events.batch import PREDICTION, PROBABILITY, Batch, Key, Schema
from sidecar.events.decode import Decoder
from sidecar.events.decoded import Decoded
from sidecar.events.forms import Form
from sidecar.monitor.event_buffer import batches

AMOUNT, AGE, MERCHANT = Key("input", "amount"), Key("input", "age"), Key("input", "merchant")


FRAUD = Schema("fraud", numeric=(AMOUNT, AGE, PROBABILITY), categorical=(MERCHANT, PREDICTION))


CHURN = Schema("churn", numeric=(Key("input", "days"), PREDICTION))


LIMITS = {"events_per_body": 50, "values_per_body": 10_000, "string_length": 20, "features": 5}


JSON, NDJSON, MSGPACK = forms.JSON, forms.NDJSON, forms.MSGPACK


def decoder_of(*schemas: Schema, **limits: int) -> Decoder:
    return Decoder(schemas or (FRAUD,), **{**LIMITS, **limits})


def packed(document: Any) -> bytes:
    return msgspec.msgpack.encode(document)


def packed_floats(*numbers: float) -> bytes:
    return np.array(numbers, dtype="<f8").tobytes()


def coded(values: Any, *codes: int, **changes: Any) -> dict[str, Any]:
    return {"values": values, "codes": np.array(codes, dtype="<i4").tobytes()} | changes


def refused(decoded: Decoded) -> list[tuple[int, str, str]]:
    return [(refusal.index, refusal.path, refusal.kind) for refusal in decoded.refusals.first]


@dataclass
class Content:
    """Everything a body says of one model, as plain values."""

    events: int = 0
    errors: int = 0
    unknown: int = 0
    latencies: list[float] = field(default_factory=list)
    columns: dict[Key, list[Any]] = field(default_factory=dict)


def batches_of(decoded: Decoded) -> list[Batch]:
    return batches(decoded.events) if decoded.batch is None else [decoded.batch]


def content_of(*bodies: Decoded) -> dict[str, Content]:
    models: dict[str, Content] = {}
    for batch in (batch for decoded in bodies for batch in batches_of(decoded)):
        content = models.setdefault(batch.schema.model, Content())
        rows = max((len(column) for column in content.columns.values()), default=0)
        numeric = [[None if math.isnan(v) else v for v in column] for column in batch.numeric.tolist()]
        columns = dict(zip(batch.schema.numeric, numeric, strict=True))
        columns |= {k: list(c) for k, c in zip(batch.schema.categorical, batch.categorical, strict=True)}
        for key in content.columns.keys() | columns.keys():
            before = content.columns.get(key, [None] * rows)
            content.columns[key] = before + columns.get(key, [None] * batch.rows)
        content.events += batch.events
        content.errors += batch.errors
        content.unknown += batch.unknown
        content.latencies += batch.latency_seconds.tolist()
    return models


EVENTS: list[dict[str, Any]] = [
    {
        "features": {"amount": 150.0, "age": 40, "merchant": "visa"},
        "prediction": "legitimate",
        "probability": 0.88,
        "latency_ms": 12.5,
        "error": False,
        "model": "fraud",
    },
    {"features": {"amount": None, "age": 7, "merchant": None}, "prediction": True, "error": True},
    {"features": {"amount": -2.5, "age": 1e300, "merchant": 5}, "latency_ms": 0},
    {"features": {"amount": 3, "age": None, "merchant": False}, "probability": 1, "prediction": "x"},
]


def as_columns(events: list[dict[str, Any]]) -> dict[str, Any]:
    names = list(dict.fromkeys(name for event in events for name in event["features"]))
    others = ("prediction", "probability", "latency_ms")
    return {
        "columns": {
            "features": {name: [event["features"].get(name) for event in events] for name in names},
            **{name: [event.get(name) for event in events] for name in others},
            "error": [event.get("error", False) for event in events],
        }
    }


def as_buffers(document: dict[str, Any]) -> dict[str, Any]:
    columns = document["columns"]
    numeric = {
        name: packed_floats(*(math.nan if v is None else v for v in columns["features"][name]))
        for name in ("amount", "age")
        if name in columns["features"]
    }
    latency = packed_floats(*(math.nan if v is None else v for v in columns["latency_ms"]))
    return {"columns": columns | {"features": columns["features"] | numeric, "latency_ms": latency}}


WAYS: dict[str, Callable[[list[dict[str, Any]]], tuple[bytes, Form]]] = {
    "array": lambda events: (json.dumps(events).encode(), JSON),
    "lines": lambda events: ("\n".join(map(json.dumps, events)).encode(), NDJSON),
    "columns": lambda events: (json.dumps(as_columns(events)).encode(), JSON),
    "columns, key not first": lambda events: (
        json.dumps({"model": "fraud"} | as_columns(events)).encode(),
        JSON,
    ),
    "packed columns": lambda events: (packed(as_columns(events)), MSGPACK),
    "packed buffers": lambda events: (packed(as_buffers(as_columns(events))), MSGPACK),
}


numbers = st.none() | st.integers(-(10**6), 10**6) | st.floats(allow_nan=False, allow_infinity=False)


texts = st.none() | st.text(max_size=5) | st.booleans() | st.integers(-9, 9)


good_events = st.fixed_dictionaries(
    {"features": st.fixed_dictionaries({}, optional={"amount": numbers, "age": numbers, "merchant": texts})},
    optional={
        "prediction": texts,
        "probability": st.none() | st.floats(0, 1),
        "latency_ms": st.none() | st.floats(0, 1e6),
        "error": st.booleans(),
    },
)


# An outcome is an exception, or events accepted and the refusals as (index, path, kind).
Outcome = type[Exception] | tuple[int, list[tuple[int, str, str]]]


def one_refusal(path: str, kind: str = "invalid") -> Outcome:
    return (0, [(0, path, kind)])
