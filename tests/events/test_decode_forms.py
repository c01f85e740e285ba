import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.events.batch import PREDICTION, PROBABILITY
from sidecar.events.one_by_one import OneByOne
from sidecar.events.wire_types import learning_schema
from tests.events.support import (
    AGE,
    AMOUNT,
    EVENTS,
    JSON,
    MERCHANT,
    MSGPACK,
    NDJSON,
    WAYS,
    coded,
    content_of,
    decoder_of,
    good_events,
    packed,
    packed_floats,
    refused,
)


@pytest.mark.parametrize("way", WAYS)
def test_every_form_says_the_same(way: str) -> None:
    decoded = decoder_of().decode(*WAYS[way](EVENTS))
    assert decoded.accepted == 4
    assert decoded.refusals.total == 0
    content = content_of(decoded)["fraud"]
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


@given(st.lists(good_events, min_size=1, max_size=12))
def test_every_form_of_any_events_says_the_same(events: list[dict[str, Any]]) -> None:
    events[0]["features"] = {"amount": None, "age": None, "merchant": None} | events[0]["features"]
    answers = {way: content_of(decoder_of().decode(*make(events))) for way, make in WAYS.items()}
    for answer in answers.values():
        assert answer == answers["array"]


@given(st.lists(good_events, min_size=2, max_size=12), st.integers(1, 11))
def test_splitting_a_body_changes_nothing(events: list[dict[str, Any]], at: int) -> None:
    decoder = decoder_of()
    whole = content_of(decoder.decode(*WAYS["array"](events)))
    parts = [part for part in (events[:at], events[at:]) if part]
    for way in ("array", "lines"):
        assert content_of(*(decoder.decode(*WAYS[way](part)) for part in parts)) == whole


@given(st.lists(good_events, min_size=2, max_size=12), st.randoms(use_true_random=False))
def test_reordering_events_reorders_rows(events: list[dict[str, Any]], random: Any) -> None:
    order = list(range(len(events)))
    random.shuffle(order)
    straight = content_of(decoder_of().decode(*WAYS["array"](events)))["fraud"]
    mixed = content_of(decoder_of().decode(*WAYS["array"]([events[i] for i in order])))["fraud"]
    assert mixed.columns == {key: [column[i] for i in order] for key, column in straight.columns.items()}
    assert sorted(mixed.latencies) == sorted(straight.latencies)
    assert (mixed.events, mixed.errors) == (straight.events, straight.errors)


def test_bad_events_between_good_ones_change_nothing_about_the_good() -> None:
    good: list[dict[str, Any]] = [{"features": {"amount": i, "merchant": "m"}, "latency_ms": i} for i in range(6)]
    bad = {"features": {"amount": "12"}}
    mixed = [bad, *good[:3], bad, *good[3:], bad]
    for way in ("array", "lines"):
        decoded = decoder_of().decode(*WAYS[way](mixed))
        assert refused(decoded) == [(i, "$.features.amount", "invalid") for i in (0, 4, 8)]
        assert content_of(decoded) == content_of(decoder_of().decode(*WAYS[way](good)))


def test_one_object_is_one_event() -> None:
    decoded = decoder_of().decode(json.dumps(EVENTS[0]).encode(), JSON)
    assert (decoded.accepted, decoded.refusals.total) == (1, 0)


def test_whitespace_around_and_between_values_is_nothing() -> None:
    assert decoder_of().decode(b' \r\n\t{"features": {"amount": 1}}\n ', JSON).accepted == 1
    assert decoder_of().decode(b' \n [ {"features": {}} , {"features": {}} ] ', JSON).accepted == 2
    assert decoder_of().decode(b'\n\n{"features": {}}\r\n  \n{"features": {}}\n\n', NDJSON).accepted == 2
    assert decoder_of().decode(b'\n { "columns" : {"features": {"amount": [1]}}}', JSON).accepted == 1


@pytest.mark.parametrize(
    "body", [b"[]", b'{"columns": {"features": {}}}', b'{"columns": {"features": {"amount": []}}}']
)
def test_a_body_without_events_counts_nothing(body: bytes) -> None:
    decoded = decoder_of().decode(body, JSON)
    assert (decoded.accepted, decoded.refusals.total) == (0, 0)


def test_error_events_may_leave_features_out() -> None:
    body = b'[{"error": true, "latency_ms": 5}, {"features": null, "error": true}, {"features": {"age": 1}}]'
    decoded = decoder_of().decode(body, JSON)
    content = content_of(decoded)["fraud"]
    assert (content.events, content.errors, decoded.refusals.total) == (3, 2, 0)
    assert content.latencies == [0.005]
    assert content.columns[AGE] == [1.0]


def test_error_events_without_features_do_not_have_a_body_looked_at_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OneByOne, "_each", None)
    decoder = decoder_of()
    bare = {"error": True, "latency_ms": 5}
    for way in ("array", "lines"):
        assert decoder.decode(*WAYS[way]([*EVENTS, bare, bare | {"features": None}])).accepted == len(EVENTS) + 2
    assert decoder.decode_texts([json.dumps(bare).encode()]).accepted == 1
    assert decoder.decode(json.dumps(bare).encode(), JSON).accepted == 1


