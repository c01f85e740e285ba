import json
import math
import re
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import sidecar.events.decode as decode_module
from sidecar.events.batch import PREDICTION, PROBABILITY, Batch, Form, Key, Schema, TooManyEvents, Unreadable
from sidecar.events.decode import Decoded, Decoder
from sidecar.events.wire_types import MOST_IGNORED, event_type, learning_schema
from sidecar.monitor.event_buffer import batches

AMOUNT, AGE, MERCHANT = Key("input", "amount"), Key("input", "age"), Key("input", "merchant")
FRAUD = Schema("fraud", numeric=(AMOUNT, AGE, PROBABILITY), categorical=(MERCHANT, PREDICTION))
CHURN = Schema("churn", numeric=(Key("input", "days"), PREDICTION))
LIMITS = {"events_per_body": 50, "string_length": 20, "features": 5}

JSON, NDJSON, MSGPACK = Form.JSON, Form.NDJSON, Form.MSGPACK


def _decoder(*schemas: Schema, **limits: int) -> Decoder:
    return Decoder(schemas or (FRAUD,), **{**LIMITS, **limits})


def _packed(document: Any) -> bytes:
    return msgspec.msgpack.encode(document)


def _buffer(*numbers: float) -> bytes:
    return np.array(numbers, dtype="<f8").tobytes()


def _coded(values: Any, *codes: int, **changes: Any) -> dict[str, Any]:
    return {"values": values, "codes": np.array(codes, dtype="<i4").tobytes()} | changes


def _refused(decoded: Decoded) -> list[tuple[int, str, str]]:
    return [(refusal.index, refusal.path, refusal.kind) for refusal in decoded.refusals.first]


# What batches hold, whichever types and order they were decoded by.


@dataclass
class Content:
    """Everything a body says of one model, as plain values."""

    events: int = 0
    errors: int = 0
    unknown: int = 0
    latencies: list[float] = field(default_factory=list)
    columns: dict[Key, list[Any]] = field(default_factory=dict)


def _batches(decoded: Decoded) -> list[Batch]:
    return batches(decoded.events) if decoded.batch is None else [decoded.batch]


def _content(*bodies: Decoded) -> dict[str, Content]:
    models: dict[str, Content] = {}
    for batch in (batch for decoded in bodies for batch in _batches(decoded)):
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


# Good bodies.

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


def _columns(events: list[dict[str, Any]]) -> dict[str, Any]:
    names = list(dict.fromkeys(name for event in events for name in event["features"]))
    others = ("prediction", "probability", "latency_ms")
    return {
        "columns": {
            "features": {name: [event["features"].get(name) for event in events] for name in names},
            **{name: [event.get(name) for event in events] for name in others},
            "error": [event.get("error", False) for event in events],
        }
    }


def _as_buffers(document: dict[str, Any]) -> dict[str, Any]:
    columns = document["columns"]
    numeric = {
        name: _buffer(*(math.nan if v is None else v for v in columns["features"][name]))
        for name in ("amount", "age")
        if name in columns["features"]
    }
    latency = _buffer(*(math.nan if v is None else v for v in columns["latency_ms"]))
    return {"columns": columns | {"features": columns["features"] | numeric, "latency_ms": latency}}


