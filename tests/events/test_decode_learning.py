import json
from typing import Any

import pytest

from sidecar.events.batch import PREDICTION, PROBABILITY, Key
from sidecar.events.wire_types import learning_schema
from tests.events.support import (
    AGE,
    AMOUNT,
    EVENTS,
    FRAUD,
    JSON,
    LIMITS,
    MERCHANT,
    WAYS,
    content_of,
    decoder_of,
    refused,
)


def test_learning_takes_the_kind_of_a_feature_from_its_first_value() -> None:
    decoder = decoder_of(learning_schema("m"))
    events: list[dict[str, Any]] = [
        {"features": {"a": None, "b": 1, "c": "x"}},
        {"features": {"a": True, "b": 2.5, "c": 3}, "prediction": 0.5},
        {"features": {"a": "x", "b": None, "c": None}, "prediction": 1},
    ]
    content = content_of(decoder.decode(*WAYS["array"](events)))["m"]
    schema = decoder.schemas["m"]
    assert schema.numeric == (Key("input", "b"), PROBABILITY, PREDICTION)
    assert schema.categorical == (Key("input", "c"), Key("input", "a"))
    assert content.columns[Key("input", "a")] == [None, True, "x"]
    assert content.columns[PREDICTION] == [None, 0.5, 1.0]
    assert content.unknown == 0


@pytest.mark.parametrize("way", WAYS)
def test_learning_is_alike_in_every_form(way: str) -> None:
    decoder = decoder_of(learning_schema("fraud"))
    events = [event for event in EVENTS if event["features"]["merchant"] != 5]
    content = content_of(decoder.decode(*WAYS[way](events)))["fraud"]
    assert content == content_of(decoder_of(learning_schema("fraud")).decode(*WAYS["array"](events)))["fraud"]
    assert set(decoder.schemas["fraud"].numeric) == {AMOUNT, AGE, PROBABILITY}
    assert set(decoder.schemas["fraud"].categorical) == {MERCHANT, PREDICTION}


def test_learning_refuses_what_is_not_of_the_kind() -> None:
    decoder = decoder_of(learning_schema("m"))
    events = [{"features": {name: value}} for name, value in (("a", 1), ("a", "x"), ("b", "x"), ("b", 1))]
    decoded = decoder.decode(*WAYS["array"](events))
    assert refused(decoded) == [(1, "$.features.a", "invalid")]
    assert decoded.accepted == 3


def test_learning_keeps_the_order_of_events_while_the_schema_grows() -> None:
    events: list[dict[str, Any]] = [{"features": {"a": i} | ({f"b{i}": 1} if i % 3 == 0 else {})} for i in range(12)]
    decoded = decoder_of(learning_schema("m")).decode(*WAYS["array"](events))
    assert content_of(decoded)["m"].columns[Key("input", "a")] == [float(i) for i in range(12)]


def test_a_refused_event_decides_no_kind() -> None:
    decoder = decoder_of(learning_schema("m"))
    assert refused(decoder.decode(b'{"features": {"a": "x"}, "latency_ms": -1}', JSON)) == [
        (0, "$.latency_ms", "invalid")
    ]
    assert decoder.schemas["m"] == learning_schema("m")
    assert decoder.decode(b'{"features": {"a": 1}}', JSON).accepted == 1
    assert Key("input", "a") in decoder.schemas["m"].numeric


def test_learning_takes_no_more_features_than_the_limit() -> None:
    decoder = decoder_of(learning_schema("m"))
    decoded = decoder.decode(json.dumps({"features": {f"f{i}": i for i in range(9)}}).encode(), JSON)
    assert len(decoder.schemas["m"].numeric) == LIMITS["features"] + 1  # and the probability
    assert len(decoder.schemas["m"].ignored) == 4
    assert content_of(decoded)["m"].unknown == 4


def test_learning_ignores_what_is_no_value() -> None:
    decoder = decoder_of(learning_schema("m"))
    decoded = decoder.decode(b'{"features": {"a": [1], "b": {}, "c": 1}}', JSON)
    assert decoded.accepted == 1
    assert decoder.schemas["m"].ignored == ("a", "b")


@pytest.mark.parametrize("name", ["", 'a"b', "a\\b", "a\nb", "a\0b", "x" * 21])
def test_names_that_cannot_be_labels_are_not_learned(name: str) -> None:
    decoder = decoder_of(learning_schema("m"))
    assert decoder.decode(json.dumps({"features": {name: 1, "a": 2}}).encode(), JSON).accepted == 1
    assert decoder.schemas["m"].numeric == (Key("input", "a"), PROBABILITY)


def test_an_update_replaces_the_schema() -> None:
    decoder = decoder_of(learning_schema("fraud"))
    decoder.decode(b'{"features": {"zzz": 1}}', JSON)
    decoder.schemas.replace(FRAUD)
    assert decoder.schemas["fraud"] == FRAUD
    assert refused(decoder.decode(b'{"features": {"amount": "x"}}', JSON)) == [(0, "$.features.amount", "invalid")]