def test_columns_of_errors_alone_may_leave_features_out() -> None:
    for body, form in (
        (b'{"columns": {"error": [true, true], "latency_ms": [1, 2]}}', JSON),
        (packed({"columns": {"error": [True, True], "latency_ms": packed_floats(1, 2)}}), MSGPACK),
    ):
        decoded = decoder_of().decode(body, form)
        content = content_of(decoded)["fraud"]
        assert (content.events, content.errors, content.latencies) == (2, 2, [0.001, 0.002])
        assert content.columns[AMOUNT] == []


def test_nan_is_missing_in_packed_columns() -> None:
    nan = math.nan
    for amount, latency, chance in (
        (packed_floats(nan, 2), packed_floats(nan, 4), packed_floats(0.5, nan)),
        ([nan, 2.0], [nan, 4.0], [0.5, nan]),
    ):
        columns = {"features": {"amount": amount}, "latency_ms": latency, "probability": chance}
        decoded = decoder_of().decode(packed({"columns": columns}), MSGPACK)
        content = content_of(decoded)["fraud"]
        assert decoded.accepted == 2
        assert content.columns[AMOUNT] == [None, 2.0]
        assert content.columns[PROBABILITY] == [0.5, None]
        assert content.latencies == [0.004]


def test_categories_may_be_packed_as_numbers() -> None:
    for numbers, accepted in (
        (packed_floats(1, math.nan, 0.5), [1.0, None, 0.5]),
        (packed_floats(1, math.inf, 0.5), [1.0, None, 0.5]),
    ):
        decoded = decoder_of().decode(packed({"columns": {"features": {"merchant": numbers}}}), MSGPACK)
        assert content_of(decoded)["fraud"].columns[MERCHANT] == accepted
        assert (decoded.batch is None) == (len(accepted) == 2)
        assert decoded.refusals.total == 3 - len(accepted)


def test_null_columns_are_absent_whether_or_not_rows_are_looked_at_one_by_one() -> None:
    absent = {"prediction": None, "probability": None, "latency_ms": None, "error": None}
    for amount in ([1.0, 2.0], [1.0, "x"]):
        decoded = decoder_of().decode(
            json.dumps({"columns": {"features": {"amount": amount}, **absent}}).encode(), JSON
        )
        assert decoded.accepted == (2 if amount == [1.0, 2.0] else 1)


def test_coded_columns_say_the_same_as_lists() -> None:
    columns = {
        "features": {"amount": packed_floats(1, 2, 3), "merchant": coded(["visa", "amex", "visa"], 2, -1, 1)},
        "prediction": coded(["ok"], 0, 0, -1),
    }
    decoded = decoder_of().decode(packed({"columns": columns}), MSGPACK)
    content = content_of(decoded)["fraud"]
    assert (decoded.accepted, decoded.refusals.total) == (3, 0)
    assert content.columns[MERCHANT] == ["visa", None, "amex"]
    assert content.columns[PREDICTION] == ["ok", "ok", None]


def test_coded_columns_are_read_row_by_row_where_another_column_is_refused() -> None:
    columns = {"features": {"amount": [1, "x", 3], "merchant": coded(["visa", "amex"], 1, 0, -1)}}
    decoded = decoder_of().decode(packed({"columns": columns}), MSGPACK)
    assert refused(decoded) == [(1, "$.features.amount", "invalid")]
    assert content_of(decoded)["fraud"].columns[MERCHANT] == ["amex", None]


def test_coded_columns_without_rows_are_nothing() -> None:
    columns = {"features": {"amount": b"", "merchant": coded([])}}
    assert decoder_of().decode(packed({"columns": columns}), MSGPACK).accepted == 0


def test_coded_columns_are_learned_from() -> None:
    decoder = decoder_of(learning_schema("fraud"))
    columns = {"features": {"merchant": coded(["visa", "amex"], 1, 0, -1)}, "prediction": coded(["ok"], 0, 0, 0)}
    for _ in range(2):  # the second time the kinds are known
        content = content_of(decoder.decode(packed({"columns": columns}), MSGPACK))["fraud"]
        assert content.columns[MERCHANT] == ["amex", "visa", None]
        assert content.columns[PREDICTION] == ["ok", "ok", "ok"]


@pytest.mark.parametrize("column", [packed_floats(1.0, 2.0), [1.0, 2.0]], ids=["buffer", "list"])
def test_columns_of_nothing_but_unlisted_features_are_as_many_events_as_they_have_rows(column: Any) -> None:
    decoded = decoder_of().decode(packed({"columns": {"features": {"unlisted": column}}, "model": "fraud"}), MSGPACK)
    assert (decoded.accepted, decoded.refusals.total) == (2, 0)