WAYS: dict[str, Callable[[list[dict[str, Any]]], tuple[bytes, Form]]] = {
    "array": lambda events: (json.dumps(events).encode(), JSON),
    "lines": lambda events: ("\n".join(map(json.dumps, events)).encode(), NDJSON),
    "columns": lambda events: (json.dumps(_columns(events)).encode(), JSON),
    "columns, key not first": lambda events: (
        json.dumps({"model": "fraud"} | _columns(events)).encode(),
        JSON,
    ),
    "packed columns": lambda events: (_packed(_columns(events)), MSGPACK),
    "packed buffers": lambda events: (_packed(_as_buffers(_columns(events))), MSGPACK),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_form_says_the_same(way: str) -> None:
    decoded = _decoder().decode(*WAYS[way](EVENTS))
    assert decoded.accepted == 4
    assert decoded.refusals.total == 0
    content = _content(decoded)["fraud"]
    assert content.events == 4
    assert content.errors == 1
    assert content.latencies == [0.0125, 0.0]
    assert content.columns == {
        AMOUNT: [150.0, None, -2.5, 3.0],
        AGE: [40.0, 7.0, 1e300, None],
        MERCHANT: ["visa", None, 5, False],
        PREDICTION: ["legitimate", True, None, "x"],
        PROBABILITY: [0.88, None, None, 1.0],
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


@given(st.lists(good_events, min_size=1, max_size=12))
def test_every_form_of_any_events_says_the_same(events: list[dict[str, Any]]) -> None:
    events[0]["features"] = {"amount": None, "age": None, "merchant": None} | events[0]["features"]
    answers = {way: _content(_decoder().decode(*make(events))) for way, make in WAYS.items()}
    for answer in answers.values():
        assert answer == answers["array"]


@given(st.lists(good_events, min_size=2, max_size=12), st.integers(1, 11))
def test_splitting_a_body_changes_nothing(events: list[dict[str, Any]], at: int) -> None:
    decoder = _decoder()
    whole = _content(decoder.decode(*WAYS["array"](events)))
    parts = [part for part in (events[:at], events[at:]) if part]
    for way in ("array", "lines"):
        assert _content(*(decoder.decode(*WAYS[way](part)) for part in parts)) == whole


@given(st.lists(good_events, min_size=2, max_size=12), st.randoms(use_true_random=False))
def test_reordering_events_reorders_rows(events: list[dict[str, Any]], random: Any) -> None:
    order = list(range(len(events)))
    random.shuffle(order)
    straight = _content(_decoder().decode(*WAYS["array"](events)))["fraud"]
    mixed = _content(_decoder().decode(*WAYS["array"]([events[i] for i in order])))["fraud"]
    assert mixed.columns == {key: [column[i] for i in order] for key, column in straight.columns.items()}
    assert sorted(mixed.latencies) == sorted(straight.latencies)
    assert (mixed.events, mixed.errors) == (straight.events, straight.errors)


def test_bad_events_between_good_ones_change_nothing_about_the_good() -> None:
    good: list[dict[str, Any]] = [{"features": {"amount": i, "merchant": "m"}, "latency_ms": i} for i in range(6)]
    bad = {"features": {"amount": "12"}}
    mixed = [bad, *good[:3], bad, *good[3:], bad]
    for way in ("array", "lines"):
        decoded = _decoder().decode(*WAYS[way](mixed))
        assert _refused(decoded) == [(i, "$.features.amount", "invalid") for i in (0, 4, 8)]
        assert _content(decoded) == _content(_decoder().decode(*WAYS[way](good)))


def test_one_object_is_one_event() -> None:
    decoded = _decoder().decode(json.dumps(EVENTS[0]).encode(), JSON)
    assert (decoded.accepted, decoded.refusals.total) == (1, 0)


def test_whitespace_around_and_between_values_is_nothing() -> None:
    assert _decoder().decode(b' \r\n\t{"features": {"amount": 1}}\n ', JSON).accepted == 1
    assert _decoder().decode(b' \n [ {"features": {}} , {"features": {}} ] ', JSON).accepted == 2
    assert _decoder().decode(b'\n\n{"features": {}}\r\n  \n{"features": {}}\n\n', NDJSON).accepted == 2
    assert _decoder().decode(b'\n { "columns" : {"features": {"amount": [1]}}}', JSON).accepted == 1


@pytest.mark.parametrize(
    "body", [b"[]", b'{"columns": {"features": {}}}', b'{"columns": {"features": {"amount": []}}}']
)
def test_a_body_without_events_counts_nothing(body: bytes) -> None:
    decoded = _decoder().decode(body, JSON)
    assert (decoded.accepted, decoded.refusals.total) == (0, 0)


def test_error_events_may_leave_features_out() -> None:
    body = b'[{"error": true, "latency_ms": 5}, {"features": null, "error": true}, {"features": {"age": 1}}]'
    decoded = _decoder().decode(body, JSON)
    content = _content(decoded)["fraud"]
    assert (content.events, content.errors, decoded.refusals.total) == (3, 2, 0)
    assert content.latencies == [0.005]
    assert content.columns[AGE] == [1.0]


def test_error_events_without_features_do_not_have_a_body_looked_at_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = _decoder()
    monkeypatch.setattr(decoder, "_each", None)
    bare = {"error": True, "latency_ms": 5}
    for way in ("array", "lines"):
        assert decoder.decode(*WAYS[way]([*EVENTS, bare, bare | {"features": None}])).accepted == len(EVENTS) + 2
    assert decoder.decode_texts([json.dumps(bare).encode()]).accepted == 1
    assert decoder.decode(json.dumps(bare).encode(), JSON).accepted == 1


def test_columns_of_errors_alone_may_leave_features_out() -> None:
    for body, form in (
        (b'{"columns": {"error": [true, true], "latency_ms": [1, 2]}}', JSON),
        (_packed({"columns": {"error": [True, True], "latency_ms": _buffer(1, 2)}}), MSGPACK),
    ):
        decoded = _decoder().decode(body, form)
        content = _content(decoded)["fraud"]
        assert (content.events, content.errors, content.latencies) == (2, 2, [0.001, 0.002])
        assert content.columns[AMOUNT] == []


def test_nan_is_missing_in_packed_columns() -> None:
    nan = math.nan
    for amount, latency, chance in (
        (_buffer(nan, 2), _buffer(nan, 4), _buffer(0.5, nan)),
        ([nan, 2.0], [nan, 4.0], [0.5, nan]),
    ):
        columns = {"features": {"amount": amount}, "latency_ms": latency, "probability": chance}
        decoded = _decoder().decode(_packed({"columns": columns}), MSGPACK)
        content = _content(decoded)["fraud"]
        assert decoded.accepted == 2
        assert content.columns[AMOUNT] == [None, 2.0]
        assert content.columns[PROBABILITY] == [0.5, None]
        assert content.latencies == [0.004]


def test_categories_may_be_packed_as_numbers() -> None:
    for numbers, accepted in ((_buffer(1, math.nan, 0.5), [1.0, None, 0.5]), (_buffer(1, math.inf, 0.5), [1.0, 0.5])):
        decoded = _decoder().decode(_packed({"columns": {"features": {"merchant": numbers}}}), MSGPACK)
        assert _content(decoded)["fraud"].columns[MERCHANT] == accepted
        assert (decoded.batch is None) == (len(accepted) == 2)
        assert decoded.refusals.total == 3 - len(accepted)


def test_null_columns_are_absent_whether_or_not_rows_are_looked_at_one_by_one() -> None:
    absent = {"prediction": None, "probability": None, "latency_ms": None, "error": None}
    for amount in ([1.0, 2.0], [1.0, "x"]):
        decoded = _decoder().decode(json.dumps({"columns": {"features": {"amount": amount}, **absent}}).encode(), JSON)
        assert decoded.accepted == (2 if amount == [1.0, 2.0] else 1)


def test_coded_columns_say_the_same_as_lists() -> None:
    columns = {
        "features": {"amount": _buffer(1, 2, 3), "merchant": _coded(["visa", "amex", "visa"], 2, -1, 1)},
        "prediction": _coded(["ok"], 0, 0, -1),
    }
    decoded = _decoder().decode(_packed({"columns": columns}), MSGPACK)
    content = _content(decoded)["fraud"]
    assert (decoded.accepted, decoded.refusals.total) == (3, 0)
    assert content.columns[MERCHANT] == ["visa", None, "amex"]
    assert content.columns[PREDICTION] == ["ok", "ok", None]


def test_coded_columns_are_read_row_by_row_where_another_column_is_refused() -> None:
    columns = {"features": {"amount": [1, "x", 3], "merchant": _coded(["visa", "amex"], 1, 0, -1)}}
    decoded = _decoder().decode(_packed({"columns": columns}), MSGPACK)
    assert _refused(decoded) == [(1, "$.features.amount", "invalid")]
    assert _content(decoded)["fraud"].columns[MERCHANT] == ["amex", None]


def test_coded_columns_without_rows_are_nothing() -> None:
    columns = {"features": {"amount": b"", "merchant": _coded([])}}
    assert _decoder().decode(_packed({"columns": columns}), MSGPACK).accepted == 0


def test_coded_columns_are_learned_from() -> None:
    decoder = _decoder(learning_schema("fraud"))
    columns = {"features": {"merchant": _coded(["visa", "amex"], 1, 0, -1)}, "prediction": _coded(["ok"], 0, 0, 0)}
    for _ in range(2):  # the second time the kinds are known
        content = _content(decoder.decode(_packed({"columns": columns}), MSGPACK))["fraud"]
        assert content.columns[MERCHANT] == ["amex", "visa", None]
        assert content.columns[PREDICTION] == ["ok", "ok", "ok"]


# Bad bodies. An outcome is an exception, or events accepted and the refusals as (index, path, kind).

Outcome = type[Exception] | tuple[int, list[tuple[int, str, str]]]
DEEP = b"[" * 100_000
DEEP_OBJECT = b'{"a":' * 100_000
FIVE_THOUSAND_DIGITS = b"9" * 5000


def _one(path: str, kind: str = "invalid") -> Outcome:
    return (0, [(0, path, kind)])


_AT = "$.columns.features.merchant"

BAD: list[tuple[str, Form, bytes, Outcome]] = [
    # not JSON
    ("empty", JSON, b"", Unreadable),
    ("whitespace", JSON, b" \n\t ", Unreadable),
    ("byte order mark", JSON, b'\xef\xbb\xbf{"features": {}}', Unreadable),
    ("utf-16", JSON, '{"features": {}}'.encode("utf-16"), Unreadable),
    ("one quote", JSON, b'"', Unreadable),
    ("NaN", JSON, b'{"features": {"amount": NaN}}', Unreadable),
    ("Infinity", JSON, b'{"features": {"amount": Infinity}}', Unreadable),
    ("minus Infinity", JSON, b'{"features": {"amount": -Infinity}}', Unreadable),
    ("leading zero", JSON, b'{"features": {"amount": 01}}', Unreadable),
    ("plus sign", JSON, b'{"features": {"amount": +1}}', Unreadable),
    ("trailing comma", JSON, b'{"features": {"amount": 1,}}', Unreadable),
    ("single quotes", JSON, b"{'features': {}}", Unreadable),
    ("comment", JSON, b'{"features": {}} // done', Unreadable),
    ("two objects", JSON, b'{"features": {}} {"features": {}}', Unreadable),
    ("object after array", JSON, b'[{"features": {}}] {}', Unreadable),
    ("lines as JSON", JSON, b'{"features": {}}\n{"features": {}}', Unreadable),
    ("bad UTF-8 in a key", JSON, b'{"features": {"am\xffount": 1}}', Unreadable),
    ("bad UTF-8 in a value", JSON, b'{"features": {"merchant": "\xff"}}', Unreadable),
    ("bad UTF-8 in a prediction", JSON, b'{"features": {}, "prediction": "\xc3("}', Unreadable),
    ("overlong UTF-8", JSON, b'{"features": {"merchant": "\xc0\xaf"}}', Unreadable),
    ("surrogate in UTF-8", JSON, b'{"features": {"merchant": "\xed\xa0\x80"}}', Unreadable),
    ("lone high surrogate", JSON, rb'{"features": {"merchant": "\ud800"}}', Unreadable),
    ("lone low surrogate", JSON, rb'{"features": {"merchant": "\udc00x"}}', Unreadable),
    ("bad escape", JSON, rb'{"features": {"merchant": "\x41"}}', Unreadable),
    ("control character", JSON, b'{"features": {"merchant": "\x01"}}', Unreadable),
    ("deep arrays", JSON, DEEP, Unreadable),
    ("deep closed arrays", JSON, DEEP + b"]" * 100_000, Unreadable),
    ("deep objects", JSON, DEEP_OBJECT, Unreadable),
    ("deep in a feature", JSON, b'{"features": {"amount": ' + DEEP, Unreadable),
    (
        "deep in an unknown feature",
        JSON,
        b'{"features": {"zzz": ' + DEEP + b"]" * 100_000 + b"}}",
        Unreadable,
    ),
    ("deep in an array of events", JSON, b'[{"features": {}}, ' + DEEP, Unreadable),
    ("deep columns", JSON, b'{"columns": ' + DEEP, Unreadable),
    # JSON, but no events
    ("null", JSON, b"null", _one("$")),
    ("number", JSON, b"5", _one("$")),
    ("true", JSON, b"true", _one("$")),
    ("text", JSON, b'"features"', _one("$")),
    ("huge text", JSON, b'"' + b"x" * 10_000_000 + b'"', _one("$")),
    ("object without features", JSON, b"{}", _one("$.features")),
    ("features null", JSON, b'{"features": null}', _one("$.features")),
    ("features null without error", JSON, b'{"features": null, "error": false}', _one("$.features")),
    ("features a list", JSON, b'{"features": [1, 2]}', _one("$.features")),
    ("features a number", JSON, b'{"features": 5}', _one("$.features")),
    ("features a list in an error event", JSON, b'{"features": [], "error": true}', _one("$.features")),
    ("array of numbers", JSON, b"[1, 2]", (0, [(0, "$", "invalid"), (1, "$", "invalid")])),
    ("array of arrays", JSON, b'[[{"features": {}}]]', _one("$")),
    ("array of nulls", JSON, b'[null, {"features": {}}]', (1, [(0, "$", "invalid")])),
    # wrong values
    ("number as text", JSON, b'{"features": {"amount": "150"}}', _one("$.features.amount")),
    ("number as boolean", JSON, b'{"features": {"amount": true}}', _one("$.features.amount")),
    ("number as list", JSON, b'{"features": {"amount": [1]}}', _one("$.features.amount")),
    ("number as object", JSON, b'{"features": {"amount": {}}}', _one("$.features.amount")),
    ("number as empty text", JSON, b'{"features": {"amount": ""}}', _one("$.features.amount")),
    ("1e400", JSON, b'{"features": {"amount": 1e400}}', _one("$.features.amount")),
    ("1e400 as category", JSON, b'{"features": {"merchant": -1e400}}', _one("$.features.merchant")),
    (
        "5000 digits",
        JSON,
        b'{"features": {"amount": ' + FIVE_THOUSAND_DIGITS + b"}}",
        _one("$.features.amount"),
    ),
    ("400 digits", JSON, b'{"features": {"amount": ' + b"9" * 400 + b"}}", _one("$.features.amount")),
    (
        *("5000 digits as category", JSON),
        *(b'{"features": {"merchant": ' + FIVE_THOUSAND_DIGITS + b"}}", _one("$.features.merchant")),
    ),
    ("category as list", JSON, b'{"features": {"merchant": []}}', _one("$.features.merchant")),
    ("category as object", JSON, b'{"features": {"merchant": {"a": 1}}}', _one("$.features.merchant")),
    ("long category", JSON, b'{"features": {"merchant": "' + b"x" * 21 + b'"}}', _one("$.features.merchant")),
    (
        *("huge category", JSON),
        *(b'{"features": {"merchant": "' + b"x" * 10_000_000 + b'"}}', _one("$.features.merchant")),
    ),
    ("long prediction", JSON, b'{"features": {}, "prediction": "' + b"x" * 21 + b'"}', _one("$.prediction")),
    ("prediction a list", JSON, b'{"features": {}, "prediction": [1]}', _one("$.prediction")),
    ("prediction an object", JSON, b'{"features": {}, "prediction": {}}', _one("$.prediction")),
    ("prediction 1e400", JSON, b'{"features": {}, "prediction": 1e400}', _one("$.prediction")),
    ("probability as text", JSON, b'{"features": {}, "probability": "0.5"}', _one("$.probability")),
    ("probability above 1", JSON, b'{"features": {}, "probability": 1.0000001}', _one("$.probability")),
    ("probability below 0", JSON, b'{"features": {}, "probability": -0.1}', _one("$.probability")),
    ("probability a boolean", JSON, b'{"features": {}, "probability": true}', _one("$.probability")),
    ("probability a list", JSON, b'{"features": {}, "probability": [0.1, 0.9]}', _one("$.probability")),
    ("negative latency", JSON, b'{"features": {}, "latency_ms": -0.001}', _one("$.latency_ms")),
    ("latency as text", JSON, b'{"features": {}, "latency_ms": "12"}', _one("$.latency_ms")),
    ("latency 1e400", JSON, b'{"features": {}, "latency_ms": 1e400}', _one("$.latency_ms")),
    ("latency a boolean", JSON, b'{"features": {}, "latency_ms": false}', _one("$.latency_ms")),
    ("error as number", JSON, b'{"features": {}, "error": 1}', _one("$.error")),
    ("error as text", JSON, b'{"features": {}, "error": "true"}', _one("$.error")),
    ("error null", JSON, b'{"features": {}, "error": null}', _one("$.error")),
    ("bad error without features", JSON, b'{"error": 1}', _one("$.error")),
    ("bad latency without features", JSON, b'{"error": true, "latency_ms": -1}', _one("$.latency_ms")),
    ("model of another name", JSON, b'{"features": {}, "model": "nope"}', _one("$.model", "unknown_model")),
    ("model null", JSON, b'{"features": {}, "model": null}', _one("$.model", "unknown_model")),
    ("model a number", JSON, b'{"features": {}, "model": 5}', _one("$.model", "unknown_model")),
    ("model an object", JSON, b'{"features": {}, "model": {}}', _one("$.model", "unknown_model")),
    ("model a list", JSON, b'{"features": {}, "model": ["fraud"]}', _one("$.model", "unknown_model")),
    (
        *("model that looks like a path", JSON),
        *(b'{"features": {}, "model": "x - at `$.y`"}', _one("$.model", "unknown_model")),
    ),
    (
        "two models in one event",
        JSON,
        b'{"model": "fraud", "features": {}, "model": "x"}',
        _one("$.model", "unknown_model"),
    ),
    (
        "last of two values counts",
        JSON,
        b'{"features": {"amount": 1, "amount": "x"}}',
        _one("$.features.amount"),
    ),
    # lines
    ("no lines", NDJSON, b" \n\r\n ", Unreadable),
    ("no JSON in any line", NDJSON, b"time=1 level=info\nhello", Unreadable),
    ("array in a line", NDJSON, b'[{"features": {}}]', _one("$")),
    ("number in a line", NDJSON, b'5\n{"features": {}}', (1, [(0, "$", "invalid")])),
    ("cut line", NDJSON, b'{"features": {}}\n{"features": {"amo', (1, [(1, "$", "unreadable")])),
    (
        "bad UTF-8 in a line",
        NDJSON,
        b'{"features": {}}\n{"features": {"merchant": "\xff"}}',
        (1, [(1, "$", "unreadable")]),
    ),
    (
        "NaN in a line",
        NDJSON,
        b'{"features": {"amount": NaN}}\n{"features": {}}',
        (1, [(0, "$", "unreadable")]),
    ),
    ("deep line", NDJSON, b'{"features": {}}\n' + DEEP, (1, [(1, "$", "unreadable")])),
    (
        "blank lines have no index",
        NDJSON,
        b'\n\n{"features": 1}\n\n{"features": {}}',
        (1, [(0, "$.features", "invalid")]),
    ),
    (
        "byte order mark before lines",
        NDJSON,
        b'\xef\xbb\xbf{"features": {}}\n{"features": {}}',
        (1, [(0, "$", "unreadable")]),
    ),
    # columns
    ("columns null", JSON, b'{"columns": null}', _one("$.columns")),
    ("columns a list", JSON, b'{"columns": []}', _one("$.columns")),
    ("columns without features", JSON, b'{"columns": {"latency_ms": [1]}}', _one("$.features")),
    (
        "columns with null features",
        JSON,
        b'{"columns": {"features": null, "latency_ms": [1]}}',
        _one("$.features"),
    ),
    (
        "columns with a list of features",
        JSON,
        b'{"columns": {"features": [[1]]}}',
        _one("$.columns.features"),
    ),
    (
        "columns with an empty list of features",
        JSON,
        b'{"columns": {"features": []}}',
        _one("$.columns.features"),
    ),
    ("columns with text features", JSON, b'{"columns": {"features": ""}}', _one("$.columns.features")),
    ("column a number", JSON, b'{"columns": {"features": {"amount": 5}}}', _one("$.columns.features.amount")),
    (
        "column a text",
        JSON,
        b'{"columns": {"features": {"amount": "abc"}}}',
        _one("$.columns.features.amount"),
    ),
    (
        "column in base64",
        JSON,
        b'{"columns": {"features": {"amount": "AAAAAAAA8D8="}}}',
        _one("$.columns.features.amount"),
    ),
    (
        "column an object",
        JSON,
        b'{"columns": {"features": {"amount": {"0": 1}}}}',
        _one("$.columns.features.amount"),
    ),
    ("column null", JSON, b'{"columns": {"features": {"amount": null}}}', _one("$.columns.features.amount")),
    (
        "latency column a number",
        JSON,
        b'{"columns": {"features": {}, "latency_ms": 5}}',
        _one("$.columns.latency_ms"),
    ),
    (
        *("columns of unequal length", JSON),
        *(
            b'{"columns": {"features": {"amount": [1, 2, 3], "age": [1]}}}',
            (0, [(0, "$.columns.features.age", "invalid")]),
        ),
    ),
    (
        *("shorter latency column", JSON),
        *(
            b'{"columns": {"features": {"amount": [1, 2]}, "latency_ms": [1]}}',
            (0, [(0, "$.columns.latency_ms", "invalid")]),
        ),
    ),
    (
        "nested column",
        JSON,
        b'{"columns": {"features": {"amount": [1, [2], 3]}}}',
        (2, [(1, "$.features.amount", "invalid")]),
    ),
    (
        "text in a number column",
        JSON,
        b'{"columns": {"features": {"amount": ["1"]}}}',
        _one("$.features.amount"),
    ),
    ("1e400 in a column", JSON, b'{"columns": {"features": {"amount": [1, 1e400]}}}', Unreadable),
    (
        "model among columns",
        JSON,
        b'{"columns": {"features": {}, "model": ["fraud"]}}',
        _one("$.columns.model"),
    ),
    (
        *("unknown model of columns", JSON),
        *(b'{"columns": {"features": {"amount": [1]}}, "model": "x"}', _one("$.model", "unknown_model")),
    ),
    (
        "unknown model of no rows",
        JSON,
        b'{"columns": {"features": {}}, "model": "x"}',
        _one("$.model", "unknown_model"),
    ),
    (
        "negative latency in a column",
        JSON,
        b'{"columns": {"features": {}, "latency_ms": [1, -1]}}',
        (1, [(1, "$.latency_ms", "invalid")]),
    ),
    (
        "probability 2 in a column",
        JSON,
        b'{"columns": {"features": {}, "probability": [2, 1]}}',
        (1, [(0, "$.probability", "invalid")]),
    ),
    (
        "error a number in a column",
        JSON,
        b'{"columns": {"features": {}, "error": [1, true]}}',
        (1, [(0, "$.error", "invalid")]),
    ),
    # MessagePack
    ("packed nothing", MSGPACK, b"", Unreadable),
    ("packed garbage", MSGPACK, b"\xc1\xff\x00", Unreadable),
    ("packed JSON", MSGPACK, b'{"columns": {}}', Unreadable),
    ("packed number", MSGPACK, _packed(5), _one("$")),
    ("packed null", MSGPACK, _packed(None), _one("$")),
    ("packed list", MSGPACK, _packed([{"features": {}}]), _one("$")),
    ("packed event", MSGPACK, _packed({"features": {}}), _one("$.columns")),
    ("packed extension", MSGPACK, b"\xd4\x05\x00", _one("$")),
    ("packed extension as columns", MSGPACK, b"\x81\xa7columns\xd4\x05\x00", _one("$.columns")),
    ("packed trailing bytes", MSGPACK, _packed({"columns": {"features": {}}}) + b"\x00", Unreadable),
    ("packed bad UTF-8", MSGPACK, b"\x81\xa2\xff\xff\x01", Unreadable),
    ("packed deep arrays", MSGPACK, b"\x91" * 100_000, Unreadable),
    ("packed deep columns", MSGPACK, b"\x81\xa7columns" + b"\x81\xa1a" * 100_000, Unreadable),
    ("packed map as key", MSGPACK, b"\x81\x80\x01", Unreadable),
    ("packed list of 2^32-1", MSGPACK, b"\xdd\xff\xff\xff\xff", Unreadable),
    ("packed map of 2^32-1", MSGPACK, b"\xdf\xff\xff\xff\xff", Unreadable),
    ("packed text of 2^32-1", MSGPACK, b"\xdb\xff\xff\xff\xff", Unreadable),
    ("packed buffer of 2^32-1", MSGPACK, b"\xc6\xff\xff\xff\xff", Unreadable),
    (
        *("packed column of 2^32-1", MSGPACK),
        *(b"\x81\xa7columns\x81\xa8features\x81\xa6amount\xdd\xff\xff\xff\xff\x01", Unreadable),
    ),
    (
        "packed odd buffer",
        MSGPACK,
        _packed({"columns": {"features": {"amount": b"1234567"}}}),
        _one("$.columns.features.amount"),
    ),
    (
        "packed odd latency buffer",
        MSGPACK,
        _packed({"columns": {"features": {}, "latency_ms": b"123456789"}}),
        _one("$.columns.latency_ms"),
    ),
    (
        *("packed text column as buffer", MSGPACK),
        *(_packed({"columns": {"features": {"merchant": _buffer(1.0)}}}), (1, [])),
    ),
    (
        *("packed buffers of unequal length", MSGPACK),
        *(
            _packed({"columns": {"features": {"amount": _buffer(1, 2), "age": _buffer(1)}}}),
            (0, [(0, "$.columns.features.age", "invalid")]),
        ),
    ),
    (
        *("packed infinite feature", MSGPACK),
        *(
            _packed({"columns": {"features": {"amount": _buffer(1, math.inf)}}}),
            (1, [(1, "$.features.amount", "invalid")]),
        ),
    ),
    (
        *("packed infinite category", MSGPACK),
        *(
            _packed({"columns": {"features": {"merchant": [math.inf, "a"]}}}),
            (1, [(0, "$.features.merchant", "invalid")]),
        ),
    ),
    (
        *("packed infinite prediction", MSGPACK),
        *(
            _packed({"columns": {"features": {}, "prediction": [-math.inf, "a"]}}),
            (1, [(0, "$.prediction", "invalid")]),
        ),
    ),
    (
        *("packed infinite latency", MSGPACK),
        *(
            _packed({"columns": {"features": {}, "latency_ms": _buffer(math.inf, 1)}}),
            (1, [(0, "$.latency_ms", "invalid")]),
        ),
    ),
    (
        *("packed negative latency", MSGPACK),
        *(
            _packed({"columns": {"features": {}, "latency_ms": _buffer(2, -1)}}),
            (1, [(1, "$.latency_ms", "invalid")]),
        ),
    ),
    (
        *("packed probability above 1", MSGPACK),
        *(
            _packed({"columns": {"features": {}, "probability": _buffer(1.5, 0.5)}}),
            (1, [(0, "$.probability", "invalid")]),
        ),
    ),
    (
        "packed number as a feature's name",
        MSGPACK,
        _packed({"columns": {"features": {5: [1]}}}),
        _one("$.features"),
    ),
    (
        "packed bytes as a feature's name",
        MSGPACK,
        _packed({"columns": {"features": {b"x": [1]}}}),
        _one("$.features"),
    ),
    ("packed number as a column's name", MSGPACK, _packed({"columns": {"features": {}, 7: [1]}}), _one("$.columns")),
    ("packed number as a key", MSGPACK, _packed({"columns": {"features": {"amount": [1]}}, 7: 1}), (1, [])),
    (
        "packed extension in a column",
        MSGPACK,
        b"\x81\xa7columns\x81\xa8features\x81\xa6amount\x91\xd4\x05\x00",
        _one("$.features.amount"),
    ),
    (
        "packed time in a column",
        MSGPACK,
        b"\x81\xa7columns\x81\xa8features\x81\xa8merchant\x91\xd6\xff\x00\x00\x00\x01",
        _one("$.features.merchant"),
    ),
    # coded columns
    *(
        (f"coded column, {name}", MSGPACK, _packed({"columns": {"features": {"merchant": column}}}), outcome)
        for name, column, outcome in (
            ("code past the values", _coded(["a", "b"], 0, 2), (0, [(0, f"{_AT}.codes", "invalid")])),
            ("code below -1", _coded(["a", "b"], 0, -2), (0, [(0, f"{_AT}.codes", "invalid")])),
            ("smallest code there is", _coded(["a"], -(2**31)), (0, [(0, f"{_AT}.codes", "invalid")])),
            ("codes and no values", _coded([], 0), (0, [(0, f"{_AT}.codes", "invalid")])),
            ("codes of no whole number", _coded(["a"], codes=b"12345"), _one(f"{_AT}.codes")),
            ("codes a list", _coded(["a"], codes=[0]), _one(f"{_AT}.codes")),
            ("codes a text", _coded(["a"], codes="0000"), _one(f"{_AT}.codes")),
            ("codes nil", _coded(["a"], codes=None), _one(f"{_AT}.codes")),
            ("nil among the values", _coded(["a", None], 0), _one(f"{_AT}.values")),
            ("a number among the values", _coded(["a", 1], 0), _one(f"{_AT}.values")),
            ("values a text", _coded("ab", 0), _one(f"{_AT}.values")),
            ("values a buffer", _coded(b"ab", 0), _one(f"{_AT}.values")),
            ("no codes", {"values": ["a"]}, _one(_AT)),
            ("no values", {"codes": bytes(4)}, _one(_AT)),
            ("something else", _coded(["a"], 0, ordered=True), _one(_AT)),
            ("nothing", {}, _one(_AT)),
            (
                "a value that is too long",
                _coded(["a", "x" * 21], 0, 1, -1),
                (2, [(1, "$.features.merchant", "invalid")]),
            ),
        )
    ),
    (
        *("coded column of another length", MSGPACK),
        *(
            _packed({"columns": {"features": {"amount": _buffer(1, 2), "merchant": _coded(["a"], 0)}}}),
            (0, [(0, "$.columns.features.merchant", "invalid")]),
        ),
    ),
    (
        *("coded column for numbers", MSGPACK),
        *(
            _packed({"columns": {"features": {"amount": _coded(["a"], 0, -1)}}}),
            (1, [(0, "$.features.amount", "invalid")]),
        ),
    ),
    (
        *("coded column for latency", MSGPACK),
        *(
            _packed({"columns": {"features": {}, "latency_ms": _coded(["a"], 0)}}),
            (0, [(0, "$.latency_ms", "invalid")]),
        ),
    ),
    (
        *("coded column in JSON", JSON),
        *(
            b'{"columns": {"features": {"merchant": {"values": ["a"], "codes": [0]}}}}',
            _one("$.columns.features.merchant.codes"),
        ),
    ),
    # too many
    (
        "51 coded rows",
        MSGPACK,
        _packed({"columns": {"features": {"merchant": _coded(["a"], *[0] * 51)}}}),
        TooManyEvents,
    ),
    ("51 events", JSON, b"[" + b", ".join([b'{"features": {}}'] * 51) + b"]", TooManyEvents),
    ("51 bad events", JSON, b"[" + b", ".join([b"1"] * 51) + b"]", TooManyEvents),
    ("51 lines", NDJSON, b"\n".join([b'{"features": {}}'] * 51), TooManyEvents),
    ("51 bad lines", NDJSON, b"\n".join([b"1"] * 51), TooManyEvents),
    ("51 rows", JSON, json.dumps({"columns": {"features": {"amount": [1] * 51}}}).encode(), TooManyEvents),
    (
        "51 bad rows",
        JSON,
        json.dumps({"columns": {"features": {"amount": ["x"] * 51}}}).encode(),
        TooManyEvents,
    ),
    (
        "51 rows of unequal columns",
        JSON,
        json.dumps({"columns": {"features": {"amount": [1] * 51, "age": []}}}).encode(),
        TooManyEvents,
    ),
    ("51 packed rows", MSGPACK, _packed({"columns": {"features": {"amount": bytes(51 * 8)}}}), TooManyEvents),
]


@pytest.mark.parametrize(("form", "body", "outcome"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_bad_body_is_refused_exactly(form: Form, body: bytes, outcome: Outcome) -> None:
    decoder = _decoder()
    if isinstance(outcome, type):
        with pytest.raises(outcome):
            decoder.decode(body, form)
    else:
        decoded = decoder.decode(body, form)
        assert (decoded.accepted, _refused(decoded)) == outcome
    assert decoder.decode(*WAYS["array"](EVENTS)).accepted == len(EVENTS)


@pytest.mark.parametrize("way", WAYS)
def test_a_body_cut_at_any_byte_is_unreadable_or_counts_whole_lines(way: str) -> None:
    body, form = WAYS[way](EVENTS)
    decoder = _decoder()
    for end in range(len(body)):
        try:
            decoded = decoder.decode(body[:end], form)
        except Unreadable:
            continue
        whole = body[:end].count(b"\n") + 1
        assert form is NDJSON
        assert decoded.accepted in (whole - 1, whole)
        assert decoded.refusals.total == whole - decoded.accepted or body[:end].endswith(b"\n")


@pytest.mark.parametrize(
    "header",
    [b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff"],
)
@pytest.mark.parametrize("before", [b"", b"\x81\xa7columns\x81\xa8features\x81\xa6amount", b"\x81\xa1x"])
def test_a_declared_length_reserves_no_memory(before: bytes, header: bytes) -> None:
    decoder = _decoder()
    tracemalloc.start()
    try:
        with pytest.raises(Unreadable):
            decoder.decode(before + header, MSGPACK)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_rows_past_the_limit_are_not_made_to_be_refused() -> None:
    decoder = _decoder()
    columns = {"features": {"amount": bytes(8 * 200_000)}, "prediction": [[]] * 200_000}
    body = _packed({"columns": columns})
    tracemalloc.start()
    try:
        with pytest.raises(TooManyEvents):
            decoder.decode(body, MSGPACK)
        assert tracemalloc.get_traced_memory()[1] < 40 * 2**20
    finally:
        tracemalloc.stop()


def test_only_the_first_refusals_are_told_and_all_are_counted() -> None:
    events: list[dict[str, Any]] = [{"features": {}, "latency_ms": -1}, {"features": {}, "model": "x"}] * 20
    decoded = _decoder().decode(json.dumps(events).encode(), JSON)
    assert len(decoded.refusals.first) == 10
    assert decoded.refusals.total == 40
    assert decoded.refusals.by_kind == {"invalid": 20, "unknown_model": 20}


# Several models.


def test_events_go_to_the_model_they_name() -> None:
    events: list[dict[str, Any]] = [
        {"model": "fraud", "features": {"amount": 1}},
        {"features": {"days": 3}, "prediction": 2.5, "model": "churn"},
        {"model": "fraud", "features": {"amount": 2}},
    ]
    for way in ("array", "lines"):
        content = _content(_decoder(FRAUD, CHURN).decode(*WAYS[way](events)))
        assert content["fraud"].columns[AMOUNT] == [1.0, 2.0]
        assert content["churn"].columns == {Key("input", "days"): [3.0], PREDICTION: [2.5]}


def test_columns_go_to_the_model_they_name() -> None:
    document = {"columns": {"features": {"days": [1, 2]}}, "model": "churn"}
    for body, form in ((json.dumps(document).encode(), JSON), (_packed(document), MSGPACK)):
        assert _content(_decoder(FRAUD, CHURN).decode(body, form))["churn"].events == 2


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"features": {}}', "required, because there are several: fraud, churn"),
        (b'{"features": {}, "model": "x"}', "Invalid value 'x'; there is: fraud, churn"),
        (b'{"columns": {"features": {"amount": [1]}}}', "required, because there are several: fraud, churn"),
        (b'{"columns": {"features": {}}}', "required, because there are several: fraud, churn"),
        (b'{"error": true}', "required, because there are several: fraud, churn"),
    ],
)
def test_of_several_models_one_must_be_named(body: bytes, reason: str) -> None:
    decoded = _decoder(FRAUD, CHURN).decode(body, JSON)
    assert [(r.path, r.reason, r.kind) for r in decoded.refusals.first] == [("$.model", reason, "unknown_model")]


# Unknown features.


def test_unknown_features_are_ignored_and_counted_every_time() -> None:
    decoder = _decoder()
    odd: list[Any] = [None, 1, "x" * 5000, [1], {"a": {}}, True, 1e300]
    events = [{"features": {"amount": 1, "zzz": value, "yyy": value}} for value in odd]
    for way in ("array", "lines", "array"):
        decoded = decoder.decode(*WAYS[way](events))
        assert decoded.refusals.total == 0
        assert _content(decoded)["fraud"].unknown == 2 * len(odd)
    assert set(decoder.schema("fraud").ignored) == {"zzz", "yyy"}
    assert _content(decoder.decode(*WAYS["array"](EVENTS)))["fraud"].unknown == 0


@pytest.mark.parametrize("column", [[1, 2], [None, "x"], [[1], {}], 5, None, "text", [1], [1, 2, 3], {}])
def test_unknown_columns_are_ignored_and_counted_whatever_they_hold(column: Any) -> None:
    decoder = _decoder()
    document = {"columns": {"features": {"amount": [1, 2], "zzz": column}}}
    for body, form in ((json.dumps(document).encode(), JSON), (_packed(document), MSGPACK)) * 2:
        decoded = decoder.decode(body, form)
        assert (decoded.accepted, decoded.refusals.total) == (2, 0)
        assert _content(decoded)["fraud"].unknown == 2


@pytest.mark.parametrize(
    "name", ["", 'a"b', "a\\b", "a\nb", "a\0b", "x" * 21, "out of range", "naïve", "a.b", "$", "`"]
)
def test_unknown_features_of_any_name_are_passed_over(name: str) -> None:
    decoder = _decoder()
    for way in ("array", "lines", "columns", "packed columns", "array"):
        decoded = decoder.decode(*WAYS[way]([{"features": {"amount": 1, name: 2}}]))
        assert (decoded.accepted, decoded.refusals.total) == (1, 0)


@pytest.mark.parametrize("column", [[1, 2], ["a"], 5, None, {}, [[]]])
@pytest.mark.parametrize("amount", [[1, 2], [1, 2, "x"]])
def test_unknown_keys_beside_the_features_are_ignored_in_every_form(column: Any, amount: list[Any]) -> None:
    columns = {"features": {"amount": amount}, "timestamp": column}
    for body, form in ((json.dumps({"columns": columns}).encode(), JSON), (_packed({"columns": columns}), MSGPACK)):
        assert _decoder().decode(body, form).accepted == 2
    assert _decoder().decode(json.dumps({"features": {}, "timestamp": column}).encode(), JSON).accepted == 1


def test_unknown_columns_alone_are_events_all_the_same() -> None:
    decoder = _decoder()
    body = b'{"columns": {"features": {"zzz": [1, 2]}}}'
    for _ in range(2):
        content = _content(decoder.decode(body, JSON))["fraud"]
        assert (content.events, content.unknown, content.columns[AMOUNT]) == (2, 2, [None, None])
        decoder.decode(b'{"features": {"zzz": 1}}', JSON)


def test_unknown_names_are_remembered_up_to_a_limit() -> None:
    decoder = _decoder()
    for first in range(0, MOST_IGNORED + 300, 300):
        features = {f"z{i}": 1 for i in range(first, first + 300)}
        assert decoder.decode(json.dumps({"features": features}).encode(), JSON).accepted == 1
    assert len(decoder.schema("fraud").ignored) == MOST_IGNORED
    decoded = decoder.decode(b'{"features": {"z0": 1, "never seen": 1}}', JSON)
    assert _content(decoded)["fraud"].unknown == 1


def test_new_names_all_over_a_body_make_the_types_anew_once(monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = _decoder()
    made = []

    def counted(*args: Any, **options: Any) -> Any:
        made.append(args)
        return event_type(*args, **options)

    monkeypatch.setattr("sidecar.events.decode.event_type", counted)
    body = json.dumps([{"features": {f"z{i}": 1}} for i in range(20)]).encode()
    assert _content(decoder.decode(body, JSON))["fraud"].unknown == 20
    assert len(made) == 1


def test_long_unknown_names_take_no_memory() -> None:
    decoder = _decoder()
    decoder.decode(json.dumps({"features": {"x" * 100_000: 1}}).encode(), JSON)
    assert sum(map(len, decoder.schema("fraud").ignored)) <= 20


# Learning.


def test_learning_takes_the_kind_of_a_feature_from_its_first_value() -> None:
    decoder = _decoder(learning_schema("m"))
    events: list[dict[str, Any]] = [
        {"features": {"a": None, "b": 1, "c": "x"}},
        {"features": {"a": True, "b": 2.5, "c": 3}, "prediction": 0.5},
        {"features": {"a": "x", "b": None, "c": None}, "prediction": 1},
    ]
    content = _content(decoder.decode(*WAYS["array"](events)))["m"]
    schema = decoder.schema("m")
    assert schema.numeric == (Key("input", "b"), PROBABILITY, PREDICTION)
    assert schema.categorical == (Key("input", "c"), Key("input", "a"))
    assert content.columns[Key("input", "a")] == [None, True, "x"]
    assert content.columns[PREDICTION] == [None, 0.5, 1.0]
    assert content.unknown == 0


@pytest.mark.parametrize("way", WAYS)
def test_learning_is_alike_in_every_form(way: str) -> None:
    decoder = _decoder(learning_schema("fraud"))
    events = [event for event in EVENTS if event["features"]["merchant"] != 5]
    content = _content(decoder.decode(*WAYS[way](events)))["fraud"]
    assert content == _content(_decoder(learning_schema("fraud")).decode(*WAYS["array"](events)))["fraud"]
    assert set(decoder.schema("fraud").numeric) == {AMOUNT, AGE, PROBABILITY}
    assert set(decoder.schema("fraud").categorical) == {MERCHANT, PREDICTION}


def test_learning_refuses_what_is_not_of_the_kind() -> None:
    decoder = _decoder(learning_schema("m"))
    events = [{"features": {name: value}} for name, value in (("a", 1), ("a", "x"), ("b", "x"), ("b", 1))]
    decoded = decoder.decode(*WAYS["array"](events))
    assert _refused(decoded) == [(1, "$.features.a", "invalid")]
    assert decoded.accepted == 3


def test_learning_keeps_the_order_of_events_while_the_schema_grows() -> None:
    events: list[dict[str, Any]] = [{"features": {"a": i} | ({f"b{i}": 1} if i % 3 == 0 else {})} for i in range(12)]
    decoded = _decoder(learning_schema("m")).decode(*WAYS["array"](events))
    assert _content(decoded)["m"].columns[Key("input", "a")] == [float(i) for i in range(12)]


def test_a_refused_event_decides_no_kind() -> None:
    decoder = _decoder(learning_schema("m"))
    assert _refused(decoder.decode(b'{"features": {"a": "x"}, "latency_ms": -1}', JSON)) == [
        (0, "$.latency_ms", "invalid")
    ]
    assert decoder.schema("m") == learning_schema("m")
    assert decoder.decode(b'{"features": {"a": 1}}', JSON).accepted == 1
    assert Key("input", "a") in decoder.schema("m").numeric


def test_learning_takes_no_more_features_than_the_limit() -> None:
    decoder = _decoder(learning_schema("m"))
    decoded = decoder.decode(json.dumps({"features": {f"f{i}": i for i in range(9)}}).encode(), JSON)
    assert len(decoder.schema("m").numeric) == LIMITS["features"] + 1  # and the probability
    assert len(decoder.schema("m").ignored) == 4
    assert _content(decoded)["m"].unknown == 4


def test_learning_ignores_what_is_no_value() -> None:
    decoder = _decoder(learning_schema("m"))
    decoded = decoder.decode(b'{"features": {"a": [1], "b": {}, "c": 1}}', JSON)
    assert decoded.accepted == 1
    assert decoder.schema("m").ignored == ("a", "b")


@pytest.mark.parametrize("name", ["", 'a"b', "a\\b", "a\nb", "a\0b", "x" * 21])
def test_names_that_cannot_be_labels_are_not_learned(name: str) -> None:
    decoder = _decoder(learning_schema("m"))
    assert decoder.decode(json.dumps({"features": {name: 1, "a": 2}}).encode(), JSON).accepted == 1
    assert decoder.schema("m").numeric == (Key("input", "a"), PROBABILITY)


def test_an_update_replaces_the_schema() -> None:
    decoder = _decoder(learning_schema("fraud"))
    decoder.decode(b'{"features": {"zzz": 1}}', JSON)
    decoder.update(FRAUD)
    assert decoder.schema("fraud") == FRAUD
    assert _refused(decoder.decode(b'{"features": {"amount": "x"}}', JSON)) == [(0, "$.features.amount", "invalid")]


# Whatever comes.


def _events_in(body: bytes, form: Form) -> int | None:
    """Number of events that a readable JSON body plainly holds, or None where that is not plain."""
    if form is NDJSON:
        return sum(1 for line in body.split(b"\n") if line.strip())
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if isinstance(document, dict) and "columns" in document:
        return None
    return len(document) if isinstance(document, list) else 1


def _survives(decoder: Decoder, body: bytes, form: Form) -> None:
    try:
        decoded = decoder.decode(body, form)
    except (Unreadable, TooManyEvents):
        return
    assert decoded.accepted + decoded.refusals.total <= LIMITS["events_per_body"]
    assert sum(content.events for content in _content(decoded).values()) == decoded.accepted
    assert sum(decoded.refusals.by_kind.values()) == decoded.refusals.total
    events = None if form is MSGPACK else _events_in(body, form)
    if events is not None:
        assert decoded.accepted + decoded.refusals.total == events


def _survives_everywhere(body: bytes) -> None:
    for form in Form:
        for schemas in ((FRAUD,), (learning_schema("fraud"),), (FRAUD, CHURN)):
            _survives(_decoder(*schemas), body, form)


keys = st.sampled_from(
    [
        "features",
        "prediction",
        "probability",
        "latency_ms",
        "error",
        "model",
        "columns",
        "amount",
        "merchant",
        "days",
    ]
) | st.text(max_size=3)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=25)
    | st.sampled_from(["fraud", "churn", 10**400])
)
anything = st.recursive(scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=5))
odd_events = st.fixed_dictionaries(
    {"features": st.dictionaries(keys, scalars | anything, max_size=5)},
    optional=dict.fromkeys(("prediction", "probability", "latency_ms", "error", "model"), scalars),
)
odd_columns = st.fixed_dictionaries(
    {
        "columns": st.fixed_dictionaries(
            {"features": st.dictionaries(keys, st.lists(scalars, min_size=2, max_size=2) | anything, max_size=4)},
            optional={
                name: st.lists(scalars, min_size=2, max_size=2) | scalars
                for name in ("prediction", "probability", "latency_ms", "error", "model")
            },
        )
    },
    optional={"model": st.sampled_from(["fraud", "churn", "x"])},
)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_do_no_harm(body: bytes) -> None:
    _survives_everywhere(body)


@given(anything | odd_events | st.lists(odd_events | anything, max_size=6) | odd_columns)
@example({"features": {'"': 1}})
@example({"columns": {"features": {"amount": []}, "prediction": [1]}})
def test_arbitrary_json_does_no_harm(document: Any) -> None:
    _survives_everywhere(json.dumps(document).encode())


packed_scalars = (
    scalars.filter(lambda v: not isinstance(v, int) or -(2**63) <= v < 2**64) | st.floats() | st.binary(max_size=17)
)
packed_anything = st.recursive(
    packed_scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(keys | st.integers(0, 9) | st.binary(max_size=2), inner, max_size=4)
    ),
)
packed_columns = st.fixed_dictionaries(
    {
        "columns": st.fixed_dictionaries(
            {"features": st.dictionaries(keys, st.lists(packed_scalars, max_size=2) | packed_anything, max_size=4)},
            optional=dict.fromkeys(("prediction", "probability", "latency_ms", "error"), packed_anything),
        )
    },
)


@given(packed_columns | packed_anything)
def test_arbitrary_messagepack_does_no_harm(document: Any) -> None:
    _survives_everywhere(_packed(document))


@given(st.lists(odd_events | good_events, min_size=1, max_size=5), st.sampled_from(sorted(WAYS)), st.data())
def test_mutated_bodies_do_no_harm(events: list[dict[str, Any]], way: str, data: st.DataObject) -> None:
    body = bytearray(json.dumps(events).encode() if way == "array" else WAYS[way](EVENTS)[0])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(body) - 1))
        body[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
        body = body or bytearray(b" ")
    _survives_everywhere(bytes(body))


without_features: st.SearchStrategy[dict[str, Any]] = st.sampled_from([{"error": True}, {"latency_ms": 1.5}])


@pytest.mark.parametrize(
    "schemas", [(FRAUD,), (FRAUD, CHURN), (learning_schema("fraud"),)], ids=["one", "two", "learning"]
)
@pytest.mark.parametrize("way", ["array", "lines", "texts"])
@given(st.lists(odd_events | good_events | without_features, min_size=1, max_size=8))
def test_many_events_are_counted_as_few_are(
    way: str, schemas: tuple[Schema, ...], events: list[dict[str, Any]]
) -> None:
    def outcome(many: int) -> Any:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(decode_module, "_MANY_EVENTS", many)
            decoder = _decoder(*schemas)
            if way == "texts":
                decoded = decoder.decode_texts([json.dumps(event).encode() for event in events])
            else:
                decoded = decoder.decode(*WAYS[way](events))
        return decoded.accepted, decoded.refusals, _content(decoded)

    try:
        few = outcome(1000)
    except Unreadable as error:
        with pytest.raises(Unreadable, match=re.escape(str(error))):
            outcome(1)
    else:
        assert outcome(1) == few


@pytest.mark.parametrize("form", [JSON, NDJSON])
def test_of_many_events_those_without_features_are_errors_or_refused(form: Form) -> None:
    events = [{"features": {"amount": i}, "latency_ms": i} for i in range(600)]
    events[7] = {"error": True, "latency_ms": 7}
    way = "array" if form is JSON else "lines"
    decoder = _decoder(events_per_body=1000)
    decoded = decoder.decode(*WAYS[way](events))
    assert decoded.batch is not None
    assert (decoded.batch.events, decoded.batch.rows, decoded.batch.errors) == (600, 599, 1)
    assert decoded.batch.numeric[0].tolist() == [i for i in range(600) if i != 7]
    events[300] = {"latency_ms": 300}
    decoded = decoder.decode(*WAYS[way](events))
    assert decoded.accepted == 599
    assert _refused(decoded) == [(300, "$.features", "invalid")]
    with pytest.raises(TooManyEvents):
        _decoder().decode(*WAYS[way](events))


@given(st.lists(odd_events | good_events, max_size=8))
def test_what_is_accepted_does_not_depend_on_the_company(events: list[dict[str, Any]]) -> None:
    together = _decoder().decode(json.dumps(events).encode(), JSON)
    alone = [_decoder().decode(json.dumps(event).encode(), JSON) for event in events]
    assert together.accepted == sum(decoded.accepted for decoded in alone)
    assert together.refusals.total == sum(decoded.refusals.total for decoded in alone)
    assert [r.path for r in together.refusals.first] == [r.path for d in alone for r in d.refusals.first][:10]
